"""Where a weights file is on this machine, and which file exactly it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lipsync_eval.cache import default_cache_dir, find_cache_dir
from lipsync_eval.errors import MissingWeights, UsageError, WeightsError
from lipsync_eval.files import is_file, sha256
from lipsync_eval.types import Settings
from lipsync_eval.weights.registry import MAIN, ROLES, FileRow, WeightsRow, get_row, rows

ENVIRONMENT = "LIPSYNC_EVAL_WEIGHTS"


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file that is here, named by what it is."""

    name: str
    """Registry row, or the role when a file of the user's own was given for a role."""
    path: Path
    sha256: str
    """64 hex digits of the file that is used."""
    verified: bool
    """True when the registry knows the hash (or its first digits) and the file has it."""
    part: str = MAIN
    note: str = ""
    """Why it is not verified; '' when it is. Belongs in a clip's notes or on stderr."""

    @property
    def signature(self) -> str:
        """'syncnet@961e8696': row (and .part where it is not the main file) @ first 8 hex digits of the sha256."""
        part = "" if self.part == MAIN else f".{self.part}"
        return f"{self.name}{part}@{self.sha256[:8]}"


def weights_cache_dir() -> Path:
    """The user's own weights folder, into which `weights pull` writes: `weights` in the cache folder.

    Raises:
        UsageError: the user has no home folder and none is named.
    """
    return default_cache_dir() / "weights"


def folders(settings: Settings) -> tuple[Path, ...]:
    """Folders that are searched, in order: the user's folder (settings or LIPSYNC_EVAL_WEIGHTS), then the cache (if any)."""
    named = settings.weights_dir or (Path(value) if (value := os.environ.get(ENVIRONMENT)) else None)
    cache = find_cache_dir()
    return (*([named] if named else []), *([cache / "weights"] if cache else []))


def locate(settings: Settings, name: str, *, role: str | None = None, part: str = MAIN) -> WeightFile:
    """Find the file of a registry row.

    Order: `--weights` (a row of the same role, or the role itself), the user's folder, the cache. With `role`, a file
    given for another row of that role is taken instead, and the result names that row.

    Args:
        settings: weights overrides and folder.
        name: default row.
        role: 'arcface', 'avhubert'...: whose rows may stand in; None: only the row itself.
        part: which of the row's files.

    Raises:
        MissingWeights: no file; the message ends with the pull line, or says where else a file without an address is to be had.
        WeightsError: unknown row, or the file in the cache is damaged.
        UsageError: a `--weights` file that does not exist, or two for one role.
    """
    row = get_row(name)
    given = _given(settings, row, role, part)
    if given is not None:
        return given
    entry = row.part(part)
    searched = folders(settings)
    for folder in searched:
        for file in (entry.file, *entry.aliases):
            if is_file(path := folder / file):
                cache = find_cache_dir()
                return _identify(row.name, entry, path, ours=cache is not None and folder == cache / "weights")
    places = " and ".join(str(folder) for folder in searched) or "any folder (this user has no home folder)"
    raise MissingWeights(
        f"the weights {name!r} ({entry.file}) are not on this machine: there is no such file in {places}. "
        f"Give a file you have with --weights {_override_name(name, part)}=FILE, name a folder with {ENVIRONMENT}=DIR, "
        f"or {_source(row, entry)}"
    )


def check_overrides(weights: Mapping[str, Path]) -> None:
    """Check `--weights NAME=FILE` before any work.

    Raises:
        UsageError: NAME is neither a row (or row.part) nor a role, or FILE does not exist.
    """
    for name, path in weights.items():
        base, _, part = name.partition(".")
        if part or base not in ROLES:
            get_row(base).part(part or MAIN)
        _must_exist(name, path)


def _given(settings: Settings, row: WeightsRow, role: str | None, part: str) -> WeightFile | None:
    candidates = {row.name: row.name}
    if role is not None:
        candidates |= {r.name: r.name for r in rows().values() if r.role == role}
        if role in ROLES:
            candidates[role] = role
    found = [n for n in candidates if _override_name(n, part) in settings.weights]
    if len(found) > 1:
        raise UsageError(
            f"--weights names {' and '.join(found)}, and only one of them can be used as {role}; leave the others out"
        )
    if not found:
        return None
    name = found[0]
    path = settings.weights[_override_name(name, part)]
    _must_exist(name, path)
    if name in rows():
        return _identify(name, get_row(name).part(part), path, ours=False)
    digest = file_digest(path)
    for other in rows().values():
        if other.role == role and any(matches(f.sha256, digest) for f in other.files if f.part == part):
            return WeightFile(other.name, path, digest, True, part)
    return WeightFile(
        name, path, digest, False, part, f"{path.name} was given for {name} and is no file that the registry knows"
    )


def _identify(name: str, entry: FileRow, path: Path, *, ours: bool) -> WeightFile:
    digest = file_digest(path)
    if not entry.sha256:
        note = f"{name}: unverified, the registry has no sha256 for {entry.file}"
        return WeightFile(name, path, digest, False, entry.part, note)
    if matches(entry.sha256, digest):
        return WeightFile(name, path, digest, True, entry.part)
    if ours:
        raise WeightsError(
            f"{path} is not the published {entry.file}: its sha256 should start with {entry.sha256[:16]} and starts "
            f"with {digest[:16]}. Delete it and run: lipsync-eval weights pull {name}"
        )
    note = f"{name}: {path.name} is not the published file (sha256 {digest[:8]}..., published {entry.sha256[:8]}...)"
    return WeightFile(name, path, digest, False, entry.part, note)


def file_digest(path: Path) -> str:
    """sha256 of a file (64 hex digits), remembered within the process while size and time stay the same.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        stat = path.stat()
        return _digest(str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror or error}); look at its permissions") from error


@lru_cache(maxsize=256)
def _digest(path: str, _size: int, _mtime_ns: int) -> str:
    return sha256(Path(path))


def matches(known: str, digest: str) -> bool:
    """Whether a sha256 is the known one; the registry may hold only its first digits."""
    return bool(known) and digest.startswith(known)


def _source(row: WeightsRow, entry: FileRow) -> str:
    """Where the file is to be had: the pull line, or for a file that nobody serves the row's own words."""
    if entry.urls:
        return f"run:\nlipsync-eval weights pull {row.name}"
    return f"get it by hand, for `weights pull` has no address of it. {row.notes}".rstrip()


def _override_name(name: str, part: str) -> str:
    return name if part == MAIN else f"{name}.{part}"


def _must_exist(name: str, path: Path) -> None:
    if not is_file(path):
        raise UsageError(f"--weights {name}={path}: there is no such file")
