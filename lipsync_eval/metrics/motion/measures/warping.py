"""Two series of different timing: soft-DTW, derivative DTW, and mean temporal misalignment (MTM).

Soft-DTW: Cuturi, Blondel, ICML 2017 (arXiv:1703.01541), eq. 1, equal to tslearn 0.10.0 `soft_dtw`; as a measure of
talking heads: Zhang et al., Temporally-Aligned Evaluation for Audio-Driven Talking Head Generation, arXiv:2606.01031.
Derivative DTW and MTM: Chae-Yeon et al., CVPR 2025 (arXiv:2503.20308), equal to kaist-ami/Perceptual-3D-Talking-Head@530d075
evaluation/evaluate_MTM.py given the same openings (there the real series is halved first, blindly, from 60 to 30 fps).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float

SIGMA: Final = 2.0
"""Frames: standard deviation of the Gaussian that smooths openings before MTM."""
LONGEST: Final = 6000
"""Frames (4 min) above which series are not aligned: memory grows with the square (0.6 GB at this length)."""


def soft_dtw(a: Float, b: Float, gamma: float) -> float:
    """Soft minimum, over all monotone alignments, of the sum of squared Euclidean distances.

    Args:
        a: (n, D) finite.
        b: (m, D).
        gamma: > 0, in units of a squared distance; towards 0 it becomes plain DTW.

    Returns:
        the raw value, not divided by a length. It is no distance: of a series with itself it is below 0, the more so
        the larger gamma.

    Raises:
        InputError: shapes that do not fit, no frame, values that are not finite, or gamma <= 0.
    """
    a, b = _series(a), _series(b)
    if a.shape[1] != b.shape[1]:
        raise InputError(f"soft_dtw compares series of one dimension, got {a.shape} and {b.shape}")
    if not gamma > 0:
        raise InputError(f"gamma must be above 0, got {gamma}")
    _check_length(len(a), len(b))
    cost = np.stack([np.square(row - b).sum(axis=1) for row in a])
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for d in range(2, n + m + 1):  # cells of one antidiagonal do not depend on each other
        i = np.arange(max(1, d - m), min(n, d - 1) + 1)
        j = d - i
        before = np.stack([total[i - 1, j], total[i, j - 1], total[i - 1, j - 1]])
        least = before.min(axis=0)
        total[i, j] = cost[i - 1, j - 1] + least - gamma * np.log(np.exp((least - before) / gamma).sum(axis=0))
    return float(total[n, m])


def derivative_dtw(a: Float, b: Float) -> tuple[float, NDArray[np.intp]]:
    """Dynamic time warping of the steps from frame to frame (the first step is 0), cost |difference|.

    Args:
        a: (n,) finite.
        b: (m,).

    Returns:
        the cost, and the path: (k, 2) pairs of indices; of equal ways back the diagonal one is taken, then that along `a`.
    """
    _check_length(len(a), len(b))
    da, db = np.diff(a, prepend=a[:1]), np.diff(b, prepend=b[:1])
    cost = np.abs(da[:, None] - db[None])
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for d in range(2, n + m + 1):
        i = np.arange(max(1, d - m), min(n, d - 1) + 1)
        j = d - i
        total[i, j] = cost[i - 1, j - 1] + np.minimum(np.minimum(total[i - 1, j], total[i, j - 1]), total[i - 1, j - 1])
    path = []
    i, j = n, m
    while i > 0 and j > 0:
        path.append((i - 1, j - 1))
        way = int(np.argmin((total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])))
        i, j = i - (way != 2), j - (way != 1)
    return float(total[n, m]), np.array(path[::-1], np.intp)


@dataclass(frozen=True, slots=True)
class Misalignment:
    """What MTM is made of."""

    mean: float | None
    """Frames; None where no extremum is matched."""
    deltas: tuple[int, ...]
    """|frames| between matched extrema, in the order of the path."""


def mtm(gen: Float, real: Float, sigma: float = SIGMA) -> Misalignment:
    """Mean temporal misalignment: how many frames apart the same opening or closing of the lips happens.

    Both series are smoothed and aligned by derivative DTW. Where the path pairs a maximum with a maximum (or a minimum
    with a minimum), and the generated one lies between the real extrema before and after, their distance in time counts.

    Args:
        gen: (n,) opening of the generated lips, finite.
        real: (m,) of the real ones, at the same rate.
        sigma: frames.

    Raises:
        InputError: a series that is empty or not finite.
    """
    from scipy.ndimage import gaussian_filter1d

    x, y = (gaussian_filter1d(_series(s[:, None])[:, 0], sigma=sigma) for s in (real, gen))
    _, path = derivative_dtw(x, y)
    turns, generated = _extrema(x), _extrema(y)
    places = sorted(turns)
    deltas = []
    for i, j in path.tolist():
        if i not in turns or turns[i] != generated.get(j):
            continue
        at = places.index(i)
        left = places[at - 1] if at else 0
        right = places[at + 1] if at + 1 < len(places) else len(x) - 1
        if left <= j <= right:
            deltas.append(abs(i - j))
    return Misalignment(float(np.mean(deltas)) if deltas else None, tuple(deltas))


def _extrema(x: Float) -> dict[int, str]:
    """Frame -> 'max' or 'min'; the middle of a plateau counts."""
    from scipy.signal import find_peaks

    found = {int(i): "max" for i in find_peaks(x)[0]}
    return found | {int(i): "min" for i in find_peaks(-x)[0]}


def _check_length(n: int, m: int) -> None:
    if max(n, m) > LONGEST:
        raise InputError(
            f"series of {n} and {m} frames are too long to align ({LONGEST} at most); cut the videos into parts"
        )


def _series(x: Float) -> Float:
    x = np.asarray(x, np.float64)
    if x.ndim != 2 or not len(x) or not np.isfinite(x).all():
        raise InputError(f"a series must be (T, D) finite numbers with T >= 1, got {x.shape}")
    return x
