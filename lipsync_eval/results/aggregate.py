"""From clips to one number: the plain mean over clips, with a seeded bootstrap interval over clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.results.rows import Interval

N_BOOT = 1000
LEVEL = 0.95
_CHUNK = 4_000_000


def clip_mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean (float64) over the clips that have a value; None when there is none."""
    return float(np.mean(np.asarray(values, np.float64))) if len(values) else None


def bootstrap(
    values: Sequence[float],
    seed: int,
    n_boot: int = N_BOOT,
    level: float = LEVEL,
    groups: Sequence[str] | None = None,
) -> Interval | None:
    """Percentile interval of the mean under resampling of clips, or of groups of clips.

    The generator starts from `seed` alone, so a metric's interval does not depend on which others were asked for.

    Args:
        values: one number per clip, in clip order.
        seed: of numpy's PCG64.
        n_boot: resamples.
        level: coverage, 0..1.
        groups: one name per clip (its speaker): whole groups are drawn, with all their clips; None: single clips.

    Returns:
        the interval, or None for fewer than two clips or groups (there is nothing to resample).
    """
    means = resampled_means(values, seed, n_boot, groups)
    if means is None:
        return None
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(low=float(low), high=float(high), level=level, n_boot=n_boot, seed=seed)


def resampled_means(
    values: Sequence[float], seed: int, n_boot: int, groups: Sequence[str] | None = None
) -> NDArray[np.float64] | None:
    """(n_boot,) means over clips that were drawn with replacement, or over drawn groups; None below two of them."""
    x = np.asarray(values, np.float64)
    totals = x
    counts: NDArray[np.float64] | None = None
    if groups is not None:
        names, place = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
        totals = np.bincount(place, x, len(names)).astype(np.float64)
        counts = np.bincount(place, minlength=len(names)).astype(np.float64)
    n = len(totals)
    if n < 2:
        return None
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // n)
    parts = []
    for start in range(0, n_boot, step):
        drawn = rng.integers(0, n, (min(step, n_boot - start), n))
        parts.append(
            totals[drawn].mean(axis=1) if counts is None else totals[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
        )
    return np.concatenate(parts)
