"""Blinks from the eye aspect ratio of the 68 points.

Soukupova, Cech: Real-Time Eye Blink Detection using Facial Landmarks, Computer Vision Winter Workshop 2016, eq. 1.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float

DEPTH: Final = 0.25
"""A blink is a ratio at least this share below the ratio around it (median over 1 s either side)."""
SHORTEST: Final = 2
"""Frames (80 ms) that a blink lasts at least."""
LONGEST: Final = 12
"""Frames (480 ms): a longer closing is no blink."""
AROUND: Final = 25
"""Frames either side over which an eye's usual ratio is taken."""


def eye_aspect_ratio(points: Float) -> Float:
    """(|p2 - p6| + |p3 - p5|) / (2 |p1 - p4|), mean of both eyes.

    Args:
        points: (T, 68, 2) iBUG points; NaN where missing.

    Returns:
        (T,) about 0.3 for open eyes, 0.1 for closed ones; NaN where missing or the eye corners coincide.

    Raises:
        InputError: another shape.
    """
    if points.ndim != 3 or points.shape[1:] != (68, 2):
        raise InputError(f"eye_aspect_ratio takes (T, 68, 2) points; got {points.shape}")

    def apart(a: int, b: int) -> Float:
        return np.asarray(np.linalg.norm(points[:, a] - points[:, b], axis=1))

    def ratio(first: int) -> Float:
        width = apart(first, first + 3)
        high = apart(first + 1, first + 5) + apart(first + 2, first + 4)
        return np.asarray(high / (2 * np.where(width > 0, width, np.nan)))

    out: Float = (ratio(36) + ratio(42)) / 2
    return out


def blinks(ratio: Float) -> NDArray[np.intp]:
    """Frames in which blinks begin.

    A blink is a run of 2 to 12 frames whose ratio is at least 25 % below the median of the ratios within 25 frames
    either side. The threshold hangs on the person's own eyes, so that narrow eyes are no blinks. A missing frame ends a run.

    Args:
        ratio: (T,) of `eye_aspect_ratio`.

    Returns:
        (n,) first frame of each blink, ascending.
    """
    usual = np.array([_median(ratio[max(0, t - AROUND) : t + AROUND + 1]) for t in range(len(ratio))])
    with np.errstate(invalid="ignore"):
        closed = ratio < (1 - DEPTH) * usual
    edges = np.flatnonzero(np.diff(np.concatenate([[False], closed, [False]]).astype(np.int8))).reshape(-1, 2)
    return np.array([a for a, b in edges if SHORTEST <= b - a <= LONGEST], np.intp)


def _median(x: Float) -> float:
    good = x[np.isfinite(x)]
    return float(np.median(good)) if len(good) else float("nan")
