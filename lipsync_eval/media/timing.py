"""When each frame of a file is shown, by the timestamps of the frames that were decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MediaError

NO_TIME: Final = -(1 << 63)
"""Stands for a frame without a timestamp."""
MAX_HELD: Final = 60
"""s that one frame may be shown. A damaged or hostile header could else ask for any number of samples."""
MAX_RATE: Final = 1000
"""Frames per second that a file may have on average."""
BACKWARDS: Final = Fraction(1, 10)
"""s. Timestamps that step back by more than this begin another recording (ffmpeg's threshold too)."""
_LEFT_OUT: Final = (5, 20)
"""Frames that may be left out because their timestamps are not later than one before: so many, or one in so many."""
JOINED: Final = (
    "the file seems to be several recordings joined; join them with ffmpeg's concat demuxer, or score each alone"
)
"""What is said of a file that is more than one recording."""
_JITTER: Final = Fraction(1, 500)
"""s. Steps between frames that differ by less are rounding of the container's clock."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Times:
    """When the frames of a file are shown."""

    ticks: Integers
    """(N,) strictly increasing timestamps."""
    number: Integers
    """(N,) which decoded frame each one is: 0, 1, 2... unless some were left out."""
    tick: Fraction
    """s per tick."""
    last: Fraction
    """s the last frame is shown."""
    rates: tuple[Fraction, ...] = ()
    """Frames per second as the header has it, in up to three readings."""
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> Fraction:
        """From the first frame to the end of the last."""
        return int(self.ticks[-1] - self.ticks[0]) * self.tick + self.last

    @property
    def origin(self) -> Fraction:
        """Timestamp (s) of the first frame: the clip's t = 0."""
        return int(self.ticks[0]) * self.tick


def place(
    pts: Integers,
    tick: Fraction,
    last: int,
    end: int = NO_TIME,
    *,
    rates: Sequence[Fraction],
    by_decoding: bool = False,
) -> Times:
    """Give every decoded frame its time.

    Args:
        pts: (N,) timestamps of the decoded frames in their order, NO_TIME where there is none.
        tick: s per tick.
        last: ticks that the last frame is shown; 0 where the file does not say: then the median step.
        end: tick at which the file's last packet ends, with a frame of its own or not; a later end holds the last frame.
        rates: frames per second by the header, the most trustworthy first; at least one.
        by_decoding: the format has no presentation times, and `pts` are the decoding times of the packets that the frames
            came from: they are put in order.

    Returns:
        times of those frames that come later than the one before; the others are left out, and counted in the notes.

    Raises:
        MediaError: time runs backwards (joined recordings), a frame is held for longer than MAX_HELD, or there are more than
            MAX_RATE frames a second.
    """
    notes = []
    ticks = pts
    step = max(1, round(1 / (rates[0] * tick)))
    untimed = int((ticks == NO_TIME).sum())
    if untimed:
        ticks = _filled(ticks, step)
        notes.append(f"{untimed} frames without a timestamp: put {1 / float(step * tick):.4g} to the second")
    elif by_decoding:
        ticks = np.sort(ticks)
    later = _later(ticks, tick)
    if not later.all():
        notes.append(f"{int((~later).sum())} frames left out whose timestamp is not later than one before")
    number = np.flatnonzero(later).astype(np.int64)
    ticks = ticks[later]
    gaps = np.diff(ticks)
    if last <= 0:
        last = round(float(np.median(gaps))) if len(gaps) else step
    last = max(last, end - int(ticks[-1]) if end != NO_TIME else 0)
    _check_steps(gaps, last, tick)
    if not len(gaps):
        notes.append("a single frame")
    elif gaps.max() > 1.5 * gaps.min() and int(gaps.max() - gaps.min()) * tick > _JITTER:
        low, high = (float(int(gap) * tick * 1000) for gap in (gaps.min(), gaps.max()))
        notes.append(f"variable rate: {low:.4g} to {high:.4g} ms from frame to frame")
    return Times(ticks, number, tick, last * tick, tuple(rates), tuple(notes))


def _later(ticks: Integers, tick: Fraction) -> NDArray[np.bool_]:
    """(N,) whether each frame comes later than all before it.

    Raises:
        MediaError: time steps back, or stands still for many frames.
    """
    before = np.maximum.accumulate(ticks)
    back = before[:-1] - ticks[1:]
    later: NDArray[np.bool_] = np.concatenate([[True], back < 0])
    worst = int(back.max(initial=0)) * tick
    lost = int((~later).sum())
    few, share = _LEFT_OUT
    if worst > BACKWARDS or lost > max(few, len(ticks) // share):
        first = int(np.flatnonzero(~later)[0])
        raise MediaError(
            f"time runs backwards or stands still at frame {first} of {len(ticks)} (by {float(worst):.2f} s; {lost} frames are not "
            f"later than one before): {JOINED}"
        )
    return later


def _check_steps(gaps: Integers, last: int, tick: Fraction) -> None:
    held = max(int(gaps.max(initial=0)), last) * tick
    if held > MAX_HELD:
        raise MediaError(
            f"one frame is held for {float(held):.2f} s; at most {MAX_HELD} s are accepted: the timestamps are wrong, or this is "
            "no video of a talking face; make it again"
        )
    span = int(gaps.sum()) * tick
    if len(gaps) > MAX_RATE * span and len(gaps):
        raise MediaError(
            f"{len(gaps) + 1} frames within {float(span):.3g} s, more than {MAX_RATE} a second: the rate in the header is wrong; "
            "make it again (ffmpeg -r RATE -i FILE ...)"
        )


def _filled(ticks: Integers, step: int) -> Integers:
    """Missing timestamps: one step after the frame before; at the head, one step before the frame after."""
    known = np.flatnonzero(ticks != NO_TIME)
    if not len(known):
        return np.arange(len(ticks), dtype=np.int64) * step
    index = np.arange(len(ticks))
    anchor = known[np.maximum(np.searchsorted(known, index, side="right") - 1, 0)]
    filled: Integers = ticks[anchor] + (index - anchor) * step
    return filled
