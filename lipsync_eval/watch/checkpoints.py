"""Which checkpoints lie in a folder, and which of them are complete."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from lipsync_eval.errors import UsageError
from lipsync_eval.files import sha256
from lipsync_eval.media.names import is_hidden

PATTERNS: Final = ("*.pt", "*.pth", "*.ckpt", "*.safetensors", "*.bin", "*.onnx")
"""What counts as a checkpoint where --pattern says nothing."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file, or a folder of files, that a pattern matches."""

    name: str
    """From the watched folder, with '/'."""
    path: Path
    size: int
    """Bytes, of a folder's files together."""
    mtime_ns: int
    """Of the file, or of the newest file of the folder."""
    files: int
    """1 for a file."""


def check_patterns(folder: Path, patterns: Sequence[str]) -> None:
    """Refuse a pattern that looks outside of the folder, or is none.

    Raises:
        UsageError: absolute, empty, with '..', or with '**' inside a name.
    """
    for pattern in patterns:
        try:
            next(iter(folder.glob(pattern)), None)
            good = _inside(pattern)
        except (ValueError, NotImplementedError):
            good = False
        if not good:
            raise UsageError(
                f"--pattern {pattern!r}: expected a pattern of names inside the folder, e.g. 'step_*.pt' or '*/model.safetensors'"
            )


def find(folder: Path, patterns: Sequence[str], out: Path) -> list[Checkpoint]:
    """Every checkpoint of a folder, complete or not.

    Links are left out (latest.pt -> step_100.pt would be scored twice), and so are hidden names, which programs give to
    files that they still write, and what lies in `out`.
    """
    found: dict[str, Checkpoint] = {}
    for pattern in patterns:
        for path in folder.glob(pattern):
            inside = path.relative_to(folder)
            if any(is_hidden(Path(part)) for part in inside.parts) or path.is_relative_to(out):
                continue
            if any(p.is_symlink() for p in (path, *path.parents[: len(inside.parts) - 1])):
                continue
            if (one := look(folder, inside.as_posix())) is not None:
                found[one.name] = one
    return list(found.values())


def look(folder: Path, name: str) -> Checkpoint | None:
    """One checkpoint as it is now; None where it is not there, or empty."""
    path = folder / name
    if not _inside(name):
        return None
    try:
        files = _files(path)
        stats = [f.stat() for f in files]
    except OSError:  # it goes away while it is looked at
        return None
    size = sum(s.st_size for s in stats)
    return Checkpoint(name, path, size, max(s.st_mtime_ns for s in stats), len(files)) if size else None


def digest(checkpoint: Checkpoint) -> str:
    """sha256 of the content; of a folder, over the names and digests of its files.

    Raises:
        OSError: it cannot be read.
    """
    if checkpoint.path.is_file():
        return sha256(checkpoint.path)
    lines = [f"{f.relative_to(checkpoint.path).as_posix()}\0{sha256(f)}\n" for f in _files(checkpoint.path)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


class Settling:
    """Tells complete checkpoints: those of which two looks, `seconds` apart, see the same."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._seen: dict[str, tuple[Checkpoint, float]] = {}
        self._moving: list[Checkpoint] = []

    def settled(self, found: Sequence[Checkpoint], now: float) -> list[Checkpoint]:
        """Those that are complete; `now` is the time of this look, in seconds on any clock that does not jump."""
        before, self._seen = self._seen, {}
        for one in found:
            seen = before.get(one.name)
            self._seen[one.name] = seen if seen is not None and seen[0] == one else (one, now)
        self._moving = [one for one in found if now - self._seen[one.name][1] < self.seconds]
        return [one for one in found if now - self._seen[one.name][1] >= self.seconds]

    def moving(self) -> list[Checkpoint]:
        """Those that were not complete at the last look."""
        return self._moving


def _inside(name: str) -> bool:
    """Whether a name or a pattern stays inside the folder."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not PurePosixPath(name).is_absolute() and ".." not in parts


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
