"""Folders of talking videos: which files, who speaks, which split.

Plain folders, LRW, LRS2, VoxCeleb2, HDTF, CelebV-HQ and VFHQ.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
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


def _lrs2(root: Path, parts: tuple[str, ...]) -> tuple[str, str | None]:
    """[mvlrs_v1/]{main,pretrain}/VIDEO/00001.mp4 with the official train.txt, val.txt and test.txt above main.

    Speakers are not named; VIDEO is one broadcast. What is in pretrain is training data; what of main stands in no
    list has no split.
    """
    place = next(i for i, part in enumerate(parts[:-1]) if part in {"main", "pretrain"} and i == len(parts) - 3)
    video = parts[-2]
    if parts[place] == "pretrain":
        return video, "train"
    return video, _lists(root.joinpath(*parts[:place])).get(f"{video}/{Path(parts[-1]).stem}")


@lru_cache(maxsize=8)
def _lists(folder: Path) -> dict[str, str]:
    """'VIDEO/00001' -> split, of the lists that are there; a line of test.txt may say more behind the name."""
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        path = folder / f"{split}.txt"
        if path.is_file():
            lines = path.read_text("utf-8", "replace").splitlines()
            found |= {line.split()[0]: split for line in lines if line.strip()}
    return found


def _celebvhq(root: Path, parts: tuple[str, ...]) -> tuple[str, str | None]:
    """[35666/]YOUTUBE-ID_0.mp4 (cut clips may follow as _0_1): the group is the YouTube video; persons are not named."""
    found = re.fullmatch(r"([\w-]{11})(?:_\d+)+", Path(parts[-1]).stem)
    if found is None:
        raise StopIteration
    return found[1], None


def _vfhq(root: Path, parts: tuple[str, ...]) -> tuple[str, str | None]:
    """[train|test/]Clip+YOUTUBE-ID+P0+C1+F100-350.mp4: the group is the YouTube video, which may show several persons.

    The official archive holds frames without audio, of which nothing can be learnt here: fetch clips with audio.
    """
    found = _VFHQ.fullmatch(Path(parts[-1]).stem)
    if found is None:
        raise StopIteration
    return found[1], next((part for part in parts[:-1] if part in {"train", "test"}), None)


_VFHQ = re.compile(r"Clip\+([\w-]{11})\+P\d+\+C\d+\+F\d+-\d+")

LAYOUTS: dict[str, Callable[[Path, tuple[str, ...]], tuple[str, str | None]]] = {
    "flat": _flat,
    "lrw": _lrw,
    "lrs2": _lrs2,
    "voxceleb2": _voxceleb2,
    "hdtf": _hdtf,
    "celebvhq": _celebvhq,
    "vfhq": _vfhq,
}
"""The searched folder (which may hold lists of splits) and a video's path under it, by parts -> person and split.
StopIteration: the path does not fit."""


def guess(names: list[tuple[str, ...]], root: Path = Path()) -> str:
    """The layout that every path fits, else 'flat'.

    CelebV-HQ's names are ordinary ones: it is taken only where its celebvhq_info.json or its folder 35666 is there.
    """
    if all(any(re.fullmatch(r"id\d{5}", part) for part in parts[:-1]) for parts in names):
        return "voxceleb2"
    if all(
        _lrw(Path(), parts)[1] and parts[-1].startswith(f"{parts[-3] if len(parts) > 2 else ''}_") for parts in names
    ):
        return "lrw"
    if all(re.match(r"(RD|WDA|WRA)_", parts[-1]) for parts in names):
        return "hdtf"
    if all(len(p) > 2 and p[-3] in {"main", "pretrain"} and (p[-2] + Path(p[-1]).stem).isdecimal() for p in names):
        return "lrs2"
    if all(_VFHQ.fullmatch(Path(parts[-1]).stem) for parts in names):
        return "vfhq"
    marked = root.name == "35666" or (root / "celebvhq_info.json").is_file() or all("35666" in p[:-1] for p in names)
    if marked and all(re.fullmatch(r"[\w-]{11}(?:_\d+)+", Path(parts[-1]).stem) for parts in names):
        return "celebvhq"
    return "flat"


def find(folder: Path, layout: str = "auto") -> tuple[str, list[Source]]:
    """Videos under a folder (or one video), sorted by name, with person and split.

    Args:
        folder: searched in depth; links to folders are not followed; names that begin with a dot are left out.
        layout: auto, flat, lrw, lrs2, voxceleb2, hdtf, celebvhq or vfhq.

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
    chosen = guess(names, root) if layout == "auto" else layout
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
