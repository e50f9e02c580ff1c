"""dlib's shape predictor, evaluated for many windows at once: same file, same numbers, a fraction of the time.

Kazemi & Sullivan, "One millisecond face alignment with an ensemble of regression trees", CVPR 2014; the arithmetic is that
of davisking/dlib@0b5a593 (dlib/image_processing/shape_predictor.h).

dlib walks through all trees (65 MB of leaves) for one window after the other and waits for memory. Here all windows pass
one level of the cascade together. Within a level every tree reads the same pixels, so the leaves of all trees are found
in one vectorised step; their values are added in dlib's order, in float32, so that no digit differs. One
thing is left: a place exactly between two pixels. Halves go upwards here; dlib maps into the image by a pseudo-inverse, whose
rounding decides there. Such a place was seen to matter in one window of 8 px of noise, and in none of 25,220 random ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import Float

Gray = NDArray[np.uint8]
Single = NDArray[np.float32]
Int = NDArray[np.int64]

CHUNK: Final = 256
"""Windows that pass a level together, at most: the level's tables are read from memory once for all of them."""
_ROWS: Final = 1 << 12
"""Leaves that are copied together before they are added."""
_BLOCK: Final = 1 << 18
"""Decisions, or bytes of places, that are worked on at a time, so that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the cascade: T complete trees of equal depth over P pixels."""

    anchors: Int
    """(P,) the point that each pixel hangs on."""
    offsets: Single
    """(2, P) x and y from that point, in the mean shape's frame."""
    first: Int
    """(S * T,) index of the first pixel of each split; S = leaves - 1 splits a tree, in heap order, T trees by each other."""
    second: Int
    """(S * T,) index of the second."""
    thresholds: NDArray[np.int16]
    """(S * T,) a split goes left where first - second is above."""
    leaves: Single
    """(T * L, 2K) what each leaf adds to the shape."""
    n_trees: int


@dataclass(frozen=True, slots=True)
class Predictor:
    """A cascade of regression trees for K points."""

    mean_shape: Single
    """(2K,) x, y by turns, in units of the window."""
    levels: tuple[Level, ...]

    def points(self, images: Sequence[Gray], which: Sequence[int], windows: NDArray[np.int64]) -> Float:
        """Points of N windows.

        Args:
            images: gray images, (H, W) uint8 each; sizes may differ.
            which: (N,) the image of each window.
            windows: (N, 4) left, top, right, bottom in whole px, as dlib's rectangle.

        Returns:
            (N, K, 2) x, y in whole px, float64: what dlib.shape_predictor gives.
        """
        shelf = _Shelf(images)
        images_of = np.asarray(which, np.int64)
        parts = np.array_split(np.arange(len(windows)), max(1, -(-len(windows) // CHUNK)))
        return np.concatenate([self._chunk(shelf, images_of[part], windows[part]) for part in parts])

    def _chunk(self, shelf: _Shelf, which: Int, windows: NDArray[np.int64]) -> Float:
        shapes = np.repeat(self.mean_shape[None], len(windows), axis=0)
        left, top = windows[:, 0].astype(np.float64), windows[:, 1].astype(np.float64)
        axes = (windows[:, 2] - left, left), (windows[:, 3] - top, top)
        view = shelf.view(which)
        for level in self.levels if len(windows) else ():
            shapes = _added(level, shapes, _leaves(level, self._values(level, shapes, view, axes)))
        return np.stack([_nearest(shapes[:, k::2].T, *axis).T for k, axis in enumerate(axes)], axis=-1)

    def _values(
        self, level: Level, shapes: Single, view: _View, axes: tuple[tuple[Float, Float], tuple[Float, Float]]
    ) -> NDArray[np.int16]:
        """(P, n) what the level's pixels show: the offsets turned and scaled as the shape is, then put into each window,
        whose width and left, height and top are `axes`."""
        c, s = _similarity(self.mean_shape, shapes)
        points = np.ascontiguousarray(shapes.T)
        out = np.empty((len(level.anchors), len(shapes)), np.int16)
        step = max(1, _BLOCK // (8 * len(shapes)))
        for at in range(0, len(out), step):
            some = slice(at, at + step)
            dx, dy = level.offsets[:, some, None]
            x, y = c * dx, s * dx
            x += -s * dy
            y += c * dy
            x += points[2 * level.anchors[some]]
            y += points[2 * level.anchors[some] + 1]
            out[some] = view.values(_nearest(x, *axes[0]), _nearest(y, *axes[1]))
        return out


def _added(level: Level, shapes: Single, chosen: Int) -> Single:
    """(n, 2K) shapes plus the leaves `chosen` (T, n), one after the other as dlib adds them: NumPy sums along an outer axis in
    the order of its entries, in float32."""
    step = max(1, _ROWS // len(shapes))
    room = np.empty((1 + step, *shapes.shape), np.float32)
    room[0] = shapes
    for at in range(0, len(chosen), step):
        some = chosen[at : at + step]
        level.leaves.take(some, axis=0, out=room[1 : 1 + len(some)], mode="clip")
        room[0] = np.add.reduce(room[: 1 + len(some)], axis=0)
    total: Single = room[0].copy()
    return total


class _Shelf:
    """Images of unlike size as one array of pixels."""

    def __init__(self, images: Sequence[Gray]) -> None:
        self.pixels = np.concatenate([np.zeros(1, np.uint8), *(image.ravel() for image in images)])
        sizes = np.array([image.size for image in images], np.int64)
        self.start = 1.0 + np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.height = np.array([image.shape[0] for image in images], np.float64)
        self.width = np.array([image.shape[1] for image in images], np.float64)

    def view(self, which: Int) -> _View:
        """The images `which` (n,), one for each window."""
        return _View(self.pixels, self.start[which], self.height[which], self.width[which])


@dataclass(frozen=True, slots=True)
class _View:
    """The images of n windows: (n,) where each begins in `pixels`, and its size."""

    pixels: Gray
    start: Float
    height: Float
    width: Float

    def values(self, x: Float, y: Float) -> Gray:
        """(P, n) intensities at whole pixels x, y (P, n); 0 outside. Overwrites y."""
        low = (x.min(axis=0) >= 0) & (y.min(axis=0) >= 0)
        inside = low & (x.max(axis=0) < self.width) & (y.max(axis=0) < self.height)
        outside = None if inside.all() else (x < 0) | (y < 0) | (x >= self.width) | (y >= self.height)
        y *= self.width
        y += x
        y += self.start
        if outside is not None:
            y[outside] = 0
        return self.pixels.take(y.astype(np.intp))


def _leaves(level: Level, values: NDArray[np.int16]) -> Int:
    """(T, n) row in `level.leaves` that each tree comes to, knowing the pixels' values (P, n)."""
    trees, n = level.n_trees, values.shape[1]
    splits = len(level.first) // trees
    first, second, thresholds = (a.reshape(splits, trees) for a in (level.first, level.second, level.thresholds))
    found = np.empty((trees, n), np.int64)
    step = max(1, _BLOCK // (splits * n))
    for at in range(0, trees, step):
        some = slice(at, at + step)
        difference = values.take(first[:, some], axis=0)
        difference -= values.take(second[:, some], axis=0)
        found[some] = _paths(difference <= thresholds[:, some, None])
    found += (np.arange(trees) * (splits + 1))[:, None]
    return found


def _paths(right: NDArray[np.bool_]) -> NDArray[np.unsignedinteger]:
    """(T, n) number of the leaf that is reached; `right` (S, T, n): whether each split, in heap order, leads to the right.

    The decision that counts on each depth is chosen by those above it. Differences of whole intensities are above a
    threshold when they are above its floor.
    """
    leaf: NDArray[np.unsignedinteger] = right[0].astype(np.min_scalar_type(len(right)))
    taken = [right[0]]
    at = 1
    while at < len(right):
        nodes = right[at : 2 * at + 1]
        for choice in taken:
            half = len(nodes) // 2
            nodes = nodes[:half] ^ ((nodes[:half] ^ nodes[half:]) & choice)
        taken.append(nodes[0])
        leaf += leaf
        leaf += nodes[0]
        at = 2 * at + 1
    return leaf


def _nearest(place: Single, size: Float, start: Float) -> Float:
    """(P, n) whole pixels of places in units of the window, as dlib rounds them: halves upwards."""
    found = place * size
    found += start
    found += 0.5
    return np.floor(found, out=found)


def _similarity(start: Single, shapes: Single) -> tuple[Single, Single]:
    """(n,) scale * cosine and scale * sine of the least-squares similarity (Umeyama 1991) from `start` (2K,) to `shapes` (n, 2K)."""
    ax, ay = (v - v.mean() for v in (start[::2].astype(np.float64), start[1::2].astype(np.float64)))
    bx, by = (v - v.mean(axis=1, keepdims=True) for v in (shapes[:, ::2].astype(float), shapes[:, 1::2].astype(float)))
    norm = float(ax @ ax + ay @ ay)
    c, s = (bx @ ax + by @ ay) / norm, (by @ ax - bx @ ay) / norm
    return c.astype(np.float32), s.astype(np.float32)
