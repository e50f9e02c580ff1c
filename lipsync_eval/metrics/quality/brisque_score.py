"""BRISQUE of one frame, as two public codes compute it. Pure functions on arrays.

36 statistics of the frame at two scales, each brought to -1..1 by a fixed range, go through a support vector regression
with a Gaussian kernel that was fitted to people's scores (LIVE).

Source: Mittal, Moorthy, Bovik, IEEE Transactions on Image Processing 21(12), 2012; chaofengc/IQA-PyTorch@01ae427
`archs/brisque_arch.py` (after photosynthesis-team/piq); brisque==0.2.0 of PyPI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError, MetricError
from lipsync_eval.metrics.quality import nss
from lipsync_eval.metrics.quality.grey import check
from lipsync_eval.metrics.quality.niqe_score import luma
from lipsync_eval.types import Float

Variant = Literal["pyiqa", "pypi"]
VARIANTS: Final[tuple[Variant, ...]] = get_args(Variant)
SMALLEST: Final = 16
"""px, the smallest side of a frame: below, the second scale is smaller than the window."""
_REACH: Final = 3
_STRIP: Final = 16384
"""Values that are filtered together: they fit a processor's cache."""
_WRAPPED: Final = ((0, 1), (1, 0), (1, 1), (-1, 1))
"""(rows, columns) to the neighbours of pyiqa, in the order of the features."""


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted support vector regression."""

    low: Float
    """(36,) value of each feature that becomes -1."""
    high: Float
    """(36,) value that becomes 1."""
    vectors: Float
    """(N, 36) support vectors."""
    weights: Float
    """(N,) their coefficients."""
    rho: float
    gamma: float

    def __post_init__(self) -> None:
        n = len(self.weights)
        arrays = (self.low, self.high, self.vectors, self.weights)
        shapes = [a.shape for a in arrays]
        if shapes != [(36,), (36,), (n, 36), (n,)] or not n or not all(np.isfinite(a).all() for a in arrays):
            raise InputError(f"a BRISQUE model has finite (36,), (36,), (N, 36) and (N,) numbers; got {shapes}")
        if not (self.high > self.low).all():
            raise InputError("a BRISQUE model needs ranges of features whose upper end lies above the lower")


def brisque(frame: NDArray[np.uint8], model: Model, variant: Variant = "pyiqa") -> float:
    """BRISQUE of a frame.

    Args:
        frame: (H, W, 3) uint8 RGB, or (H, W) uint8 grey.
        model: of the same code: each brings its own ranges and vectors.
        variant: 'pyiqa' (luma of YIQ in whole levels, MATLAB's halving, neighbours wrap round) or 'pypi' (scikit-image's
            luma in 0..1, OpenCV's bicubic halving without antialias, neighbours end at the border).

    Returns:
        about 0..100 on photographs, lower is better; nothing keeps it in there, and it goes below 0.

    Raises:
        InputError: another dtype or shape, or a side below 16 px.
        MetricError: the frame is flat: no statistic is defined.
    """
    found = features(frame, variant)
    if not np.isfinite(found).all():
        raise MetricError("brisque needs texture, and the frame is flat: its statistics are not defined")
    return predict(found, model)


def predict(found: Float, model: Model) -> float:
    """The regression on (36,) features."""
    scaled = -1.0 + 2.0 * (found - model.low) / (model.high - model.low)
    distance = np.square(model.vectors - scaled).sum(1)
    return float(model.weights @ np.exp(-model.gamma * distance) - model.rho)


def features(frame: NDArray[np.uint8], variant: Variant) -> Float:
    """(36,) statistics, scale 1's 18 then scale 2's; NaN where undefined. Arguments and errors as `brisque`."""
    check(frame, SMALLEST)
    scales = _scales_pypi(frame) if variant == "pypi" else _scales_pyiqa(frame)
    return np.concatenate([_statistics(x, variant) for x in scales])


def _scales_pyiqa(frame: NDArray[np.uint8]) -> Iterator[Float]:
    """MSCN values at both scales."""
    grey = luma(frame, "pyiqa")
    for values in (grey, nss.halved(grey)):
        yield nss.normalised(values, nss.gaussian_single(), "zeros", epsilon=float(np.finfo(np.float64).eps))


def _scales_pypi(frame: NDArray[np.uint8]) -> Iterator[Float]:
    import cv2

    grey = _luma_skimage(frame)
    small = np.asarray(cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_CUBIC), np.float64)
    for values in (grey, small):
        mean, square = _convolved(values), _convolved(values * values)
        yield (values - mean) / (np.sqrt(np.abs(mean * mean - square)) + 1 / 255)


def _luma_skimage(frame: NDArray[np.uint8]) -> Float:
    """(H, W) scikit-image's rgb2gray, 0..1."""
    scaled = np.asarray(frame * (1.0 / 255.0), np.float64)
    out: Float = scaled if frame.ndim == 2 else scaled @ np.array([0.2125, 0.7154, 0.0721])
    return out


def _convolved(values: Float) -> Float:
    """The 7 x 7 Gaussian mean, 0 outside, bit for bit as scipy.signal.convolve2d(values, kernel, 'same').

    In flat parts the last bit of this sum decides whether a value counts left or right, and with it the score. scipy adds
    row by row: the first four products of a row are summed and added, then the other three one by one. The kernel is
    symmetric, so most products and sums of four serve twice.
    """
    height, width = values.shape
    padded = np.pad(values, _REACH)
    stride = padded.shape[1]
    out = np.empty((height, stride))
    step = max(1, _STRIP // stride)
    for top in range(0, height, step):
        rows = out[top : top + step].reshape(-1)
        _convolve_rows(padded[top : top + step + 2 * _REACH].reshape(-1), stride, rows[: len(rows) - 2 * _REACH])
    return out[:, :width]


def _convolve_rows(padded: Float, stride: int, out: Float) -> None:
    """Fill `out` with the sums at its places in rows of `stride` that run on, one behind the other."""
    kernel, last = _kernel(), 2 * _REACH
    places: dict[tuple[int, int], Float] = {}
    for j in range(_REACH + 1):
        for i in range(j, _REACH + 1):
            places[j, i] = places[i, j] = padded * kernel[j, i]

    def product(j: int, i: int) -> Float:
        """What column i of kernel row j adds."""
        return places[j, min(i, last - i)][last - i : len(padded) - i]

    fours = []
    for j in range(_REACH + 1):
        four = product(j, 0) + product(j, 1)
        four += product(j, 2)
        four += product(j, 3)
        fours.append(four)
    out[:] = 0.0
    for j in range(last + 1):
        like, start = min(j, last - j), (last - j) * stride
        out += fours[like][start : start + len(out)]
        for i in range(4, last + 1):
            out += product(like, i)[start : start + len(out)]


@cache
def _kernel() -> Float:
    y, x = np.indices((2 * _REACH + 1,) * 2) - _REACH
    kernel = 1 / (2 * np.pi * nss.SIGMA**2) * np.exp(-(x**2 + y**2) / (2 * nss.SIGMA**2))
    out: Float = kernel / np.sum(kernel)
    return out


def _statistics(values: Float, variant: Variant) -> Float:
    """(18,) from MSCN values (H, W)."""
    memory, product = np.empty(values.size), np.empty(values.size)

    def moments(x: Float) -> nss.Moments:
        return nss.Moments.of(x.reshape(1, -1), memory[: x.size].reshape(1, -1))

    first = moments(values)
    if variant == "pyiqa":
        alpha, variance = nss.fit_symmetric(first)
        inside = product.reshape(values.shape)
        others = [moments(nss.wrapped_product(values, shift, inside)) for shift in _WRAPPED]
        fit = nss.fit_table(nss.Moments.stacked(others), zeros_right=False, last=10.0005)
    else:
        fit = nss.fit_root(nss.Moments.stacked([first, *(moments(p) for p in _inside(values, product))]))
        alpha, variance = fit.alpha[:1], (fit.left[:1] ** 2 + fit.right[:1] ** 2) / 2
        fit = nss.Fit(fit.alpha[1:], fit.left[1:], fit.right[1:])
    mean = (fit.right - fit.left) * fit.width * fit.lift
    rest = np.stack([fit.alpha, mean, fit.left**2, fit.right**2], axis=1)
    return np.concatenate([alpha, variance, rest.ravel()])


def _inside(values: Float, memory: Float) -> Iterator[Float]:
    """Products of neighbours within the frame: right, below, and both diagonals; each overwrites the one before."""
    for here, there in (
        (values[:, :-1], values[:, 1:]),
        (values[:-1], values[1:]),
        (values[:-1, :-1], values[1:, 1:]),
        (values[1:, :-1], values[:-1, 1:]),
    ):
        yield np.multiply(here, there, out=memory[: here.size].reshape(here.shape))
