"""Which picture is shown at each 25th of a second."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MediaError
from lipsync_eval.types import FPS

MAX_SECONDS: Final = 24 * 3600
"""Longer clips are refused: timestamps of damaged files would ask for any amount of memory."""


def sample(pts: NDArray[np.int64], tick: Fraction, last: Fraction) -> NDArray[np.int64]:
    """Number of the picture nearest to k/25 s after the first one, for every k.

    A tie goes to the earlier picture, the one that is on the screen at that moment. The number of samples is the
    duration times 25, rounded half up, at least 1: a file of N pictures at 25 fps gives N.

    Args:
        pts: (N,) strictly increasing timestamps in ticks.
        tick: seconds per tick.
        last: how long the last picture is shown, in seconds.

    Returns:
        (n,) non-decreasing numbers of pictures, 0..N-1.

    Raises:
        MediaError: the timestamps span more than a day.
    """
    seconds = int(pts[-1] - pts[0]) * tick + last
    if seconds > MAX_SECONDS:
        raise MediaError(
            f"timestamps span {float(seconds):.0f} s, more than the {MAX_SECONDS} s allowed: the file is damaged or "
            "too long; cut it into clips"
        )
    n = max(1, int(seconds * FPS + Fraction(1, 2)))
    ticks = pts - pts[0]
    # k/25 lies beyond the middle of pictures i and i+1 when (t_i + t_i+1) * num * 25 < 2 k * den: integers, no rounding.
    middles = (ticks[:-1] + ticks[1:]) * (tick.numerator * FPS)
    wanted = np.arange(n, dtype=np.int64) * (2 * tick.denominator)
    return np.searchsorted(middles, wanted, side="left")
