"""Clips of a finished run, opened again: their crops, for a look at what was scored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lipsync_eval.engine.contact_sheet import contact_sheet
from lipsync_eval.engine.follow_faces import Face, follow_faces
from lipsync_eval.engine.tools import MeasuringTools, open_tools
from lipsync_eval.errors import ClipError, MediaError, OutputError
from lipsync_eval.media import open_clip
from lipsync_eval.protocol import View
from lipsync_eval.results.schema import ClipRow, Result
from lipsync_eval.types import Clip, Crop, Frame, Settings, Track
from lipsync_eval.urls import is_url
from lipsync_eval.warp import render

_EACH = 5
"""Crops a side."""


def write_contact_sheet(result: Result, settings: Settings, path: Path) -> None:
    """Write one PNG with a few evenly spaced crops of the generated and the real video of every clip.

    Clips that failed before the crop are in it by name, without crops. Tracks come from the cache where there is one.

    Raises:
        OutputError: the file cannot be written.
    """
    tools = open_tools(settings, ("cpbd",), real=bool(result.data.gt))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet((_scored_crops(tools, clip) for clip in result.clips), path)
    except OSError as error:
        raise OutputError(f"--contact-sheet {path}: cannot be written ({error.strerror or error})") from error


def open_side(row: ClipRow, side: str, video: str) -> Clip:
    """Open one video of a scored clip again, with the audio file that was used.

    Raises:
        MediaError: it cannot be read any more.
    """
    if is_url(video):
        raise MediaError(
            f"{video} is a URL, and only `score` fetches videos; to look at them, copy them to a disk and score them there"
        )
    facts = row.details.get(side)
    audio = facts.get("sound_file") if isinstance(facts, dict) else None
    return open_clip(Path(video), audio=Path(audio) if audio else None)


def _scored_crops(tools: MeasuringTools, row: ClipRow) -> tuple[str, list[Frame], list[Frame]]:
    """What stands beside the crops, then those of the generated and of the real video."""
    if row.gen is None or (row.gt is None and tools.real) or row.n_frames is None:
        return f"{row.id} (not read)", [], []
    paired = tools.real and tools.settings.setting == "self"
    try:
        clips = [open_side(row, side, path) for side, path in (("gen", row.gen), ("gt", row.gt)) if path is not None]
        lengths = [row.n_frames, *(row.n_frames if paired else clip.n_frames for clip in clips[1:])]
        tracks = _tracks(tools, clips)
        views = [View(c.height, c.width, n, t and t.cut(n)) for c, n, t in zip(clips, lengths, tracks, strict=True)]
        crops = tools.protocol.crops(views[0], views[1]) if paired else [tools.protocol.crops(v, v)[0] for v in views]
    except ClipError as error:
        return f"{row.id} ({type(error).__name__})", [], []
    valid = [crop.valid for crop in crops]
    chosen = [_spread(valid[0] & valid[1])] * 2 if paired else [_spread(v) for v in valid]
    cropped = [list(_cropped(*each)) for each in zip(clips, crops, chosen, strict=True)]
    return row.id, cropped[0], cropped[1] if len(cropped) > 1 else []


def _spread(valid: np.ndarray) -> np.ndarray:
    """A few evenly spaced frames out of those that have a crop."""
    there = np.flatnonzero(valid)
    return there[np.linspace(0, len(there) - 1, min(_EACH, len(there))).round().astype(int)] if len(there) else there


def _tracks(tools: MeasuringTools, clips: list[Clip]) -> list[Track | None]:
    """The faces of the generated and of the real video; None where there is none or none is needed."""
    if not tools.protocol.spec.needs_track:
        return [None] * len(clips)
    found = follow_faces(tools, dict(zip(("gen", "gt"), clips, strict=False)))
    return [face.track if isinstance(face, Face) else None for face in found.values()]


def _cropped(clip: Clip, crop: Crop, chosen: np.ndarray) -> Iterator[Frame]:
    for i in chosen:
        for frame in clip.frames(int(i), int(i) + 1):
            yield render(frame, crop.matrix[i], crop.size)
