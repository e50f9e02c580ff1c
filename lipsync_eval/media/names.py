"""Which files are videos, audio and images, by suffix (lower case, with the dot)."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Final

from lipsync_eval.urls import Place

# fmt: off
VIDEO_SUFFIXES: Final = frozenset([
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".flv", ".wmv", ".asf",
    ".3gp", ".ogv", ".mxf", ".nut", ".y4m",
])
AUDIO_SUFFIXES: Final = frozenset([
    ".wav", ".flac", ".m4a", ".mp3", ".aac", ".ogg", ".opus", ".oga", ".wma", ".aif", ".aiff",
])
IMAGE_SUFFIXES: Final = frozenset([".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"])
# fmt: on

_DIGITS = re.compile(r"(\d+)(?!.*\d)", re.DOTALL)


def is_video(path: Place) -> bool:
    """By suffix alone: a file that counts as one clip."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def is_audio(path: Place) -> bool:
    """By suffix alone: an audio file, which is never a clip."""
    return path.suffix.lower() in AUDIO_SUFFIXES


def is_image(path: Path) -> bool:
    """By suffix alone: a still image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_hidden(path: Path) -> bool:
    """A name that begins with a dot (also what macOS leaves behind: ._a.mp4)."""
    return path.name.startswith(".")


def number(path: Path) -> int | None:
    """The last group of digits in the stem: 12 for frame_0012.png, None where there is none."""
    found = _DIGITS.search(path.stem)
    return int(found.group(1)) if found else None


def is_utf8(path: Place) -> bool:
    """Whether the path can be written to a text file: Python keeps bytes that are no UTF-8 as lone surrogates."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def key(text: str) -> str:
    """Text by which names are compared and clips are called: Unicode NFC, bytes that are no UTF-8 as \\xNN."""
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", readable)


def audio_files_of(path: Path) -> list[Path]:
    """Audio files that belong to a clip: beside it with its stem; for a folder of images also those inside it.

    More than one is an ambiguity that the caller refuses.
    """
    folder = path.is_dir()
    stem = key(path.name if folder else path.stem)
    beside = [p for p in _audio_files(path.parent) if key(p.stem) == stem]
    return sorted(beside + (_audio_files(path) if folder else []))


def _audio_files(folder: Path) -> list[Path]:
    try:
        return [p for p in folder.iterdir() if is_audio(p) and not is_hidden(p) and not p.is_dir()]
    except OSError:
        return []
