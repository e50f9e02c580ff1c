"""Mouth and audio as two series, one row a frame."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError, MetricError
from lipsync_eval.features.style.points import on_mean_face
from lipsync_eval.types import FPS, RATE, Float

LEAST: Final = 25
"""Frames (1 s) that a shift must leave to compare."""
BANDS: Final = 16
SHAPE: Final = 8
"""Measures of a mouth."""
REACH: Final = 2
"""Frames before and after that the map sees."""
LIVELY: Final = 0.2
"""Share of a talking mouth's usual spread below which a mouth is still (speech has 0.5 or more, a frozen frame 0.05)."""
STILL: Final = 1e-6
_LOWEST, _HIGHEST = 80.0, 7600.0
_WINDOW, _HOP, _FFT = 400, 160, 512
_DEPTH = 60.0
"""dB below the band's 95th percentile at which its level is cut, so that pauses count alike."""


def mouth_series(points: Float, mean_face: Float) -> Float:
    """Mouth and chin of every frame.

    Args:
        points: (T, 68, 2) iBUG points in px; NaN where missing.
        mean_face: (68, 2), eyes 1 apart.

    Returns:
        (T, 8) in units of the eyes' distance: inner and outer opening (means of three distances), outer and inner
        width, heights of chin, lower lip, upper lip and mouth corners below the nose; NaN where missing.

    Raises:
        InputError: another shape.
    """
    if points.ndim != 3 or points.shape[1:] != (68, 2):
        raise InputError(f"mouth_series takes (T, 68, 2) points; got {points.shape}")
    out = np.full((len(points), SHAPE), np.nan)
    seen = np.isfinite(points).all(axis=(1, 2))
    if not seen.any():
        return out
    placed = on_mean_face(points[seen], mean_face)

    def apart(a: int, b: int) -> Float:
        return np.asarray(np.linalg.norm(placed[:, a] - placed[:, b], axis=1))

    inner = np.mean([apart(61, 67), apart(62, 66), apart(63, 65)], axis=0)
    outer = np.mean([apart(50, 58), apart(51, 57), apart(52, 56)], axis=0)
    y = placed[..., 1]
    out[seen] = np.stack(
        [inner, outer, apart(48, 54), apart(60, 64), y[:, 8], y[:, 57], y[:, 51], (y[:, 48] + y[:, 54]) / 2], axis=1
    )
    return out


def mel_series(samples: NDArray[np.int16], n_frames: int) -> Float:
    """Level of 16 mel bands under every frame.

    Args:
        samples: (N,) int16 mono at 16 kHz; sample 0 sounds with frame 0.
        n_frames: frames at 25 fps.

    Returns:
        (n_frames, 16) dB, mean of the four windows (25 ms, Hann, pre-emphasis 0.97) that begin in the frame, cut 60 dB
        below the band's 95th percentile. Beyond the end of the audio it is silent.
    """
    x = samples[: n_frames * (RATE // FPS) + _WINDOW].astype(np.float64) / 32768.0
    if len(x):
        x = np.append(x[0], x[1:] - 0.97 * x[:-1])
    steps = RATE // FPS // _HOP
    x = np.pad(x, (0, max(0, (steps * n_frames - 1) * _HOP + _WINDOW - len(x))))
    windows = np.lib.stride_tricks.sliding_window_view(x, _WINDOW)[::_HOP][: steps * n_frames]
    power = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW), _FFT)) ** 2 @ _bank()
    level = 10 * np.log10(power + 1e-12)
    level = np.maximum(level, np.percentile(level, 95, axis=0) - _DEPTH)
    out: Float = level.reshape(n_frames, steps, BANDS).mean(axis=1)
    return out


@lru_cache(maxsize=1)
def _bank() -> Float:
    """(257, 16) triangles evenly spaced in mel from 80 to 7600 Hz, each with height 1."""
    top, bottom = (2595 * np.log10(1 + f / 700) for f in (_HIGHEST, _LOWEST))
    corners = 700 * (10 ** (np.linspace(bottom, top, BANDS + 2) / 2595) - 1)
    f = np.fft.rfftfreq(_FFT, 1 / RATE)[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    out: Float = np.maximum(0.0, np.minimum((f - left) / (middle - left), (right - f) / (right - middle)))
    return out


def prepared(mouth: Float, mel: Float, spread: Float | None = None) -> tuple[Float, Float, NDArray[np.bool_]]:
    """What the map works on.

    Args:
        mouth: (T, 8) of `mouth_series`.
        mel: (T, 16) of `mel_series`.
        spread: (8,) usual standard deviations of a talking mouth; None: any movement will do.

    Returns:
        (T, 40) standardised measures of frames t - 2 .. t + 2 (gaps filled by straight lines, ends repeated),
        (T, 16) standardised bands, and (T,) frames whose mouth was seen: the others enter no correlation.

    Raises:
        MetricError: too few frames with a mouth, or mouth or audio do not change at all.
    """
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(mouth).all(axis=1))
    if seen.sum() < LEAST:
        raise MetricError(
            f"a mouth was seen in {int(seen.sum())} frames; {LEAST} are needed to compare it with the audio"
        )
    if spread is not None and (moves := float(np.mean(mouth[seen].std(axis=0) / spread))) < LIVELY:
        raise MetricError(
            f"the mouth hardly moves: {100 * moves:.0f} % of what talking mouths do, {100 * LIVELY:.0f} % are needed to compare it with the audio"
        )
    if mouth[seen].std(axis=0).max() < STILL or mel.std(axis=0).max() < STILL:
        raise MetricError("the mouth or the audio does not change at all: there is no correlation")
    t = np.arange(len(mouth))
    filled = np.stack([np.interp(t, t[seen], column[seen]) for column in mouth.T], axis=1)
    rows = np.clip(t[:, None] + np.arange(-REACH, REACH + 1), 0, len(t) - 1)
    return _standard(filled, seen)[rows].reshape(len(t), -1), _standard(mel), seen


def _standard(x: Float, where: NDArray[np.bool_] | None = None) -> Float:
    """(T, D) with mean 0 and standard deviation 1 (0 where a column does not change), both over `where`."""
    used = x if where is None else x[where]
    spread = used.std(axis=0)
    out: Float = (x - used.mean(axis=0)) / np.where(spread > STILL, spread, np.inf)
    return out
