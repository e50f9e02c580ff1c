"""The Frechet distance of two sets of features, as it is and extrapolated to sets without end."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.metrics.helpers.frechet import Moments, frechet_distance

SIZES: Final = 15
"""Sizes of subsets from which is extrapolated."""


def frechet(gen: NDArray[np.floating], real: NDArray[np.floating]) -> float:
    """Frechet distance of (N, D) and (M, D) features, N and M at least 2; rounding may end below 0.

    Raises:
        InputError: other shapes, fewer rows, NaN or infinite values.
    """
    a, b = Moments.of(gen), Moments.of(real)
    return frechet_distance(a.mean, a.covariance, b.mean, b.covariance)


def extrapolated(gen: NDArray[np.floating], real: NDArray[np.floating]) -> float:
    """The distance at 1/n = 0 of a line through the distances of subsets of n windows.

    Source: Chong and Forsyth, CVPR 2020 (arXiv:1911.07023), with the same n windows on both sides, since here both sides
    are small. n runs from half of the windows to all of them. The subsets are drawn with a fixed seed.

    Args:
        gen: (N, D), N at least 4.
        real: (N, D), row i of the same clip and frames as row i of `gen`.

    Returns:
        may be below 0.
    """
    rng = np.random.default_rng(20201911)
    sizes = np.unique(np.linspace(max(len(gen) // 2, 2), len(gen), SIZES).astype(int))
    chosen = [rng.permutation(len(gen))[:n] for n in sizes]
    values = [frechet(gen[rows], real[rows]) for rows in chosen]
    return float(np.polynomial.Polynomial.fit(1.0 / sizes, values, 1).convert()(0.0))
