"""Audio that was decoded as one unbroken line -> audio where its timestamps put it.

Packets get lost, recorders' clocks drift against each other, and containers round times. What a timestamp says of a frame is
how late the frame is against its place on the line. A jump in that lateness is a hole (filled with silence) or an overlap (cut);
a slow change is drift (the samples are stretched); what comes and goes is jitter and rounding (left alone).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MediaError
from lipsync_eval.media.timing import BACKWARDS, JOINED
from lipsync_eval.types import Float

_STEP: Final = 0.0015
"""s. Smaller jumps may be the rounding of two times to 1 ms."""
_NOISE: Final = 6
"""A jump must exceed this many times the usual change from frame to frame."""
_JUMP: Final = 0.04
"""s. A larger jump is one however much the timestamps stray."""
_STRAY: Final = 0.0005
"""s. Audio that lies no further than this from where its timestamps put it is left where it is."""
_AROUND: Final = 2
"""Frames on each side of one that decide by their median: one or two wild timestamps move nothing."""
_SMOOTH: Final = 0.5
"""s over which the lateness is averaged to see drift below the rounding of the clock."""
_TAPS: Final = 16
"""Samples on each side of the kernel that stretches."""
_AT_ONCE: Final = 1 << 16
"""Samples stretched at once."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Samples in their place."""

    samples: NDArray[np.float32]
    """(N,) at the rate asked for."""
    notes: tuple[str, ...] = ()
    """What was filled, cut and stretched."""


def placed(line: NDArray[np.float32], starts: Float, late: Float, rate: int, *, most: float) -> Placed:
    """Move each piece of a line to where its timestamps put it.

    Args:
        line: (N,) all samples in the order in which they were decoded.
        starts: (F,) s on the line at which frames of the source begin, increasing.
        late: (F,) s by which the timestamp of each of them lies behind that.
        rate: samples per second of the line.
        most: s of silence put in at most.

    Raises:
        MediaError: time steps back by more than ffmpeg's threshold, or more silence than `most` would be put in.
    """
    if not len(late) or (float(np.abs(late).max()) <= _STRAY):
        return Placed(line)
    calm = _median(late)
    usual = float(np.median(np.abs(np.diff(late)))) if len(late) > 1 else 0.0
    cuts = [0, *(_jumps(calm, usual) + 1), len(late)]
    # The head was placed by its first timestamp alone. What that one was rounded by is no step between the pieces.
    head = float(_course(calm[: cuts[1]], starts[: cuts[1]], usual)[0])
    calm = calm - head if abs(head) <= _STEP else calm
    pieces: list[NDArray[np.float32]] = []
    at = filled = cut = 0
    stretched = 0.0
    for first, stop in pairwise(cuts):
        begin = round(starts[first] * rate) if first else 0
        end = round(starts[stop] * rate) if stop < len(starts) else len(line)
        piece, shift, drift = _piece(line[begin:end], starts[first:stop], calm[first:stop], begin, rate, usual)
        stretched += drift
        gap = begin + shift - at
        if gap < -float(BACKWARDS) * rate:
            raise MediaError(f"time runs backwards by {-gap / rate:.2f} s: {JOINED}")
        filled, cut = filled + max(gap, 0), cut + min(max(-gap, 0), len(piece))
        if filled > most * rate:
            raise MediaError(f"more than {most:.0f} s are missing in it")
        pieces += [np.zeros(max(gap, 0), np.float32), piece[max(-gap, 0) :]]
        at += max(gap, 0) + max(len(piece) - max(-gap, 0), 0)
    notes = []
    if filled:
        notes.append(f"gaps of {filled / rate:.3f} s in the audio filled with silence")
    if cut:
        notes.append(f"{cut / rate:.3f} s of overlapping audio cut")
    if stretched:
        notes.append(f"audio stretched by {stretched:.3f} s to follow its timestamps, which drift from its samples")
    return Placed(np.concatenate(pieces), tuple(notes))


def _piece(
    line: NDArray[np.float32], starts: Float, calm: Float, begin: int, rate: int, usual: float
) -> tuple[NDArray[np.float32], int, float]:
    """One unbroken piece as it is to sound, samples by which it is moved, and s by which it was stretched.

    `usual`: s by which the lateness changes from frame to frame; what is below that is no drift.
    """
    course = _course(calm, starts, usual)
    drift = float(np.ptp(course))
    if not drift:
        return line, round(float(course[0]) * rate), 0.0
    # Sample positions of knots on the line, and where they belong; the ends move with the knot next to them.
    knots = np.concatenate([[begin], starts[1:] * rate, [begin + len(line)]])
    targets = knots + np.concatenate([course, course[-1:]]) * rate
    shift = 0 if begin == 0 else round(float(targets[0])) - begin
    first = begin + shift
    return _resampled(line, begin, first, round(float(targets[-1])), knots, targets), shift, drift


def _course(calm: Float, starts: Float, usual: float) -> Float:
    """(F,) lateness without rounding and jitter: one value throughout where it does not drift."""
    middle = np.full_like(calm, np.median(calm))
    smooth = _smoothed(calm, starts)
    return middle if float(np.abs(smooth - middle).max()) <= max(_STRAY, usual) else smooth


def _median(values: Float) -> Float:
    """Running median over 2 * _AROUND + 1 values; over fewer, as many on each side, at the ends."""
    if len(values) <= 2 * _AROUND:
        return values.copy()
    out = values.copy()
    windows = np.lib.stride_tricks.sliding_window_view(values, 2 * _AROUND + 1)
    out[_AROUND:-_AROUND] = np.median(windows, axis=1)
    for i in range(1, _AROUND):
        out[i] = np.median(values[: 2 * i + 1])
        out[-1 - i] = np.median(values[-2 * i - 1 :])
    return out


def _jumps(calm: Float, usual: float) -> NDArray[np.int64]:
    """Index of the last frame before each jump."""
    least = min(max(_STEP, _NOISE * usual), _JUMP)
    return np.flatnonzero(np.abs(np.diff(calm)) > least).astype(np.int64)


def _smoothed(values: Float, starts: Float) -> Float:
    """Mean over _SMOOTH s around each value, a straight line at the ends; where there are fewer values, their median."""
    step = float(np.median(np.diff(starts))) if len(starts) > 1 else 0.0
    half = max(1, round(_SMOOTH / step / 2)) if step > 0 else len(values)
    width = 2 * half + 1
    if len(values) < 2 * width:
        return np.full_like(values, np.median(values))
    smooth = np.empty_like(values)
    smooth[half:-half] = np.convolve(values, np.full(width, 1 / width), mode="valid")
    for part in (slice(None, width), slice(-width, None)):
        line = np.polyval(np.polyfit(np.arange(width), values[part], 1), np.arange(width))
        smooth[part] = np.concatenate(
            [line[:half], smooth[part][half:]] if part.start is None else [smooth[part][:-half], line[-half:]]
        )
    return smooth


def _resampled(
    line: NDArray[np.float32], begin: int, first: int, stop: int, knots: Float, targets: Float
) -> NDArray[np.float32]:
    """Samples `first` to `stop` of the result, from a line that begins at sample `begin` (a windowed sinc of 2 * _TAPS samples).

    `knots` are sample positions on the line, `targets` where they belong.
    """
    padded = np.pad(line, _TAPS)
    out = np.empty(max(0, stop - first), np.float32)
    taps = np.arange(1 - _TAPS, _TAPS + 1)
    for done in range(0, len(out), _AT_ONCE):
        wanted = np.arange(first + done, min(first + done + _AT_ONCE, first + len(out)))
        places = np.interp(wanted, targets, knots) - begin
        whole = np.floor(places).astype(np.int64)
        away = taps[None] - (places - whole)[:, None]
        kernel = np.sinc(away) * np.cos(np.pi * away / (2 * _TAPS)) ** 2
        picked = padded[np.clip(whole[:, None] + taps[None] + _TAPS, 0, len(padded) - 1)]
        out[done : done + len(wanted)] = (picked * kernel).sum(axis=1) / kernel.sum(axis=1)
    return out
