"""The unit in which frames pass through the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import Frame, Pair, Side
from lipsync_eval.warp import render


@dataclass(frozen=True)
class Batch:
    """Consecutive frames of both videos of a pair: the unit in which frames pass through the metrics."""

    pair: Pair
    start: int
    """Index of the first frame (25 fps)."""
    gen: Sequence[Frame]
    """n source frames, (H, W, 3) uint8 RGB."""
    gt: Sequence[Frame]

    def __len__(self) -> int:
        return len(self.gen)

    @property
    def index(self) -> NDArray[np.intp]:
        """(n,) frame numbers."""
        return np.arange(self.start, self.start + len(self.gen))

    @cached_property
    def both(self) -> NDArray[np.bool_]:
        """(n,) frames that have a crop in both videos."""
        if self.pair.gen.crop is None or self.pair.gt.crop is None:
            return np.zeros(len(self.gen), bool)
        i = self.index
        return self.pair.gen.crop.valid[i] & self.pair.gt.crop.valid[i]

    @cached_property
    def gen_crops(self) -> NDArray[np.uint8]:
        """(both.sum(), h, w, 3) uint8 RGB crops of the generated frames, where both videos have one."""
        return self._crops(self.pair.gen, self.gen)

    @cached_property
    def gt_crops(self) -> NDArray[np.uint8]:
        """(both.sum(), h, w, 3) uint8 RGB crops of the real frames, where both videos have one."""
        return self._crops(self.pair.gt, self.gt)

    def _crops(self, side: Side, frames: Sequence[Frame]) -> NDArray[np.uint8]:
        crop = side.crop
        if crop is None:
            return np.empty((0, 0, 0, 3), np.uint8)
        chosen = np.flatnonzero(self.both)
        if not len(chosen):
            return np.empty((0, *crop.size, 3), np.uint8)
        return np.stack([render(frames[k], crop.matrix[self.start + k], crop.size) for k in map(int, chosen)])
