"""How well the predicted and the heard bands agree, at every shift, and how surely the best shift is the best."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.features.mouth_mel.series import LEAST, STILL
from lipsync_eval.types import Float

SHIFT: Final = 15
"""Frames by which the audio is moved either way."""
NEAR: Final = 2
"""Shifts within this of the best one count as the same peak."""
MEMORY: Final = 8
"""Frames over which neighbouring products are taken as dependent (Newey-West)."""

Curve = Float
"""(31,) correlation at the shifts -15..15; NaN where fewer than 25 frames are left."""


def overlap(n: int, shift: int) -> tuple[slice, slice]:
    """Frames and audio that meet when frame t is paired with audio t - shift (shift > 0: the audio leads)."""
    return slice(max(shift, 0), n + min(shift, 0)), slice(max(-shift, 0), n - max(shift, 0))


def agreement(predicted: Float, mel: Float, seen: NDArray[np.bool_]) -> Curve:
    """Pearson correlation over all frames and bands, at every shift.

    Args:
        predicted: (T, 16).
        mel: (T, 16).
        seen: (T,) frames that count.

    Returns:
        (31,) index k pairs frame t with the audio of frame t - (k - 15): at k > 15 the audio leads the lips.
    """
    out = np.full(2 * SHIFT + 1, np.nan)
    for k in range(len(out)):
        frames, audio = overlap(len(predicted), k - SHIFT)
        used = seen[frames]
        if used.sum() < LEAST:
            continue
        a, b = predicted[frames][used], mel[audio][used]
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        power = float(np.sqrt((a * a).sum() * (b * b).sum()))
        if power > STILL:
            out[k] = np.clip((a * b).sum() / power, -1.0, 1.0)
    return out


def certainty(predicted: Float, mel: Float, seen: NDArray[np.bool_], curve: Curve) -> float:
    """How surely the peak of the curve is higher than the curve anywhere else.

    For every shift more than 2 frames from the peak: the mean over frames of the difference between the frame's product
    (predicted times heard) at the peak and at that shift, over its standard error, in which neighbouring frames are not
    taken as independent (Newey, West 1987, 8 lags). The smallest of these counts.

    Returns:
        in standard errors; 0 or less is no peak. NaN where no other shift can be compared.
    """
    best = int(np.nanargmax(curve))
    products = (predicted - predicted[seen].mean(axis=0)) @ (mel - mel.mean(axis=0)).T
    t = np.arange(len(predicted))
    found = []
    for k in np.flatnonzero(np.isfinite(curve)):
        if abs(k - best) <= NEAR:
            continue
        here, there = t - (best - SHIFT), t - (int(k) - SHIFT)
        both = seen & (np.minimum(here, there) >= 0) & (np.maximum(here, there) < len(t))
        if both.sum() > MEMORY:
            found.append(_t_value(products[t[both], here[both]] - products[t[both], there[both]]))
    return min(found, default=float("nan"))


def _t_value(d: Float) -> float:
    """Mean of a series over its standard error, with Bartlett weights over MEMORY lags."""
    n, mean = len(d), float(d.mean())
    e = d - mean
    variance = float(e @ e) / n
    for lag in range(1, MEMORY + 1):
        variance += 2 * (1 - lag / (MEMORY + 1)) * float(e[:-lag] @ e[lag:]) / n
    return mean / float(np.sqrt(max(variance, 1e-12) / n))
