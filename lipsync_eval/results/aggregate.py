"""From clips to one number: the plain mean over clips, with a seeded bootstrap interval over clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lipsync_eval.results.schema import Interval

N_BOOT = 1000
LEVEL = 0.95
_CHUNK = 4_000_000


def clip_mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean (float64) over the clips that have a value; None when there is none."""
    return float(np.mean(np.asarray(values, np.float64))) if len(values) else None


def bootstrap(values: Sequence[float], seed: int, n_boot: int = N_BOOT, level: float = LEVEL) -> Interval | None:
    """Percentile interval of the mean under resampling of clips.

    The generator starts from `seed` alone, so a metric's interval does not depend on which others were asked for.

    Args:
        values: one number per clip, in clip order.
        seed: of numpy's PCG64.
        n_boot: resamples.
        level: coverage, 0..1.

    Returns:
        the interval, or None for fewer than two clips (there is nothing to resample).
    """
    x = np.asarray(values, np.float64)
    if len(x) < 2:
        return None
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(x))
    means = np.concatenate(
        [x[rng.integers(0, len(x), (min(step, n_boot - i), len(x)))].mean(axis=1) for i in range(0, n_boot, step)]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(low=float(low), high=float(high), level=level, n_boot=n_boot, seed=seed)
