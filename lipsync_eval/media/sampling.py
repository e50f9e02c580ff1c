"""Which frame of a file stands for each 25th of a second.

Slot k lasts from k/25 to (k+1)/25 s after the first frame. Its sample is the frame that is on the screen at the middle of
the slot: the last one whose time is before (k + 1/2)/25. These are the frames that ffmpeg's `setpts=PTS-STARTPTS,fps=25`
gives. A frame that is held stays for as long as it is held, and whether it is held or repeated in the file makes no difference.

The clock of a container may be coarse: Matroska and FLV round times to 1 ms. Rounding must not decide which frame is taken,
or the same packets in another container would give other samples. So where all timestamps are whole steps of one constant
rate, rounded to the container's clock, the exact times of that rate are used; else all times are rounded to 1 ms.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import numpy as np

from lipsync_eval.errors import MediaError
from lipsync_eval.media.timing import Integers, Times
from lipsync_eval.types import FPS

MAX_SECONDS: Final = 24 * 3600
"""Longer clips are refused: timestamps of damaged files would ask for any amount of memory."""
_USUAL: Final = tuple(
    Fraction(rate)
    for rate in (
        Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, Fraction(48000, 1001), 48, 50,
        Fraction(60000, 1001), 60, 100, Fraction(120000, 1001), 120,
    )
)  # fmt: skip
"""Frames per second. A lower rate that divides one of these (12.5, 15) is on its grid."""
_CLOCK: Final = Fraction(1, 1000)
"""s. The coarsest clock in wide use."""
_TICKS: Final = 4
"""Ticks in a step from which on it is no accident that all times lie on a grid to one tick."""


def sample(times: Times) -> Integers:
    """Index of the frame that stands for every 25th of a second.

    The number of samples is the duration times 25, rounded half up, at least 1: a file of N frames at 25 fps gives N.

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
    shown, unit, last = _exact(times)
    n = max(1, int((int(shown[-1]) * unit + last) * FPS + Fraction(1, 2)))
    # Frame i is shown before the middle of slot k when t_i * num * 50 < (2k + 1) * den: integers, no rounding.
    middles = (2 * np.arange(n, dtype=np.int64) + 1) * unit.denominator
    before = np.searchsorted(shown * (unit.numerator * 2 * FPS), middles, side="left")
    return np.maximum(before - 1, 0).astype(np.int64)


def _exact(times: Times) -> tuple[Integers, Fraction, Fraction]:
    """Times from the first frame on, their unit (s) and how long (s) the last frame is shown."""
    shown = times.ticks - times.ticks[0]
    if times.tick > _CLOCK:  # AVI and the like count frames
        return shown, times.tick, times.last
    for rate in (*_USUAL, *times.rates):
        steps = _steps(shown, times.tick, rate)
        if steps is not None:
            last = round(times.last * rate) / rate
            return steps, 1 / rate, last if abs(last - times.last) <= times.tick else times.last
    # As a muxer rounds: each time by itself, not its distance from the first.
    first = int(times.ticks[0]) * times.tick / _CLOCK
    rest = first - math.floor(first + Fraction(1, 2))
    return _rounded(shown, times.tick / _CLOCK, rest), _CLOCK, round(times.last / _CLOCK) * _CLOCK


def _steps(shown: Integers, tick: Fraction, rate: Fraction) -> Integers | None:
    """The times in whole steps of a rate; None where they do not lie on its grid to within the rounding of one tick."""
    share = tick * rate  # steps per tick
    if share * _TICKS > 1 or int(shown[-1]) * share.numerator > 1 << 61 or share.denominator > 1 << 61:
        return None
    steps = _rounded(shown, share)
    beside = shown * share.numerator - steps * share.denominator  # in units of 1/denominator of a step
    fits = int(beside.max() - beside.min()) <= share.numerator and bool((np.diff(steps) > 0).all())
    return steps if fits else None


def _rounded(values: Integers, factor: Fraction, rest: Fraction = Fraction(0)) -> Integers:
    """values * factor + rest, rounded half up, in integers; `rest` is a whole number of 1/denominator of the factor."""
    scaled = values * factor.numerator + int(rest * factor.denominator)
    rounded: Integers = (2 * scaled + factor.denominator) // (2 * factor.denominator)
    return rounded
