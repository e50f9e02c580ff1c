"""The real video's crops of a pair, kept in the cache (--cache-crops): the next checkpoint neither decodes nor samples them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lipsync_eval.cache import Cache
from lipsync_eval.types import Frame, Pair, Side
from lipsync_eval.warp import render

CHUNK: Final = 48
"""Frames in a file of the cache: bounds memory (9.4 MB at 256 px)."""


class RealCrops:
    """Every crop that the real video has, whatever the generated one has, lossless.

    Args:
        cache: where they are kept; Cache(None) keeps nothing.
        side: the real video of a pair, with a crop.
        n_frames: frames that count.
    """

    def __init__(self, cache: Cache, side: Side, n_frames: int) -> None:
        if side.crop is None:
            raise ValueError("the real video has no crop")
        self._cache, self._clip, self._crop, self._n = cache, side.clip, side.crop, n_frames
        self._key = {"what": "crops.1", "clip": side.clip.digest, "crops": side.crop.digest(n_frames), "chunk": ""}
        self.known = all(cache.has(self._named(k)) for k in range(-(-n_frames // CHUNK)))
        """Whether `between` takes them from the cache; else they are to be taken."""
        self._held: dict[int, Frame] = {}

    def between(self, start: int, stop: int) -> list[tuple[int, Frame]]:
        """(frame number, (h, w, 3) uint8 crop) of the frames start..stop-1 that have one; of consecutive calls."""
        for first in range(start // CHUNK * CHUNK, stop, CHUNK):
            numbers = self._numbers(first)
            if numbers and numbers[0] not in self._held:
                self._held |= zip(numbers, self._chunk(first, numbers), strict=True)
        self._held = {k: crop for k, crop in self._held.items() if k >= start // CHUNK * CHUNK}
        return [(k, self._held[k]) for k in range(start, min(stop, self._n)) if self._crop.valid[k]]

    def take(self, crops: Sequence[tuple[int, Frame]], stop: int) -> None:
        """Keep the crops of the next frames; all up to frame `stop` have been given by now."""
        self._held |= crops
        for first in range(0, self._n, CHUNK):
            if first + CHUNK > stop and stop < self._n:
                break
            numbers = self._numbers(first)
            if all(k in self._held for k in numbers) and not self._cache.has(self._named(first // CHUNK)):
                empty = np.empty((0, *self._crop.size, 3), np.uint8)
                held = np.stack([self._held.pop(k) for k in numbers]) if numbers else empty
                self._cache.put(self._named(first // CHUNK), {"crops": held})

    def _chunk(self, first: int, numbers: Sequence[int]) -> Sequence[Frame]:
        held = self._cache.get(self._named(first // CHUNK))
        if held is not None and held["crops"].shape == (len(numbers), *self._crop.size, 3):
            return list(held["crops"].astype(np.uint8, copy=False))
        frames = enumerate(self._clip.frames(first, min(first + CHUNK, self._n)), first)  # gone, or torn: made again
        return [render(f, self._crop.matrix[k], self._crop.size) for k, f in frames if self._crop.valid[k]]

    def _numbers(self, first: int) -> list[int]:
        return [k for k in range(first, min(first + CHUNK, self._n)) if self._crop.valid[k]]

    def _named(self, k: int) -> dict[str, str]:
        return self._key | {"chunk": str(k)}


def real_crops(cache: Cache, pair: Pair, wanted: frozenset[str]) -> RealCrops | None:
    """The store of a pair's real crops; None where no meter looks at them, or a crop is the frame itself."""
    side = pair.gt
    if cache.folder is None or not pair.paired or side is None or side.crop is None or "gt.crop" not in wanted:
        return None
    whole = side.crop.size == side.clip.size and bool((side.crop.matrix[side.crop.valid] == np.eye(2, 3)).all())
    return None if whole else RealCrops(cache, side, pair.n_frames)
