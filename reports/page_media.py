"""Previews on the report page: one video of the real side and one of each method, each in a script of its own.

A page from the disk may not read the pixels of a video file beside it (browsers give every file an origin of its own), so
it could not save the figure that it shows. The videos therefore travel as base64 inside scripts: a third larger, and the
page's own.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipsync_eval.files import write_text
from lipsync_eval.results.schema import ClipRow

Media = Callable[[ClipRow, str, Path], Mapping[str, Any] | None]
"""media(clip, side, stem) writes STEM.mp4 and STEM.jpg of the side 'gen' or 'gt', and gives `frames`, `width`, `height`
and `mouth` ([frame, x, y, half side] as shares of the frame's size); None where there is nothing to show."""
REAL = "real"


@dataclass(frozen=True, slots=True)
class Previews:
    """What the page can show of one clip."""

    real: Mapping[str, Any] | None
    """Of the real video; None where it is not shown."""
    methods: tuple[Mapping[str, Any] | None, ...]
    """Of each run."""


def no_media(clip: ClipRow, side: str, stem: Path) -> None:
    """Show no video."""
    return


def make_previews(place: int, rows: Sequence[ClipRow | None], media: Sequence[Media], folder: Path) -> Previews:
    """Write the previews of one clip.

    Args:
        place: of the clip on the page; part of the files' names.
        rows: the clip in each run; None where the run does not have it.
        media: of each run.
        folder: gets PLACE-real.js, PLACE-0.js... and their .jpg.
    """
    real = None
    for row, make in zip(rows, media, strict=True):
        if row is not None and real is None:
            real = _written(place, REAL, row, "gt", make, folder)
    methods = [
        None if row is None else _written(place, str(k), row, "gen", make, folder)
        for k, (row, make) in enumerate(zip(rows, media, strict=True))
    ]
    return Previews(real, tuple(methods))


def _written(place: int, name: str, row: ClipRow, side: str, make: Media, folder: Path) -> Mapping[str, Any] | None:
    stem = folder / f"{place:06d}-{name}"
    facts = make(row, side, stem)
    if facts is None:
        return None
    video = stem.with_name(stem.name + ".mp4")
    text = base64.b64encode(video.read_bytes()).decode("ascii")
    write_text(stem.with_name(stem.name + ".js"), f'clipMedia({place},"{name}","{text}");\n')
    video.unlink()
    return facts
