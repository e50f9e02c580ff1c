"""Natural scene statistics: what NIQE and BRISQUE read in a grey frame. Pure functions on arrays.

Source: Mittal, Moorthy, Bovik, IEEE Transactions on Image Processing 21(12), 2012, eqs. 1-11; Mittal, Soundararajan,
Bovik, IEEE Signal Processing Letters 20(3), 2013. Public codes differ in the window's precision, the border, how exact
zeros count and how the frame is halved; the arguments name these differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import Float

Border = Literal["replicate", "zeros"]
SHIFTS: Final = ((0, 1), (1, 0), (1, 1), (1, -1))
"""(rows, columns) to the neighbours whose products are described."""
SIGMA: Final = 7.0 / 6.0
_SIDE: Final = 7


@dataclass(frozen=True, slots=True)
class Fit:
    """Asymmetric generalised Gaussians, one a row of values."""

    alpha: Float
    """(N,) shape; NaN where it cannot be told."""
    left: Float
    """(N,) root of the mean square of the negative values."""
    right: Float
    """(N,) the same of the others."""

    @property
    def width(self) -> Float:
        """(N,) sqrt(gamma(1/alpha) / gamma(3/alpha)): from a standard deviation to beta."""
        from scipy.special import gamma

        out: Float = np.sqrt(gamma(1 / self.alpha) / gamma(3 / self.alpha))
        return out

    @property
    def lift(self) -> Float:
        """(N,) gamma(2/alpha) / gamma(1/alpha): from a difference of betas to the mean."""
        from scipy.special import gamma

        out: Float = gamma(2 / self.alpha) / gamma(1 / self.alpha)
        return out


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over rows of values, all that a fit reads."""

    n: NDArray[np.intp]
    """(N,) values in each row."""
    absolute: Float
    """(N,) sum of |x|."""
    negative: Float
    """(N,) sum of x^2 over x < 0."""
    positive: Float
    """(N,) sum of x^2 over x > 0."""
    n_negative: NDArray[np.intp]
    n_positive: NDArray[np.intp]

    @classmethod
    def of(cls, x: Float, memory: Float | None = None) -> Moments:
        """Of (N, n) values; `memory`, (N, n), is overwritten."""
        size = np.abs(x, out=memory)
        absolute, squares, signed = size.sum(1), _dots(x, x), _dots(x, size)
        negative, positive = (squares - signed) / 2, (squares + signed) / 2
        thin = np.minimum(negative, positive) < 1e-6 * squares  # there the difference holds too few digits
        if thin.any():
            negative[thin], positive[thin] = (_dots(p, p) for p in (np.minimum(x[thin], 0), np.maximum(x[thin], 0)))
        return cls(
            n=np.full(len(x), x.shape[1]),
            absolute=absolute,
            negative=negative,
            positive=positive,
            n_negative=_counts(x < 0),
            n_positive=_counts(x > 0),
        )

    @classmethod
    def stacked(cls, parts: Sequence[Moments]) -> Moments:
        """All rows of several, one behind the other."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


def _dots(a: Float, b: Float) -> Float:
    """(N,) sums of products of (N, n)."""
    out: Float = np.matmul(a[:, None, :], b[:, :, None])[:, 0, 0]
    return out


def _counts(rows: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(N,) of (N, n); row by row, since NumPy counts along an axis five times as slowly."""
    return np.array([np.count_nonzero(row) for row in rows], np.intp)


def wrapped_product(squares: Float, shift: tuple[int, int], out: Float | None = None) -> Float:
    """Each value times its neighbour, squares * np.roll(squares, shift, (-2, -1)): what lies outside comes from the other end.

    Args:
        squares: (..., H, W).
        shift: (rows, columns), each -1, 0 or 1.
        out: memory of the same shape.
    """
    out = np.empty_like(squares) if out is None else out
    for rows, rows_from in _parts(shift[0]):
        for columns, columns_from in _parts(shift[1]):
            here, there = squares[..., rows, columns], squares[..., rows_from, columns_from]
            np.multiply(here, there, out=out[..., rows, columns])
    return out


def _parts(shift: int) -> tuple[tuple[slice, slice], ...]:
    """Where each part of an axis takes its neighbours from."""
    if shift == 0:
        return ((slice(None), slice(None)),)
    if shift == 1:
        return (slice(1, None), slice(None, -1)), (slice(0, 1), slice(-1, None))
    return (slice(None, -1), slice(1, None)), (slice(-1, None), slice(0, 1))


def fit_table(moments: Moments, *, zeros_right: bool, last: float = 10.0) -> Fit:
    """The fit by moments, alpha from a table of 0.2 to `last` in steps of 0.001.

    Args:
        moments: of the values.
        zeros_right: whether values of exactly 0 count on the right side (scikit-video) or on none (BasicSR, pyiqa).
        last: end of the table.

    Returns:
        NaN where a side is empty, unless `zeros_right`.
    """
    left, right = sides(moments, zeros_right)
    alphas, ratios = _table(last)
    wanted = generalised_ratio(moments, left, right)
    at = np.searchsorted(ratios, wanted).clip(1, len(ratios) - 1)
    at -= wanted - ratios[at - 1] <= ratios[at] - wanted
    return Fit(np.where(np.isnan(wanted), np.nan, alphas[at]), left, right)


def fit_root(moments: Moments) -> Fit:
    """The fit by moments with alpha as the root itself (brisque of PyPI), to a relative error of 1e-12; zeros count right.

    Newton's method in log alpha, from the table's nearest value. NaN where no alpha in 0.05..50 fits.
    """
    left, right = sides(moments, zeros_right=True)
    wanted = generalised_ratio(moments, left, right)
    logs, ratios = _wide_table()
    known = (wanted > ratios[0]) & (wanted < ratios[-1])
    target = np.where(known, wanted, ratios[len(ratios) // 2])
    x = np.interp(target, ratios, logs)
    for _ in range(20):
        step = 1e-6
        slope = (shape_ratio(np.exp(x + step)) - shape_ratio(np.exp(x - step))) / (2 * step)
        move = (shape_ratio(np.exp(x)) - target) / slope
        x = x - move
        if np.abs(move).max() < 1e-12:
            break
    return Fit(np.where(known, np.exp(x), np.nan), left, right)


def fit_symmetric(moments: Moments) -> tuple[Float, Float]:
    """(N,) alpha and (N,) variance of symmetric generalised Gaussians, from the same table by nearest 1 / ratio (pyiqa)."""
    squares = (moments.negative + moments.positive) / moments.n
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = squares / (moments.absolute / moments.n) ** 2
    alphas, ratios = _table(10.0005)
    inverse = 1.0 / ratios[::-1]
    at = np.searchsorted(inverse, wanted).clip(1, len(inverse) - 1)
    at -= wanted - inverse[at - 1] < inverse[at] - wanted
    return np.where(np.isnan(wanted), np.nan, alphas[::-1][at]), squares


def sides(moments: Moments, zeros_right: bool) -> tuple[Float, Float]:
    """(N,) roots of the mean squares of the left and of the right side."""
    n_right = moments.n - moments.n_negative if zeros_right else moments.n_positive
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = moments.negative / moments.n_negative, moments.positive / n_right
    if zeros_right:
        left, right = (np.nan_to_num(x, nan=0.0) for x in (left, right))
    return np.sqrt(left), np.sqrt(right)


def generalised_ratio(moments: Moments, left: Float, right: Float) -> Float:
    """(N,) R of eq. 9: the ratio of moments that a symmetric distribution of the same shape would have."""
    with np.errstate(divide="ignore", invalid="ignore"):
        g = left / right
        r = (moments.absolute / moments.n) ** 2 / ((moments.negative + moments.positive) / moments.n)
        out: Float = r * (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
    return out


def shape_ratio(alpha: Float) -> Float:
    """gamma(2/alpha)^2 / (gamma(1/alpha) gamma(3/alpha)): rises with alpha from 0 to 3/4."""
    from scipy.special import gamma

    out: Float = gamma(2 / alpha) ** 2 / (gamma(1 / alpha) * gamma(3 / alpha))
    return out


def normalised(grey: Float, window: Float, border: Border, constant: float = 1.0, epsilon: float = 0.0) -> Float:
    """Mean-subtracted, contrast-normalised values (eq. 1), all in float64.

    Args:
        grey: (H, W) float64.
        window: (7,) weights for both directions, or (7, 7).
        border: what lies outside the frame.
        constant: added to the contrast.
        epsilon: added to the variance.

    Returns:
        (H, W) float64.
    """
    mean, square = smoothed(grey, window, border), smoothed(grey * grey, window, border)
    square -= mean * mean
    np.abs(square, out=square)
    square += epsilon
    np.sqrt(square, out=square)
    square += constant
    np.subtract(grey, mean, out=mean)
    mean /= square
    return mean


def smoothed(grey: Float, window: Float, border: Border) -> Float:
    """(H, W) correlated with a window in float64: two passes where `window` is (7,), one where it is (7, 7)."""
    import cv2

    outside = cv2.BORDER_REPLICATE if border == "replicate" else cv2.BORDER_CONSTANT
    if window.ndim == 1:
        return np.asarray(cv2.sepFilter2D(grey, cv2.CV_64F, window, window, borderType=outside), np.float64)
    return np.asarray(cv2.filter2D(grey, cv2.CV_64F, window, borderType=outside), np.float64)


@cache
def gaussian() -> Float:
    """(7,) Gaussian weights, sigma 7/6, sum 1."""
    x = np.arange(_SIDE) - _SIDE // 2
    k = np.exp(-(x**2) / (2 * SIGMA**2))
    out: Float = k / k.sum()
    return out


@cache
def gaussian_single() -> Float:
    """(7, 7) the same, square, rounded to float32: the sum is not exactly 1, which decides the sign in flat parts (pyiqa)."""
    out: Float = np.outer(gaussian(), gaussian()).astype(np.float32).astype(np.float64)
    return out


def halved(grey: Float) -> Float:
    """(ceil(H / 2), ceil(W / 2)) MATLAB's imresize by 0.5: bicubic (a = -0.5) with antialias, edges mirrored; float64."""
    height, width = (_halving(n).astype(grey.dtype) for n in grey.shape)
    out: Float = height @ grey @ width.T
    return out


@cache
def _halving(n: int) -> Float:
    """(ceil(n / 2), n) weights: output i reads the eight inputs 2i - 3 .. 2i + 4."""
    x = np.abs(np.arange(8) - 3.5) / 2
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    taps = np.where(x <= 1, near, far)
    out = np.zeros((-(-n // 2), n))
    for i, row in enumerate(out):
        at = np.arange(2 * i - 3, 2 * i + 5) % (2 * n)
        np.add.at(row, np.minimum(at, 2 * n - 1 - at), taps / taps.sum())
    return out


def blocks(values: Float, side: int) -> Float:
    """(rows, columns, side, side) full blocks of (H, W)."""
    rows, columns = values.shape[0] // side, values.shape[1] // side
    whole = values[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.ascontiguousarray(whole.transpose(0, 2, 1, 3))


@cache
def _wide_table() -> tuple[Float, Float]:
    alphas = np.geomspace(0.05, 50.0, 4000)
    return np.log(alphas), shape_ratio(alphas)


@cache
def _table(last: float) -> tuple[Float, Float]:
    alphas = np.arange(0.2, last, 0.001)
    return alphas, shape_ratio(alphas)
