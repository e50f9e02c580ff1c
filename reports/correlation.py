"""How well numbers agree with people: Spearman, Kendall and Pearson with bootstrap intervals.

A resample draws clips with all their videos, since videos of one clip are not independent. It is kept as a number of
copies of each video, so that no coefficient is computed video by video: ranks come from cumulated copies, and Kendall's
tau-b from products with the matrix of signs, in blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.results.numbers import rank

Float = NDArray[np.float64]
Kind = Literal["spearman", "kendall", "pearson"]
KINDS: Final[tuple[Kind, ...]] = ("spearman", "kendall", "pearson")
LEAST: Final = 3
"""Pairs; with two every coefficient is -1 or 1."""
_BLOCK: Final = 256


def coefficient(kind: Kind, x: Float, y: Float) -> float | None:
    """Correlation of two lists of numbers.

    Args:
        kind: 'spearman' (Pearson of mean ranks), 'kendall' (tau-b, which counts ties), 'pearson'.
        x, y: (n,) finite.

    Returns:
        -1..1; None for fewer than 3 pairs, or where one side does not vary.
    """
    if len(x) < LEAST:
        return None
    value = float(weighted(kind, x, y, np.ones((1, len(x))))[0])
    return value if np.isfinite(value) else None


def weighted(kind: Kind, x: Float, y: Float, copies: Float) -> Float:
    """The coefficient of each of several resamples.

    Args:
        kind: as in `coefficient`.
        x, y: (n,) finite.
        copies: (B, n) how often each pair stands in a resample; 0 for never.

    Returns:
        (B,) -1..1; NaN where one side does not vary.
    """
    if kind == "kendall":
        return _kendall(x, y, copies)
    if kind == "spearman":
        return _pearson(_ranks(x, copies), _ranks(y, copies), copies)
    return _pearson(np.broadcast_to(x, copies.shape), np.broadcast_to(y, copies.shape), copies)


def drawn_clips(n: int, n_boot: int, seed: int) -> NDArray[np.int64]:
    """(n_boot, n) how often each of n clips is drawn, with replacement."""
    drawn = np.random.default_rng(seed).integers(0, n, (n_boot, n))
    flat = drawn + n * np.arange(n_boot)[:, None]
    return np.bincount(flat.ravel(), minlength=n * n_boot).reshape(n_boot, n)


def interval(values: Float, level: float) -> tuple[float, float] | None:
    """Percentile interval; None where fewer than half of the resamples have a value."""
    good = values[np.isfinite(values)]
    if not len(values) or len(good) < len(values) / 2:
        return None
    low, high = np.quantile(good, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def rows(kind: Kind, x: Float, y: Float) -> Float:
    """(B,) the coefficient of each row of two (B, n) tables; NaN where one side does not vary or a number is missing."""
    if kind == "kendall":
        sx, sy = (np.sign(t[:, :, None] - t[:, None, :]) for t in (x, y))
        in_x, in_y = (np.abs(s).sum(axis=(1, 2)) for s in (sx, sy))
        with np.errstate(divide="ignore", invalid="ignore"):
            out: Float = np.where((in_x > 0) & (in_y > 0), (sx * sy).sum(axis=(1, 2)) / np.sqrt(in_x * in_y), np.nan)
        return out
    if kind == "spearman":
        from scipy.stats import rankdata

        x, y = (np.where(np.isfinite(t), rankdata(t, axis=1, nan_policy="omit"), np.nan) for t in (x, y))
    return _pearson(x, y, np.ones(x.shape))


def _pearson(x: Float, y: Float, copies: Float) -> Float:
    total = copies.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        a = x - (copies * x).sum(axis=1, keepdims=True) / total
        b = y - (copies * y).sum(axis=1, keepdims=True) / total
        xx, yy, xy = ((copies * p).sum(axis=1) for p in (a * a, b * b, a * b))
        flat = (xx <= _rounding(x)) | (yy <= _rounding(y))
        out: Float = np.where(flat, np.nan, np.clip(xy / np.sqrt(xx * yy), -1.0, 1.0))
    return out


def _rounding(x: Float) -> Float:
    """Sums of squares below this are rounding of numbers that are all alike."""
    out: Float = x.shape[1] * (np.abs(x).max(axis=1) * 1e-12) ** 2
    return out


def _ranks(x: Float, copies: Float) -> Float:
    """(B, n) mean ranks within each resample."""
    order = np.argsort(x, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(x[order]) != 0])
    groups = np.add.reduceat(copies[:, order], starts, axis=1)
    middle = np.cumsum(groups, axis=1) - (groups - 1) / 2
    out = np.empty_like(copies)
    out[:, order] = np.repeat(middle, np.diff(np.r_[starts, len(x)]), axis=1)
    return out


def _kendall(x: Float, y: Float, copies: Float) -> Float:
    both, in_x, in_y = (np.zeros(len(copies)) for _ in range(3))
    for start in range(0, len(x), _BLOCK):
        here = slice(start, start + _BLOCK)
        sx, sy = np.sign(x[here, None] - x), np.sign(y[here, None] - y)
        for total, table in ((both, sx * sy), (in_x, np.abs(sx)), (in_y, np.abs(sy))):
            total += ((copies[:, here] @ table) * copies).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        out: Float = np.where((in_x > 0) & (in_y > 0), both / np.sqrt(in_x * in_y), np.nan)
    return out


def goodness(values: Sequence[float] | Float, direction: str | None) -> Float:
    """Values so that more is better: as they are (up, or not known), negated (down), negated absolutes (zero)."""
    return np.array([v if direction is None else -rank(float(v), direction) for v in values], np.float64)
