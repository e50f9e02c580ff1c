"""Where a crop lies in a frame, and its pixels.

A matrix (2, 3) float64 takes source pixels to crop pixels: (x', y') = M (x, y, 1). The centre of the top-left pixel is
(0, 0) on both sides, so a crop of w pixels covers x' from -0.5 to w - 0.5.

Sampling. Every crop is sampled once, straight from the source frame:

1. Where the crop shrinks the frame (one crop pixel = d > 1 source pixels), the source is smoothed by the discrete
   Gaussian of variance (d^2 - 1) / 6 px^2 (Lindeberg 1990: exact variance, and no smoothing at d = 1). With step 2 the
   whole kernel has the variance of a triangle over the crop's pixel, which is what Pillow's BILINEAR and the
   antialiased resize of torch use.
2. The value at a crop pixel's centre is the bilinear one of its four neighbours, in float32 with coordinates in
   float64. OpenCV's own warps round coordinates to 1/32 px and differ between its versions; they are not used.
3. Outside the frame the frame is mirrored at the centres of its border pixels (dcb|abcd|cba).

The identity and shifts by whole pixels give the source's own bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float, Frame

_TINY_VARIANCE = 1e-6
"""px^2; a smaller blur moves no pixel by 1e-3 grey levels."""
_TINY_WEIGHT = 1e-4
"""Kernel weights below this are left out."""
_WIDEST = 32_000
"""px; OpenCV keeps whole pixel places in 16 bits."""
_FARTHEST = 10**9
"""px from the frame's corner."""


def similarity_from_quad(quad: Float, size: float) -> Float:
    """The similarity that takes a square in the source to a crop.

    Args:
        quad: (..., 4, 2) corners of a square in source pixels: upper left, lower left, lower right, upper right, on
            the outer edge of the crop's pixels (as in FFHQ).
        size: side of the crop in px.

    Returns:
        (..., 2, 3) source pixel -> crop pixel; NaN or infinite where the quad is.
    """
    quad = np.asarray(quad, np.float64)
    corner = quad[..., 0, :]
    right = (quad[..., 3, :] - corner + quad[..., 2, :] - quad[..., 1, :]) / 2
    factor = size / np.sum(right * right, axis=-1)
    a, b = right[..., 0] * factor, right[..., 1] * factor
    linear = np.stack([np.stack([a, b], -1), np.stack([-b, a], -1)], -2)
    centre = quad.mean(axis=-2)
    shift = (size - 1) / 2 - np.einsum("...ij,...j->...i", linear, centre)
    return np.concatenate([linear, shift[..., None]], axis=-1)


def compose(second: Float, first: Float) -> Float:
    """(..., 2, 3): first `first`, then `second`."""
    linear = second[..., :, :2] @ first[..., :, :2]
    shift = second[..., :, :2] @ first[..., :, 2:] + second[..., :, 2:]
    out: Float = np.concatenate([linear, shift], axis=-1)
    return out


def invert(matrix: Float) -> Float:
    """(..., 2, 3): the way back, crop pixel -> source pixel."""
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    linear = np.stack([np.stack([d, -b], -1), np.stack([-c, a], -1)], -2) / (a * d - b * c)[..., None, None]
    out: Float = np.concatenate([linear, -(linear @ matrix[..., :, 2:])], axis=-1)
    return out


def apply(matrix: Float, points: Float) -> Float:
    """(..., K, 2) points through (..., 2, 3) matrices."""
    out: Float = points @ np.swapaxes(matrix[..., :, :2], -1, -2) + matrix[..., None, :, 2]
    return out


def overflow(matrix: Float, size: tuple[int, int], frame: tuple[int, int]) -> Float:
    """Share of each crop's area that lies outside the frame (exact, by clipping the crop's outline).

    Args:
        matrix: (T, 2, 3) source pixel -> crop pixel.
        size: (height, width) of the crop in px.
        frame: (height, width) of the source in px.

    Returns:
        (T,) 0..1; NaN where the matrix is not finite.
    """
    h, w = size
    outline = np.array([[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]])
    out = np.full(len(matrix), np.nan)
    good = np.isfinite(matrix).all(axis=(1, 2))
    corners = apply(invert(matrix[good]), outline)
    low, high = np.array([-0.5, -0.5]), np.array([frame[1] - 0.5, frame[0] - 0.5])
    inside = ((corners >= low) & (corners <= high)).all(axis=(1, 2))
    shares = np.zeros(len(corners))
    for i in np.flatnonzero(~inside):
        whole = _area(corners[i])
        shares[i] = min(max(1.0 - _area(_clip(corners[i], low, high)) / whole, 0.0), 1.0) if whole > 0 else np.nan
    out[good] = shares
    return out


def render(frame: Frame, matrix: Float, size: tuple[int, int]) -> Frame:
    """The pixels of one crop, sampled once from the source frame (see the module's text).

    Args:
        frame: (H, W, 3) uint8.
        matrix: (2, 3) float64 source pixel -> crop pixel: a similarity or an axis-aligned scaling.
        size: (height, width) of the crop in px.

    Returns:
        (height, width, 3) uint8, rounded to the nearest level; a new array.

    Raises:
        InputError: wrong shape or dtype, or a matrix that is not finite or cannot be inverted.
    """
    return render_alike([frame], matrix, size)[0]


def render_alike(frames: Sequence[Frame], matrix: Float, size: tuple[int, int]) -> list[Frame]:
    """`render` of each of some frames of one size, which costs less together: where pixels lie is found once."""
    for frame in frames:
        _check(frame, matrix)
    if size == frames[0].shape[:2] and np.array_equal(matrix, _IDENTITY):
        return [frame.copy() for frame in frames]
    back = invert(matrix)
    axes = [_axis(row, size, length) for row, length in zip(back, (frames[0].shape[1], frames[0].shape[0]))]
    read = [_read(frame, back, *axes) for frame in frames]
    columns, rows = read[0][1:]
    out: list[Frame] = [np.empty((*size, 3), np.uint8) for _ in frames]
    along, down = back[:, :1] * np.arange(size[1]), back[:, 1:2] * np.arange(size[0]) + back[:, 2:]
    for top in range(0, size[0], _STRIP):
        strip = slice(top, top + _STRIP)
        places = _places(along[:, None, :] + down[:, strip, None], columns, rows)
        for (source, *_), crop in zip(read, out):
            _sample(source, places, crop[strip])
    return out


_IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

_STRIP = 32
"""Rows of the crop that are sampled at a time, so that all of it stays in the processor's cache."""

Index = NDArray[np.intp]
Weight = NDArray[np.float32]


def _check(frame: Frame, matrix: Float) -> None:
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or 0 in frame.shape:
        raise InputError(f"render wants a frame (H, W, 3) uint8, got {frame.shape} {frame.dtype}")
    if np.shape(matrix) != (2, 3) or not np.isfinite(matrix).all():
        raise InputError(f"render wants a finite (2, 3) matrix, got {np.asarray(matrix).tolist()}")
    if abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]) < 1e-12:
        raise InputError(f"render wants a matrix that can be inverted, got {np.asarray(matrix).tolist()}")


@dataclass(frozen=True, slots=True)
class _Axis:
    """What a crop reads along one axis of the source."""

    low: int
    """The first place, rounded down; below 0 where the crop leaves the frame."""
    high: int
    """The last pixel that is read, the one after the last place."""
    fold: NDArray[np.int16] | None
    """Entry i: where place low + i is found, counted from `start`; None: at i, nothing is mirrored."""
    start: int
    stop: int
    """The pixels of the source that are read: start..stop - 1."""


def _axis(row: Float, size: tuple[int, int], length: int) -> _Axis:
    """`row` of the matrix crop -> source belongs to an axis of `length` px. Places are monotone along rows and columns of
    the crop, so its corners hold the extremes."""
    corners = np.floor(row[0] * np.array([0, size[1] - 1]) + (row[1] * np.array([[0], [size[0] - 1]]) + row[2]))
    low, high = int(corners.min()), int(corners.max()) + 1
    if high - low > _WIDEST or max(-low, high) > _FARTHEST:
        raise InputError(
            f"render reads at most {_WIDEST} px in one direction, up to {_FARTHEST} px away; this crop goes from {low} to {high}"
        )
    if low >= 0 and high < length:
        return _Axis(low, high, None, low, high + 1)
    folded = _mirrored(np.arange(low, high + 1), length)
    start = int(folded.min())
    return _Axis(low, high, (folded - start).astype(np.int16), start, int(folded.max()) + 1)


def _mirrored(index: Index, length: int) -> Index:
    """Indices outside 0..length-1 folded back at the first and the last (dcb|abcd|cba)."""
    if length == 1:
        return np.zeros_like(index)
    folded = np.abs(index) % (2 * length - 2)
    mirrored: Index = np.minimum(folded, 2 * length - 2 - folded)
    return mirrored


def _read(frame: Frame, back: Float, columns: _Axis, rows: _Axis) -> tuple[NDArray[Any], _Axis, _Axis]:
    """The part of the source that the crop reads, smoothed where the crop shrinks it (then float32, else uint8), and what is
    read of it. Mirrored pixels are laid beside the others where they are few, so that places need not be folded."""
    import cv2

    axes = rows, columns
    variance = np.maximum(np.sum(back[::-1, :2] ** 2, axis=1) - 1.0, 0.0) / 6.0
    kernels = [_gaussian(float(v)) for v in variance]
    reach = [(max(axis.start - axis.low, 0), max(axis.high - axis.stop + 1, 0)) for axis in axes]
    if any(max(sides) >= axis.stop - axis.start for sides, axis in zip(reach, axes)):
        reach = [(0, 0), (0, 0)]  # far outside, or mirrored more than once
    elif any(axis.fold is not None for axis in axes):
        rows, columns = replace(rows, fold=None), replace(columns, fold=None)
    beside = any(map(any, reach))
    first = [axis.low - axis.start + before if beside else 0 for axis, (before, _) in zip(axes, reach)]
    if len(kernels[0]) == len(kernels[1]) == 1:
        part: NDArray[Any] = frame[axes[0].start : axes[0].stop, axes[1].start : axes[1].stop]
        if beside:
            part = cv2.copyMakeBorder(part, *reach[0], *reach[1], cv2.BORDER_REFLECT_101)
    else:
        part = _smoothed(frame, kernels, axes, reach)
    return part[first[0] :, first[1] :], columns, rows


def _smoothed(
    frame: Frame, kernels: list[Float], axes: tuple[_Axis, _Axis], reach: list[tuple[int, int]]
) -> NDArray[np.float32]:
    """The pixels that the axes (rows, columns) read, smoothed, with `reach` mirrored ones before and after them."""
    import cv2

    wide, inner = [], []
    for axis, kernel, length in zip(axes, kernels, frame.shape):
        start = max(axis.start - len(kernel) // 2, 0)
        wide.append(slice(start, min(axis.stop + len(kernel) // 2, length)))
        inner.append((axis.start - start, axis.stop - start))
    part = frame[wide[0], wide[1]]
    (above, below), (left, right) = reach
    height, width = part.shape[:2]
    whole = np.empty((above + height + below, left + width + right, 3), np.float32)
    own = whole[above : above + height, left : left + width]
    cv2.sepFilter2D(part, cv2.CV_32F, kernels[1], kernels[0], dst=own, borderType=cv2.BORDER_REFLECT_101)
    if above:
        whole[:above] = whole[2 * above : above : -1]
    if below:
        whole[-below:] = whole[np.arange(-below - 2, -2 * below - 2, -1)]
    if left:
        whole[:, :left] = whole[:, 2 * left : left : -1]
    if right:
        whole[:, -right:] = whole[:, np.arange(-right - 2, -2 * right - 2, -1)]
    return whole[inner[0][0] : inner[0][1] + above + below, inner[1][0] : inner[1][1] + left + right]


@dataclass(frozen=True, slots=True)
class _Places:
    """Where some rows of the crop are read."""

    at: list[tuple[int, int, NDArray[np.int16]]]
    """Of the four neighbours of each pixel (x, y; x + 1, y; x, y + 1; x + 1, y + 1): rows and columns to leave out first, then
    the places (h, w, 2) in what is left."""
    share: list[Weight]
    """How far each pixel lies from its left and from its upper neighbour (0..1), repeated for the three colours."""


def _places(exact: Float, columns: _Axis, rows: _Axis) -> _Places:
    """`exact` (2, h, w): x and y in the source of each pixel; overwritten."""
    import cv2

    before = np.floor(exact)
    exact -= before
    share: list[Any] = [cv2.merge([one, one, one]) for one in exact.astype(np.float32)]
    before -= np.array([columns.low, rows.low])[:, None, None]
    x, y = before.astype(np.int16)
    if columns.fold is None and rows.fold is None:
        both: Any = cv2.merge([x, y])
        return _Places([(top, left, both) for top in (0, 1) for left in (0, 1)], share)
    one = np.int16(1)
    xs, ys = (
        (first, first + one) if axis.fold is None else (axis.fold[first], axis.fold[first + one])
        for first, axis in ((x, columns), (y, rows))
    )
    folded: list[Any] = [cv2.merge([left, above]) for above in ys for left in xs]
    return _Places([(0, 0, at) for at in folded], share)


def _sample(source: NDArray[Any], places: _Places, out: Frame) -> None:
    """Fill `out` (h, w, 3), some rows of the crop."""
    import cv2

    unused = np.empty(0, np.uint16)
    picked: list[Any] = [cv2.remap(source[top:, left:], at, unused, cv2.INTER_NEAREST) for top, left, at in places.at]
    a, b, c, d = (pixels.astype(np.float32, copy=False) for pixels in picked)
    fx, fy = places.share
    exact = _between(_between(a, b, fx), _between(c, d, fx), fy)
    cv2.convertScaleAbs(exact, dst=out)  # rounds to the nearest level, halves to the even one


@lru_cache(8)
def _gaussian(variance: float) -> Float:
    """(2n+1,) discrete Gaussian exp(-t) I_k(t) of variance t px^2, from its Fourier transform exp(t (cos w - 1))."""
    if variance < _TINY_VARIANCE:
        return np.ones(1)
    length = 1 << int(np.ceil(np.log2(64 + 16 * np.sqrt(variance))))
    angles = 2 * np.pi * np.arange(length // 2 + 1) / length
    half = np.fft.irfft(np.exp(variance * (np.cos(angles) - 1.0)), length)[: length // 2]
    half = half[: max(int(np.count_nonzero(half >= _TINY_WEIGHT)), 1)]
    kernel = np.concatenate([half[:0:-1], half])
    out: Float = kernel / kernel.sum()
    return out


def _between(first: NDArray[np.float32], second: NDArray[np.float32], share: Weight) -> NDArray[np.float32]:
    """first + share (second - first); overwrites `second`."""
    out = np.subtract(second, first, out=second)
    out *= share
    out += first
    return out


def _clip(polygon: Float, low: Float, high: Float) -> Float:
    """A convex polygon (n, 2) cut to the rectangle low..high (Sutherland and Hodgman 1974)."""
    for axis in (0, 1):
        for bound, sign in ((low[axis], 1.0), (high[axis], -1.0)):
            depth = sign * (polygon[:, axis] - bound)
            kept: list[Float] = []
            for i in range(len(polygon)):
                here, there = depth[i - 1], depth[i]
                if (here >= 0) != (there >= 0):
                    kept.append(polygon[i - 1] + (polygon[i] - polygon[i - 1]) * (here / (here - there)))
                if there >= 0:
                    kept.append(polygon[i])
            polygon = np.array(kept).reshape(-1, 2)
    return polygon


def _area(polygon: Float) -> float:
    """Area of a simple polygon (n, 2); 0 for fewer than 3 corners."""
    if len(polygon) < 3:
        return 0.0
    x, y = polygon[:, 0], polygon[:, 1]
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
