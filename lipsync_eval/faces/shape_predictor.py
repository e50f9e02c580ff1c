"""dlib's shape predictor, evaluated for many windows at once: same file, same numbers, a fraction of the time.

Kazemi & Sullivan, "One millisecond face alignment with an ensemble of regression trees", CVPR 2014; the file format and
the arithmetic are those of davisking/dlib@0b5a593 (dlib/image_processing/shape_predictor.h, dlib/serialize.h).

dlib walks through all trees (65 MB of leaves) for one window after the other and waits for memory. Here all windows pass
one level of the cascade together. Within a level every tree reads the same pixels, so the leaves of all trees are found
in one vectorised step; their values are added in dlib's order, in float32, so that no digit differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import WeightsError
from lipsync_eval.types import Float

Gray = NDArray[np.uint8]
_Single = NDArray[np.float32]
_Int = NDArray[np.int64]

CHUNK: Final = 256
"""Windows that pass a level together, at most: the level's tables are read from memory once for all of them."""
_ROWS: Final = 1 << 12
"""Leaves that are copied together before they are added."""
_BLOCK: Final = 1 << 18
"""Decisions taken at a time, so that their pixels stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the cascade: T complete trees of equal depth over P pixels."""

    anchors: _Int
    """(P,) the point that each pixel hangs on."""
    offsets: _Single
    """(2, P) x and y from that point, in the mean shape's frame."""
    first: _Int
    """(S * T,) index of the first pixel of each split; S = leaves - 1 splits a tree, in heap order, T trees by each other."""
    second: _Int
    """(S * T,) index of the second."""
    thresholds: NDArray[np.int16]
    """(S * T,) a split goes left where first - second is above."""
    leaves: _Single
    """(T * L, 2K) what each leaf adds to the shape."""
    n_trees: int


@dataclass(frozen=True, slots=True)
class Predictor:
    """A cascade of regression trees for K points."""

    mean_shape: _Single
    """(2K,) x, y by turns, in units of the window."""
    levels: tuple[Level, ...]

    def points(self, images: Sequence[Gray], which: Sequence[int], windows: NDArray[np.int64]) -> Float:
        """Points of N windows.

        Args:
            images: gray images, (H, W) uint8 each; sizes may differ.
            which: (N,) the image of each window.
            windows: (N, 4) left, top, right, bottom in whole px, as dlib's rectangle.

        Returns:
            (N, K, 2) x, y in whole px, float64: exactly what dlib.shape_predictor gives.
        """
        shelf = _Shelf(images)
        images_of = np.asarray(which, np.int64)
        parts = np.array_split(np.arange(len(windows)), max(1, -(-len(windows) // CHUNK)))
        return np.concatenate([self._chunk(shelf, images_of[part], windows[part]) for part in parts])

    def _chunk(self, shelf: _Shelf, which: _Int, windows: NDArray[np.int64]) -> Float:
        shapes = np.repeat(self.mean_shape[None], len(windows), axis=0)
        left, top = windows[:, 0].astype(np.float64), windows[:, 1].astype(np.float64)
        axes = (windows[:, 2] - left, left), (windows[:, 3] - top, top)
        view = shelf.view(which)
        for level in self.levels if len(windows) else ():
            shapes = _added(level, shapes, _leaves(level, self._values(level, shapes, view, axes)))
        return np.stack([_nearest(shapes[:, k::2].T, *axis).T for k, axis in enumerate(axes)], axis=-1)

    def _values(
        self, level: Level, shapes: _Single, view: _View, axes: tuple[tuple[Float, Float], tuple[Float, Float]]
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


def _added(level: Level, shapes: _Single, chosen: _Int) -> _Single:
    """(n, 2K) shapes plus the leaves `chosen` (T, n), one after the other as dlib adds them: NumPy sums along an outer axis in
    the order of its entries, in float32."""
    step = max(1, _ROWS // len(shapes))
    room = np.empty((1 + step, *shapes.shape), np.float32)
    room[0] = shapes
    for at in range(0, len(chosen), step):
        some = chosen[at : at + step]
        level.leaves.take(some, axis=0, out=room[1 : 1 + len(some)], mode="clip")
        room[0] = np.add.reduce(room[: 1 + len(some)], axis=0)
    return room[0].copy()


class _Shelf:
    """Images of unlike size as one array of pixels."""

    def __init__(self, images: Sequence[Gray]) -> None:
        self.pixels = np.concatenate([np.zeros(1, np.uint8), *(image.ravel() for image in images)])
        sizes = np.array([image.size for image in images], np.int64)
        self.start = 1.0 + np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.height = np.array([image.shape[0] for image in images], np.float64)
        self.width = np.array([image.shape[1] for image in images], np.float64)

    def view(self, which: _Int) -> _View:
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


def _leaves(level: Level, values: NDArray[np.int16]) -> _Int:
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
    leaf = right[0].astype(np.min_scalar_type(len(right)))
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


def _nearest(place: _Single, size: Float, start: Float) -> Float:
    """(P, n) whole pixels of places in units of the window, as dlib rounds them: halves upwards."""
    found = place * size
    found += start
    found += 0.5
    return np.floor(found, out=found)


def _similarity(start: _Single, shapes: _Single) -> tuple[_Single, _Single]:
    """(n,) scale * cosine and scale * sine of the least-squares similarity (Umeyama 1991) from `start` (2K,) to `shapes` (n, 2K)."""
    ax, ay = (v - v.mean() for v in (start[::2].astype(np.float64), start[1::2].astype(np.float64)))
    bx, by = (v - v.mean(axis=1, keepdims=True) for v in (shapes[:, ::2].astype(float), shapes[:, 1::2].astype(float)))
    norm = float(ax @ ax + ay @ ay)
    c, s = (bx @ ax + by @ ay) / norm, (by @ ax - bx @ ay) / norm
    return c.astype(np.float32), s.astype(np.float32)


def read_predictor(path: Path) -> Predictor:
    """Read dlib's own file of a shape predictor (.dat). Nothing in it is executed.

    Raises:
        WeightsError: not such a file, cut off, or with trees of unlike size.
    """
    try:
        data = bytearray(path.stat().st_size + 8)
        with path.open("rb") as file:
            file.readinto(data)
        return _Reader(data).predictor()
    except (IndexError, ValueError, OverflowError) as error:
        raise WeightsError(
            f"{path}: expected a shape predictor as dlib writes it, but {error}; get the file again"
        ) from error


_MASKS: Final = np.array([(1 << 8 * n) - 1 for n in range(8)], np.uint64)
"""Which of a word's bits belong to an integer of n bytes; dlib's files hold none of eight."""
_MOST: Final = 1000
_POWERS: Final = np.ldexp(1.0, np.arange(-_MOST, _MOST + 1))
"""2^-_MOST .. 2^_MOST; beyond lies nothing but 0 and infinity."""


class _Reader:
    """dlib's serialisation: an integer is a byte (number of bytes, highest bit: negative), then its bytes, lowest first; a
    float is a mantissa and a binary exponent."""

    def __init__(self, data: bytearray) -> None:
        """`data`: the file's bytes and eight more."""
        self.data = data
        self.end = len(data) - 8
        self.words = np.ndarray((self.end,), "<u8", data, strides=(1,))
        """The eight bytes from each place on."""
        self.at = np.zeros(1, np.int64)
        """Where the next number begins, for each of the parts that are read side by side."""

    def integer(self) -> _Int:
        """The next integer of every part."""
        if self.at.max() >= self.end:
            raise ValueError("it ends in the middle of a number")
        word = self.words[self.at]
        n = (word & np.uint64(0x0F)).astype(np.intp)
        if n.max() >= len(_MASKS):
            raise ValueError("it holds something that is no number")
        value = ((word >> np.uint64(8)) & _MASKS[n]).view(np.int64)
        self.at = self.at + 1 + n
        return np.where(word & np.uint64(0x80), -value, value)

    def single(self) -> _Single:
        """The next float of every part."""
        if self.at.max() >= self.end:
            raise ValueError("it ends in the middle of a number")
        word = self.words[self.at]
        n = word & np.uint64(0x0F)
        rest = word >> np.minimum((n + np.uint64(1)) << np.uint64(3), np.uint64(63))
        m = rest & np.uint64(0x0F)
        if int((n + m).max()) > 6:  # both do not fit into one word
            mantissa, exponent = self.integer(), self.integer()
        else:
            mantissa = ((word >> np.uint64(8)) & _MASKS[n]).view(np.int64)
            exponent = ((rest >> np.uint64(8)) & _MASKS[m]).view(np.int64)
            np.negative(mantissa, out=mantissa, where=(word & np.uint64(0x80)) != 0)
            np.negative(exponent, out=exponent, where=(rest & np.uint64(0x80)) != 0)
            self.at = self.at + (n + m).view(np.int64) + 2
        return (mantissa * _POWERS[np.clip(exponent, -_MOST, _MOST) + _MOST]).astype(np.float32)

    def integers(self, n: int) -> _Int:
        """(n,) the next integers of the only part, one after the other."""
        at = int(self.at[0])
        data = bytes(self.data[at : at + 9 * n])
        found, here = [], 0
        for _ in range(n):
            if at + here >= self.end:
                raise ValueError("it ends in the middle of a number")
            size = data[here] & 0x0F
            value = int.from_bytes(data[here + 1 : here + 1 + size], "little")
            found.append(-value if data[here] & 0x80 else value)
            here += 1 + size
        self.at = np.array([at + here])
        return np.array(found, np.int64)

    def singles(self, n: int) -> _Single:
        """(n,) the next floats of the only part."""
        mantissa, exponent = self.integers(2 * n).reshape(n, 2).T
        return np.ldexp(mantissa.astype(np.float64), exponent.astype(np.int32)).astype(np.float32)

    def number(self, what: str, least: int = 1, most: int = 1 << 16) -> int:
        """A length that is the same in every part."""
        found = self.integer()
        first = int(found[0])
        if not (found == first).all() or not least <= first <= most:
            raise ValueError(f"{what} is {first}")
        return first

    def predictor(self) -> Predictor:
        if self.number("its version") != 1:
            raise ValueError("its version is not 1")
        size = -self.number("the length of the shape", -(1 << 12), -2)
        self.number("the width of the shape", -1, -1)
        mean = self.singles(size)
        n_levels = self.number("the number of levels", 1, 1000)
        forests = [self._forest(size) for _ in range(n_levels)]
        self.number("the number of levels", n_levels, n_levels)
        anchors = [self.integers(self.number("the number of pixels")) for _ in range(n_levels)]
        self.number("the number of levels", n_levels, n_levels)
        levels = []
        for (first, second, thresholds, leaves, trees), hung in zip(forests, anchors, strict=True):
            self.number("the number of offsets", len(hung), len(hung))
            offsets = np.ascontiguousarray(self.singles(2 * len(hung)).reshape(-1, 2).T)
            if max(first.max(), second.max()) >= len(hung) or hung.max() >= size // 2 or hung.min() < 0:
                raise ValueError("an index is out of range")
            levels.append(Level(hung, offsets, first, second, thresholds, leaves, trees))
        if int(self.at[0]) != self.end:
            raise ValueError("bytes are left over at its end")
        return Predictor(mean, tuple(levels))

    def _forest(self, size: int) -> tuple[_Int, _Int, NDArray[np.int16], _Single, int]:
        """One level's trees. Their leaves begin with two known integers, which shows where each one lies: all leaves, and all
        trees' splits, are then read side by side."""
        n_trees = self.number("the number of trees", 1, 100_000)
        start = int(self.at[0])
        n_splits = self.number("the number of splits")
        mark = bytes([0x81, size, 0x81, 0x01]) if size < 256 else None
        n_leaves = n_splits + 1
        if mark is None or n_leaves & (n_leaves - 1):
            raise ValueError("its trees are not complete, or its shapes have 128 points or more")
        heads = self._leaf_heads(start, mark, n_trees * n_leaves, len(mark) + 4 * size)
        self.at = heads + len(mark)
        leaves = np.stack([self.single() for _ in range(size)], axis=1)
        ends = self.at.reshape(n_trees, n_leaves)
        if not (ends[:, :-1] == heads.reshape(n_trees, n_leaves)[:, 1:]).all():
            raise ValueError("its leaves do not follow one another")
        self.at = np.concatenate([[start], ends[:-1, -1]])
        self.number("the number of splits", n_splits, n_splits)
        fields = [(self.integer(), self.integer(), self.single()) for _ in range(n_splits)]
        self.number("the number of leaves", n_leaves, n_leaves)
        if not (self.at == heads.reshape(n_trees, n_leaves)[:, 0]).all():
            raise ValueError("its splits and leaves do not follow one another")
        first, second, thresholds = (np.concatenate(parts) for parts in zip(*fields, strict=True))
        self.at = ends[-1:, -1]
        whole = np.clip(np.floor(thresholds), -256, 255).astype(np.int16)
        return first, second, whole, leaves, n_trees

    def _leaf_heads(self, start: int, mark: bytes, n: int, least: int) -> _Int:
        """Where the next n leaves, of at least so many bytes, begin: the places that hold `mark`, of which no number in
        between can be a part by chance without being noticed, because every leaf must end where the next thing begins."""
        heads = np.empty(n, np.int64)
        at = start
        for i in range(n):
            at = self.data.find(mark, at, self.end)
            if at < 0:
                raise ValueError("it ends before its last tree")
            heads[i] = at
            at += least
        return heads
