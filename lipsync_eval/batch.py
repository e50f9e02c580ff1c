"""The unit in which frames pass through the metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import Frame, Pair, Side
from lipsync_eval.warp import render, render_alike


@dataclass(frozen=True)
class Batch:
    """Consecutive frames of both videos of a pair: the unit in which frames pass through the metrics."""

    pair: Pair
    start: int
    """Index of the first frame (25 fps)."""
    gen: Sequence[Frame]
    """n source frames, (H, W, 3) uint8 RGB."""
    gt: Sequence[Frame]
    """As many of the real video; another number of them, or none, where the pair is not `paired` or has no real video. Either
    is empty where no meter looks at that video's frames."""
    stored: Callable[[int, int], list[tuple[int, Frame]]] | None = None
    """(start, stop) -> number and crop of every frame of the real video between them that has a crop; None: `gt` is sampled."""
    together: bool = False
    """Whether some meter looks at both videos' crops: then they are sampled in one go."""

    def __len__(self) -> int:
        return len(self.gen)

    @property
    def index(self) -> NDArray[np.intp]:
        """(n,) frame numbers of the generated video."""
        return np.arange(self.start, self.start + len(self.gen))

    @property
    def gt_index(self) -> NDArray[np.intp]:
        """Frame numbers of the real video's frames."""
        return np.arange(self.start, self.start + len(self.gt))

    @cached_property
    def both(self) -> NDArray[np.bool_]:
        """(n,) frames that have a crop in both videos; none where the videos are not paired."""
        gen, gt = self.pair.gen, self.pair.gt
        if gt is None or gen.crop is None or gt.crop is None or not self.pair.paired:
            return np.zeros(len(self.gen), bool)
        i = self.index
        return gen.crop.valid[i] & gt.crop.valid[i]

    @cached_property
    def gen_crops(self) -> NDArray[np.uint8]:
        """(both.sum(), h, w, 3) uint8 RGB crops of the generated frames, where both videos have one."""
        return self._sampled[0] if self.together else self._crops([self.pair.gen], [self.gen])[0]

    @cached_property
    def gt_crops(self) -> NDArray[np.uint8]:
        """(both.sum(), h, w, 3) uint8 RGB crops of the real frames, where both videos have one."""
        if self.stored is not None:
            empty = np.empty(
                (0, *(self.pair.gt.crop.size if self.pair.gt and self.pair.gt.crop else (0, 0)), 3), np.uint8
            )
            both = [crop for k, crop in self.gt_own if self.both[k - self.start]]
            return np.stack(both) if both else empty
        return self._sampled[1] if self.together else self._crops([self.pair.gt], [self.gt])[0]

    @cached_property
    def gen_own(self) -> list[tuple[int, Frame]]:
        """(frame number, crop) of every generated frame that has a crop, whatever the real video has."""
        return self._own(self.pair.gen, self.gen, self.index, lambda: self.gen_crops)

    @cached_property
    def gt_own(self) -> list[tuple[int, Frame]]:
        """(frame number, crop) of every real frame that has a crop, whatever the generated video has."""
        if self.stored is not None:
            return self.stored(self.start, self.start + len(self.gen))
        return self._own(self.pair.gt, self.gt, self.gt_index, lambda: self.gt_crops)

    def _own(
        self,
        side: Side | None,
        frames: Sequence[Frame],
        index: NDArray[np.intp],
        shared: Callable[[], NDArray[np.uint8]],
    ) -> list[tuple[int, Frame]]:
        if side is None or side.crop is None or not len(frames):
            return []
        crop, valid = side.crop, side.crop.valid[index]
        if self.pair.paired and self.pair.gt is not None and (valid == self.both).all():
            return list(zip(map(int, index[valid]), shared(), strict=True))
        return [(k, render(frames[k - self.start], crop.matrix[k], crop.size)) for k in map(int, index[valid])]

    @cached_property
    def _sampled(self) -> list[NDArray[np.uint8]]:
        return self._crops([self.pair.gen, self.pair.gt], [self.gen, self.gt])

    def _crops(self, sides: Sequence[Side | None], frames: Sequence[Sequence[Frame]]) -> list[NDArray[np.uint8]]:
        """For each side (m, h, w, 3): its crops of the frames where both videos have one."""
        crops = [None if side is None else side.crop for side in sides]
        chosen = [int(k) for k in np.flatnonzero(self.both)]
        out = [np.empty((len(chosen), *crop.size, 3) if crop else (0, 0, 0, 3), np.uint8) for crop in crops]
        for i, k in enumerate(chosen):
            asked = [(f[k], crop.matrix[self.start + k], crop.size) for f, crop in zip(frames, crops) if crop]
            first = asked[0]
            if all(a[0].shape == first[0].shape and (a[1] == first[1]).all() and a[2] == first[2] for a in asked[1:]):
                found = render_alike([frame for frame, _, _ in asked], *first[1:])
            else:
                found = [render(*one) for one in asked]
            for kept, crop in zip(out, found):
                kept[i] = crop
        return out
