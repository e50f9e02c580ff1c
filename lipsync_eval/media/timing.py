"""When each picture of a file is shown, and which one is shown at each 25th of a second."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MediaError
from lipsync_eval.types import FPS

NO_TIME: Final = -(1 << 63)
"""Stands for a picture without a timestamp."""
MAX_SECONDS: Final = 24 * 3600
"""Longer clips are refused: timestamps of damaged files would ask for any amount of memory."""
_JITTER: Final = Fraction(1, 500)
"""s. Steps between pictures that differ by less are rounding of the container's clock."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Times:
    """When the pictures of a file are shown."""

    ticks: Integers
    """(N,) strictly increasing timestamps."""
    number: Integers
    """(N,) which decoded picture each one is: 0, 1, 2... unless some were left out."""
    tick: Fraction
    """s per tick."""
    last: Fraction
    """s the last picture is shown."""
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> Fraction:
        """From the first picture to the end of the last."""
        return int(self.ticks[-1] - self.ticks[0]) * self.tick + self.last

    @property
    def origin(self) -> Fraction:
        """Timestamp (s) of the first picture: the clip's t = 0."""
        return int(self.ticks[0]) * self.tick


def place(pts: Integers, dts: Integers, tick: Fraction, last: int, *, rate: Fraction, by_decoding: bool) -> Times:
    """Give every decoded picture its time.

    Args:
        pts: (N,) timestamps of the decoded pictures in their order, NO_TIME where there is none.
        dts: decoding times of all packets that hold a picture.
        tick: s per tick.
        last: ticks that the last picture is shown; 0 where the file does not say: then the mean gap.
        rate: pictures per second as the header has it.
        by_decoding: the format has no presentation times: the k-th picture gets the k-th decoding time.

    Returns:
        times of those pictures that come later than the one before; the others are left out, and counted in the notes.
    """
    notes = []
    ticks = pts
    step = max(1, round(1 / (rate * tick)))
    if by_decoding and len(dts):
        ticks = np.sort(dts)[: len(pts)]
        extra = np.arange(1, len(pts) - len(ticks) + 1) * step
        ticks = np.concatenate([ticks, ticks[-1] + extra])
    untimed = int((ticks == NO_TIME).sum())
    if untimed:
        ticks = _filled(ticks, step)
        notes.append(f"{untimed} pictures without a timestamp: put {1 / float(step * tick):.4g} to the second")
    before = np.maximum.accumulate(ticks)
    later = np.concatenate([[True], ticks[1:] > before[:-1]])
    if not later.all():
        notes.append(f"{int((~later).sum())} pictures left out whose timestamp is not later than one before")
    number = np.flatnonzero(later).astype(np.int64)
    ticks = ticks[later]
    gaps = np.diff(ticks)
    if last <= 0:
        last = round(gaps.mean()) if len(gaps) else step
    if not len(gaps):
        notes.append("a single picture")
    elif gaps.max() > 1.5 * gaps.min() and int(gaps.max() - gaps.min()) * tick > _JITTER:
        low, high = (float(int(gap) * tick * 1000) for gap in (gaps.min(), gaps.max()))
        notes.append(f"variable rate: {low:.4g} to {high:.4g} ms from picture to picture")
    return Times(ticks, number, tick, last * tick, tuple(notes))


def sample(times: Times) -> Integers:
    """Index of the picture nearest to k/25 s after the first one, for every k.

    A tie goes to the earlier picture, the one that is on the screen at that moment. The number of samples is the
    duration times 25, rounded half up, at least 1: a file of N pictures at 25 fps gives N.

    Returns:
        (n,) non-decreasing indices into `times.ticks`.

    Raises:
        MediaError: the timestamps span more than a day.
    """
    if times.seconds > MAX_SECONDS:
        raise MediaError(
            f"timestamps span {float(times.seconds):.0f} s, more than the {MAX_SECONDS} s allowed: the file is damaged or "
            "too long; cut it into clips"
        )
    n = max(1, int(times.seconds * FPS + Fraction(1, 2)))
    ticks = times.ticks - times.ticks[0]
    # k/25 s lies beyond the middle of pictures i and i+1 when (t_i + t_i+1) * num * 25 < 2 k * den: integers, no rounding.
    middles = (ticks[:-1] + ticks[1:]) * (times.tick.numerator * FPS)
    wanted = np.arange(n, dtype=np.int64) * (2 * times.tick.denominator)
    return np.searchsorted(middles, wanted, side="left").astype(np.int64)


def _filled(ticks: Integers, step: int) -> Integers:
    """Missing timestamps: one step after the picture before; at the head, one step before the picture after."""
    known = np.flatnonzero(ticks != NO_TIME)
    if not len(known):
        return np.arange(len(ticks), dtype=np.int64) * step
    index = np.arange(len(ticks))
    anchor = known[np.maximum(np.searchsorted(known, index, side="right") - 1, 0)]
    filled: Integers = ticks[anchor] + (index - anchor) * step
    return filled
