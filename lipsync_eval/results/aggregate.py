"""From clips to one number: the plain mean over clips, with a seeded bootstrap interval over clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.results.rows import Interval

N_BOOT = 1000
LEVEL = 0.95
_CHUNK = 250_000
"""Numbers drawn at once: they fit into a core's cache."""


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
    return bootstraps([(values, groups)], seed, n_boot, level)[0]


def bootstraps(
    columns: Sequence[tuple[Sequence[float] | NDArray[np.float64], Sequence[str] | None]],
    seed: int,
    n_boot: int = N_BOOT,
    level: float = LEVEL,
) -> list[Interval | None]:
    """`bootstrap` of several metrics, each given by its values and groups; those with equally many clips share the draws."""
    units = [by_unit(values, groups) for values, groups in columns]
    found: list[Interval | None] = [None] * len(columns)
    for n in {len(totals) for totals, _ in units if len(totals) > 1}:
        members = [i for i, (totals, _) in enumerate(units) if len(totals) == n]
        blocks = [[means_of(drawn, *units[i]) for i in members] for drawn in draws(n, seed, n_boot)]
        for i, parts in zip(members, zip(*blocks, strict=True), strict=True):
            low, high = np.quantile(np.concatenate(parts), [(1 - level) / 2, (1 + level) / 2])
            found[i] = Interval(low=float(low), high=float(high), level=level, n_boot=n_boot, seed=seed)
    return found


def by_unit(
    values: Sequence[float] | NDArray[np.float64], groups: Sequence[str] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """What is drawn: the sum of every group, and how many clips it has (None: single clips, each its own sum)."""
    x = np.asarray(values, np.float64)
    if groups is None:
        return x, None
    names, place = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    return (
        np.bincount(place, x, len(names)).astype(np.float64),
        np.bincount(place, minlength=len(names)).astype(np.float64),
    )


def draws(n: int, seed: int, n_boot: int) -> Iterator[NDArray[np.intp]]:
    """n_boot rows of n numbers below n, drawn with replacement, in blocks of rows (32 bits each: the same numbers sooner)."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // n)
    for start in range(0, n_boot, step):
        yield rng.integers(0, n, (min(step, n_boot - start), n), dtype=np.uint32).astype(np.intp)


def means_of(
    drawn: NDArray[np.intp], totals: NDArray[np.float64], counts: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """(rows,) means of resamples, from what `by_unit` and `draws` give."""
    found: NDArray[np.float64] = (
        totals.take(drawn).mean(axis=1)
        if counts is None
        else totals.take(drawn).sum(axis=1) / counts.take(drawn).sum(axis=1)
    )
    return found
