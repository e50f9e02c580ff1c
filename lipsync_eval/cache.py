"""A folder of arrays, found by everything that could change them.

The key is a mapping of strings (content digest, backend or extractor with version, weights hash, crop, dtype...); its
sha256 names the file (with the version of the reading of files, since keys name clips by their bytes). A file that cannot be read is treated as absent and written again. Nothing is removed by itself:
`inspect`, `surplus` and `remove` are what `lipsync-eval cache` shows and does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.files import atomic, read_npz
from lipsync_eval.version import READING

Arrays = dict[str, NDArray[np.generic]]
_ENTRY: Final = re.compile(r"[0-9a-f]{64}\.(npz|bin)")
_TORN: Final = re.compile(r"\.[0-9a-f]{8,64}(\.npz|\.bin)?\..*\.tmp")
_FOLDER: Final = re.compile(r"[0-9a-f]{2}")


def find_cache_dir() -> Path | None:
    """LIPSYNC_EVAL_CACHE, else $XDG_CACHE_HOME/lipsync-eval, else ~/.cache/lipsync-eval; None for a user without a home."""
    if named := os.environ.get("LIPSYNC_EVAL_CACHE"):
        return Path(named)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "lipsync-eval"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ".cache" / "lipsync-eval" if home.is_absolute() else None


def default_cache_dir() -> Path:
    """The same, where one is needed.

    Raises:
        UsageError: the user has no home folder and none is named.
    """
    found = find_cache_dir()
    if found is None:
        raise UsageError(
            "this user has no home folder, so there is no cache folder: name one with LIPSYNC_EVAL_CACHE=DIR"
        )
    return found


class Cache:
    """Arrays by key. `Cache(None)` keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, key: Mapping[str, str]) -> Arrays | None:
        """The arrays stored under `key`, or None."""
        path = self._path(key)
        if path is None:
            return None
        try:
            found = read_npz(path)
        except ParseError:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # `prune` removes what was not used for longest
        return found

    def has(self, key: Mapping[str, str]) -> bool:
        """Whether something is stored under `key`; whether it can be read, `get` says."""
        path = self._path(key)
        return path is not None and path.is_file()

    def put(self, key: Mapping[str, str], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Store arrays (no object dtype) whole or not at all; a cache that cannot be written is left alone."""
        path = self._path(key)
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
        except OSError:
            return

    def file(self, key: Mapping[str, str]) -> Path | None:
        """Where bytes are kept under `key`, for who checks them; None where there are none."""
        path = self._path(key, "bin")
        if path is None or not path.is_file():
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return path

    def put_file(self, key: Mapping[str, str], data: NDArray[np.uint8]) -> None:
        """Keep bytes whole or not at all; a cache that cannot be written is left alone."""
        path = self._path(key, "bin")
        if path is None:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as file:
                file.write(data)

    def _path(self, key: Mapping[str, str], suffix: str = "npz") -> Path | None:
        if self.folder is None:
            return None
        text = json.dumps(dict(sorted(key.items())) | {"reading": str(READING)}, ensure_ascii=True)
        name = hashlib.sha256(text.encode()).hexdigest()
        return self.folder / name[:2] / f"{name}.{suffix}"


NO_CACHE: Final = Cache(None)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One file of a cache."""

    path: Path
    size: int
    """Bytes."""
    used: float
    """When it was last read or written, seconds since 1970."""


def inspect(folder: Path) -> list[CacheEntry]:
    """The entries of a cache folder, least recently used first. Files of other names are not the cache's and are left out."""
    found = []
    for group in _listed(folder):
        if not _FOLDER.fullmatch(group.name):
            continue
        for path in _listed(group):
            if _ENTRY.fullmatch(path.name) or _TORN.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    stat = path.stat(follow_symlinks=False)
                    found.append(CacheEntry(path, stat.st_size, stat.st_mtime))
    return sorted(found, key=lambda entry: (entry.used, entry.path.name))


def surplus(entries: list[CacheEntry], *, largest: int | None = None, days: float | None = None) -> list[CacheEntry]:
    """Which entries must go, of those that `inspect` gave.

    Args:
        largest: bytes that may stay; what was used last stays.
        days: entries that were not used for so long go.
    """
    oldest = time.time() - 86400 * days if days is not None else float("-inf")
    left = sum(entry.size for entry in entries)
    out = []
    for entry in entries:
        if entry.used < oldest or (largest is not None and left > largest):
            out.append(entry)
            left -= entry.size
    return out


def remove(entries: list[CacheEntry]) -> int:
    """Delete entries; gives the bytes that came free. A run that needs one makes it anew."""
    freed = 0
    for entry in entries:
        with contextlib.suppress(OSError):
            entry.path.unlink()
            freed += entry.size
    for group in {entry.path.parent for entry in entries}:
        with contextlib.suppress(OSError):
            group.rmdir()
    return freed


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
