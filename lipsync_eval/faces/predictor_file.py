"""dlib's own file of a shape predictor (.dat), read into arrays; the format is that of davisking/dlib@0b5a593
(dlib/image_processing/shape_predictor.h, dlib/serialize.h)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import WeightsError
from lipsync_eval.faces.shape_predictor import Int, Level, Predictor, Single


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

    def integer(self) -> Int:
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

    def single(self) -> Single:
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

    def integers(self, n: int) -> Int:
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

    def singles(self, n: int) -> Single:
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

    def _forest(self, size: int) -> tuple[Int, Int, NDArray[np.int16], Single, int]:
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

    def _leaf_heads(self, start: int, mark: bytes, n: int, least: int) -> Int:
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
