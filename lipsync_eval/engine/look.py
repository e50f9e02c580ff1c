"""Pictures of what was scored: the crops of every clip of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lipsync_eval.engine.bench import Bench, open_bench
from lipsync_eval.engine.contact_sheet import contact_sheet
from lipsync_eval.errors import ClipError, OutputError
from lipsync_eval.faces import track_faces
from lipsync_eval.media import open_clip
from lipsync_eval.protocol import View
from lipsync_eval.results.schema import ClipRow, Result
from lipsync_eval.types import Clip, Crop, Frame, Settings, Track
from lipsync_eval.warp import render
from lipsync_eval.weights import locate

_EACH = 5
"""Crops a side."""

Row = tuple[str, list[Frame], list[Frame]]


def write_contact_sheet(result: Result, settings: Settings, path: Path) -> None:
    """Write one PNG with a few evenly spaced crops of the generated and the real video of every clip.

    Clips that failed before the crop are in it by name, without pictures. Tracks come from the cache where there is one.

    Raises:
        OutputError: the picture cannot be written.
    """
    bench = open_bench(settings, ("psnr",))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet((_row(bench, clip) for clip in result.clips), path)
    except OSError as error:
        raise OutputError(f"--contact-sheet {path}: cannot be written ({error.strerror or error})") from error


def open_side(row: ClipRow, side: str, video: str) -> Clip:
    """Open one video of a scored clip again, with the sound file that was used.

    Raises:
        MediaError: it cannot be read any more.
    """
    facts = row.details.get(side)
    sound = facts.get("sound_file") if isinstance(facts, dict) else None
    return open_clip(Path(video), audio=Path(sound) if sound else None)


def _row(bench: Bench, row: ClipRow) -> Row:
    if row.gen is None or row.gt is None or row.n_frames is None:
        return f"{row.id} (not read)", [], []
    try:
        clips = [open_side(row, "gen", row.gen), open_side(row, "gt", row.gt)]
        views = [View(c.height, c.width, row.n_frames, _track(bench, c, row.n_frames)) for c in clips]
        crops = bench.protocol.crops(views[0], views[1])
    except ClipError as error:
        return f"{row.id} ({type(error).__name__})", [], []
    both = np.flatnonzero(crops[0].valid & crops[1].valid)
    chosen = both[np.linspace(0, len(both) - 1, min(_EACH, len(both))).round().astype(int)] if len(both) else both
    gen, gt = (list(_pictures(clip, crop, chosen)) for clip, crop in zip(clips, crops, strict=True))
    return row.id, gen, gt


def _track(bench: Bench, clip: Clip, n: int) -> Track | None:
    if not bench.protocol.spec.needs_track:
        return None
    settings = bench.settings
    try:
        track = track_faces(
            clip,
            landmarks=settings.landmarks,
            detector=settings.detector,
            face=settings.face,
            cache=bench.cache,
            weights=lambda name: locate(settings, name).path,
            device=settings.device,
        )
    except ClipError:
        return None
    return track.cut(n)


def _pictures(clip: Clip, crop: Crop, chosen: np.ndarray) -> Iterator[Frame]:
    for i in chosen:
        for frame in clip.frames(int(i), int(i) + 1):
            yield render(frame, crop.matrix[i], crop.size)
