"""A folder of arrays, found by everything that could change them.

The key is a mapping of strings (content digest, backend or extractor with version, weights hash, crop, dtype...); its
sha256 names the file. A file that cannot be read is treated as absent and written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.files import atomic

Arrays = dict[str, NDArray[np.generic]]

_READING = "2"
"""Version of how files become frames and audio (docs/media.md); part of every key, since keys name clips by their bytes."""


def default_cache_dir() -> Path:
    """LIPSYNC_EVAL_CACHE, else $XDG_CACHE_HOME/lipsync-eval, else ~/.cache/lipsync-eval."""
    named = os.environ.get("LIPSYNC_EVAL_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lipsync-eval"


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
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError):
            return None

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

    def _path(self, key: Mapping[str, str]) -> Path | None:
        if self.folder is None:
            return None
        text = json.dumps(dict(sorted(key.items())) | {"reading": _READING}, ensure_ascii=True)
        name = hashlib.sha256(text.encode()).hexdigest()
        return self.folder / name[:2] / f"{name}.npz"
