"""What the motion families share: meters that do not look at frames, and the landmarks of a side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lipsync_eval.batch import Batch
from lipsync_eval.errors import MetricError
from lipsync_eval.features.mouth_mel import shipped
from lipsync_eval.features.style.points import on_mean_face
from lipsync_eval.metrics.base import NO_FRAMES, Measurement
from lipsync_eval.types import Float, Pair, Side


class WholeClipMeter:
    """One pair, measured at the end from its tracks, audio or files."""

    looks_at = NO_FRAMES

    def __init__(self, pair: Pair, compute: Callable[[Pair], Measurement]) -> None:
        self._pair, self._compute = pair, compute

    def update(self, batch: Batch) -> None:
        """Frames are not needed."""

    def finish(self) -> Measurement:
        """The clip's numbers."""
        return self._compute(self._pair)


def points_of(side: Side, n_frames: int, which: str) -> Float:
    """(n_frames, 68, 2) px of the source frame, NaN where there is no face; the track's own short interpolations are in it.

    Raises:
        MetricError: no track, or no face in any frame.
    """
    out = np.full((n_frames, 68, 2), np.nan)
    if side.track is not None:
        known = side.track.points[:n_frames]
        out[: len(known)] = np.where(np.isfinite(known).all(axis=(1, 2), keepdims=True), known, np.nan)
    if not np.isfinite(out).any():
        raise MetricError(f"the {which} video has no face in any frame")
    return out


def placed(points: Float) -> Float:
    """(T, 68, 2) the same, every frame moved and scaled so that nose and eye corners lie on the mean face, eyes 1 apart.

    Where the head is and how large it is does not matter then; turning it aside still does.
    """
    out = np.full(points.shape, np.nan)
    seen = np.isfinite(points).all(axis=(1, 2))
    out[seen] = on_mean_face(points[seen], shipped().mean_face)
    return out


def mean_face_key() -> dict[str, str]:
    """What of `placed` belongs in a signature."""
    return {"mean": shipped().digest}


def filled(series: Float) -> tuple[Float, int]:
    """(T, D) with gaps filled by straight lines (ends repeated), and how many frames were filled. Some frame must be there."""
    seen = np.isfinite(series).all(axis=1)
    t = np.arange(len(series))
    out: Float = np.stack([np.interp(t, t[seen], column[seen]) for column in series.T], axis=1)
    return out, int((~seen).sum())


def lost(points: Float) -> int:
    """Frames without a face."""
    return int((~np.isfinite(points).all(axis=(1, 2))).sum())


def left_out(what: str, gone: int, n_frames: int, which: str, how: str = "left out") -> list[str]:
    """The note about frames without a face, where there are any."""
    return [f"{what}: {gone} of {n_frames} frames of the {which} video have no face and are {how}"] if gone else []
