"""Which frames a figure shows: those at given times, or those where the methods differ most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from lipsync_eval.engine.figure.places import Box
from lipsync_eval.errors import UsageError
from lipsync_eval.types import FPS, Clip, Float

MOST = 12
"""Columns of a figure at most."""
_PATCH = (30, 48)
"""(height, width) px of the mouths that are compared."""


def frames_at(times: Sequence[float], n_frames: int) -> list[int]:
    """The frames that are on screen at these times: frame i from i/25 s until (i + 1)/25 s.

    Args:
        times: seconds from the first frame, in the order of the columns.
        n_frames: of the clip, as it was scored.

    Raises:
        UsageError: no time, too many, one outside the clip, or two in one frame.
    """
    if not 1 <= len(times) <= MOST:
        raise UsageError(f"--at names {len(times)} moments; a figure takes 1 to {MOST}")
    frames = []
    for t in times:
        if not (math.isfinite(t) and t >= 0 and (i := int(t * FPS + 1e-6)) < n_frames):
            raise UsageError(f"--at {t:g}: the clip has {n_frames} frames; give 0 to {(n_frames - 1) / FPS:g} s")
        if i in frames:
            raise UsageError(f"--at {t:g}: frame {i} is named twice; times less than 1/{FPS} s apart are one frame")
        frames.append(i)
    return frames


def differences(clips: Sequence[Clip], mouths: Sequence[Sequence[Box | None]], n_frames: int) -> Float:
    """How much the mouths of several videos differ in every frame.

    Every mouth's rectangle is scaled to 48x30 px and turned to grey (Rec. 601); the difference of two is the mean of the
    absolute difference of their pixels, in levels of 255; a frame's is the mean over all pairs of videos. All videos are
    read once, in step; one frame of each is held.

    Args:
        clips: at least two.
        mouths: of each clip, a rectangle a frame.
        n_frames: that all of them have.

    Returns:
        (n_frames,) 0..255; NaN where a video shows no face.
    """
    out = np.full(n_frames, np.nan)
    streams: list[Iterator[np.ndarray]] = [clip.frames(0, n_frames) for clip in clips]
    for i, frames in enumerate(zip(*streams, strict=True)):
        patches = [
            box.cut(f, _PATCH) @ np.array([0.299, 0.587, 0.114])
            for f, row in zip(frames, mouths, strict=True)
            if (box := row[i]) is not None
        ]
        if len(patches) == len(clips):
            out[i] = np.mean([np.abs(a - b).mean() for a, b in combinations(patches, 2)])
    return out


def most_different(difference: Float, count: int) -> list[int]:
    """The frames with the largest differences that are not close together, in order of time.

    The largest comes first, then the largest of those at least a gap away from all that are taken, and so on; of equals
    the earlier. The gap is n / (2 count) frames. Where no frame is left, fewer are given.

    Args:
        difference: (n,) as `differences` gives.
        count: how many, 1 or more.

    Raises:
        UsageError: no frame in which all videos show a face.
    """
    known = np.where(np.isfinite(difference), difference, -1.0)
    gap = max(1, len(known) // (2 * count))
    taken: list[int] = []
    for i in np.argsort(-known, kind="stable"):
        if len(taken) < count and known[i] >= 0 and all(abs(int(i) - t) >= gap for t in taken):
            taken.append(int(i))
    if not taken:
        raise UsageError("--auto: there is no frame in which all videos show a face; name the moments with --at")
    return sorted(taken)
