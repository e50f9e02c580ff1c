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

CHUNK: Final = 64
"""Windows that pass a level together: more gain little and cost memory."""


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
    """(T * L + CHUNK, 2K) what each leaf adds to the shape, and room for the shapes that it is added to."""
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
        found = [
            self._chunk(shelf, np.asarray(which[at : at + CHUNK], np.int64), windows[at : at + CHUNK])
            for at in range(0, len(windows), CHUNK)
        ]
        return np.concatenate(found) if found else np.empty((0, len(self.mean_shape) // 2, 2))

    def _chunk(self, shelf: _Shelf, which: _Int, windows: NDArray[np.int64]) -> Float:
        n = len(windows)
        shapes = np.repeat(self.mean_shape[None], n, axis=0)
        left, top = windows[:, :1].astype(np.float64), windows[:, 1:2].astype(np.float64)
        width, height = windows[:, 2:3] - left, windows[:, 3:] - top
        for level in self.levels:
            x, y = self._place(level, shapes)
            chosen = _leaves(level, shelf.values(which, _nearest(x * width + left), _nearest(y * height + top)))
            shapes = _added(level, shapes, chosen)
        found = [_nearest(shapes[:, ::2] * width + left), _nearest(shapes[:, 1::2] * height + top)]
        return np.stack(found, axis=-1).astype(np.float64)

    def _place(self, level: Level, shapes: _Single) -> tuple[_Single, _Single]:
        """(n, P) x and y of the level's pixels in units of the window: the offsets turned and scaled as the shape is."""
        c, s = _similarity(self.mean_shape, shapes)
        dx, dy = level.offsets
        return (c * dx + -s * dy) + shapes[:, 2 * level.anchors], (s * dx + c * dy) + shapes[:, 2 * level.anchors + 1]


def _added(level: Level, shapes: _Single, chosen: _Int) -> _Single:
    """(n, 2K) shapes plus the leaves `chosen` (n, T), one after the other as dlib adds them.

    A sparse matrix of ones does it: its product runs through a row's entries in their order, in float32.
    """
    from scipy.sparse import csr_array

    n, spare = len(shapes), len(level.leaves) - CHUNK
    level.leaves[spare : spare + n] = shapes
    columns = np.concatenate([spare + np.arange(n)[:, None], chosen], axis=1, dtype=np.int32)
    ends = np.arange(0, columns.size + 1, columns.shape[1], dtype=np.int32)
    ones = np.ones(columns.size, np.float32)
    total: _Single = csr_array((ones, columns.ravel(), ends), shape=(n, len(level.leaves))) @ level.leaves
    return total


class _Shelf:
    """Images of unlike size as one array of pixels."""

    def __init__(self, images: Sequence[Gray]) -> None:
        self.pixels = np.concatenate([np.zeros(1, np.uint8), *(image.ravel() for image in images)])
        sizes = np.array([image.size for image in images], np.int64)
        self.start = 1 + np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self.height = np.array([image.shape[0] for image in images], np.int64)
        self.width = np.array([image.shape[1] for image in images], np.int64)

    def values(self, which: _Int, x: _Int, y: _Int) -> NDArray[np.int16]:
        """(P, n) intensities at whole pixels x, y (n, P) of the images `which` (n,); 0 outside."""
        width, height, start = (a[which][:, None] for a in (self.width, self.height, self.start))
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        found = self.pixels[np.where(inside, start + y * width + x, 0)]
        return np.ascontiguousarray(found.T).astype(np.int16)


def _leaves(level: Level, values: NDArray[np.int16]) -> _Int:
    """(n, T) row in `level.leaves` that each tree comes to, knowing the pixels' values (P, n).

    All splits are decided first; then the decision that counts on each depth is chosen by those above it. Differences of
    whole intensities are above a threshold when they are above its floor.
    """
    n = values.shape[1]
    splits = len(level.first) // level.n_trees
    first, second = (np.take(values, index, axis=0, mode="clip") for index in (level.first, level.second))
    left = (first - second > level.thresholds[:, None]).reshape(splits, level.n_trees, n)
    leaf = np.zeros((level.n_trees, n), np.uint16)
    taken: list[NDArray[np.bool_]] = []
    at = 0
    while at < splits:
        nodes = left[at : 2 * at + 1]
        for choice in taken:
            half = len(nodes) // 2
            nodes = (nodes[:half] & choice) | (nodes[half:] & ~choice)
        taken.append(nodes[0])
        leaf = 2 * leaf + ~nodes[0]
        at = 2 * at + 1
    found: _Int = leaf.T + np.arange(level.n_trees, dtype=np.int64) * (splits + 1)
    return found


def _nearest(points: Float) -> _Int:
    """Whole pixels as dlib rounds them: halves upwards."""
    found: _Int = np.floor(points + 0.5).astype(np.int64)
    return found


def _similarity(start: _Single, shapes: _Single) -> tuple[_Single, _Single]:
    """(n, 1) scale * cosine and scale * sine of the least-squares similarity (Umeyama 1991) from `start` (2K,) to `shapes` (n, 2K)."""
    ax, ay = (v - v.mean() for v in (start[::2].astype(np.float64), start[1::2].astype(np.float64)))
    bx, by = (v - v.mean(axis=1, keepdims=True) for v in (shapes[:, ::2].astype(float), shapes[:, 1::2].astype(float)))
    norm = float(ax @ ax + ay @ ay)
    c, s = (bx @ ax + by @ ay) / norm, (by @ ax - bx @ ay) / norm
    return c.astype(np.float32)[:, None], s.astype(np.float32)[:, None]


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
        room = np.zeros((CHUNK, size), np.float32)
        return first, second, whole, np.concatenate([leaves, room]), n_trees

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
