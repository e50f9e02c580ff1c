"""Folders of talking videos: which files, who speaks, which split. Plain folders, LRW, VoxCeleb2 and HDTF."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lipsync_eval.errors import UsageError

SUFFIXES = frozenset({".mp4", ".avi", ".mpg", ".mpeg", ".mov", ".mkv", ".webm", ".m4v"})
AUDIO_SUFFIXES = (".wav", ".flac", ".m4a", ".aac", ".mp3")


@dataclass(frozen=True)
class Source:
    """One video to prepare."""

    path: Path
    name: str
    """Path relative to the folder, with '/'."""
    group: str
    """Person or, where unknown, the source itself; a split never tears a group apart."""
    split: str | None
    audio: Path | None
    """An audio file with the same stem beside the video, used instead of the video's own track."""


def _flat(root: Path, parts: tuple[str, ...]) -> tuple[str, str | None]:
    return "/".join(parts), None


def _lrw(root: Path, parts: tuple[str, ...]) -> tuple[str, str | None]:
    """WORD/{train,val,test}/WORD_00001.mp4; speakers are not named."""
    return "/".join(parts), parts[-2] if len(parts) >= 2 and parts[-2] in {"train", "val", "test"} else None


def _voxceleb2(root: Path, parts: tuple[str, ...]) -> tuple[str, str | None]:
    """[dev|test]/[mp4/]idNNNNN/VIDEO/00001.mp4: the person is the id."""
    person = next(part for part in parts if re.fullmatch(r"id\d{5}", part))
    split = {"dev": "train", "test": "test"}.get(parts[0])
    return person, split


def _hdtf(root: Path, parts: tuple[str, ...]) -> tuple[str, str | None]:
    """{RD,WDA,WRA}_NAME_000.mp4 (cut clips may follow as _0, _1...): the person is NAME without its trailing number."""
    found = re.fullmatch(r"(?:RD|WDA|WRA)_(.+?)\d*(?:_\d+)+", Path(parts[-1]).stem)
    return (found[1] if found else Path(parts[-1]).stem), None


LAYOUTS: dict[str, Callable[[Path, tuple[str, ...]], tuple[str, str | None]]] = {
    "flat": _flat,
    "lrw": _lrw,
    "voxceleb2": _voxceleb2,
    "hdtf": _hdtf,
}
"""The searched folder (which may hold lists of splits) and a video's path under it, by parts -> person and split.
StopIteration: the path does not fit."""


def guess(names: list[tuple[str, ...]]) -> str:
    """The layout that every path fits, else 'flat'."""
    if all(any(re.fullmatch(r"id\d{5}", part) for part in parts[:-1]) for parts in names):
        return "voxceleb2"
    if all(
        _lrw(Path(), parts)[1] and parts[-1].startswith(f"{parts[-3] if len(parts) > 2 else ''}_") for parts in names
    ):
        return "lrw"
    if all(re.match(r"(RD|WDA|WRA)_", parts[-1]) for parts in names):
        return "hdtf"
    return "flat"


def find(folder: Path, layout: str = "auto") -> tuple[str, list[Source]]:
    """Videos under a folder (or one video), sorted by name, with person and split.

    Args:
        folder: searched in depth; links to folders are not followed; names that begin with a dot are left out.
        layout: auto, flat, lrw, voxceleb2 or hdtf.

    Returns:
        the layout used and the sources.

    Raises:
        UsageError: no such folder, no video in it, an unknown layout, or one that the names do not fit.
    """
    if layout != "auto" and layout not in LAYOUTS:
        raise UsageError(f"unknown layout {layout!r}; there are auto, {', '.join(LAYOUTS)}")
    root = folder if folder.is_dir() else folder.parent
    files = sorted(_videos(folder)) if folder.is_dir() else [folder]
    if not folder.exists() or not files:
        raise UsageError(f"{folder} holds no video ({', '.join(sorted(SUFFIXES))}); give a folder of talking videos")
    names = [path.relative_to(root).parts for path in files]
    chosen = guess(names) if layout == "auto" else layout
    sources = []
    for path, parts in zip(files, names, strict=True):
        try:
            group, split = LAYOUTS[chosen](root, parts)
        except StopIteration as error:
            raise UsageError(f"{'/'.join(parts)} does not fit the layout {chosen!r}; use --layout flat") from error
        sources.append(Source(path, "/".join(parts), group, split, _audio_beside(path)))
    return chosen, sources


def _videos(folder: Path) -> list[Path]:
    found = []
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            found += _videos(path)
        elif path.suffix.lower() in SUFFIXES:
            found.append(path)
    return found


def _audio_beside(path: Path) -> Path | None:
    return next((p for p in (path.with_suffix(s) for s in AUDIO_SUFFIXES) if p.is_file()), None)
