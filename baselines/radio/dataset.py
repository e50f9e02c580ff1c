"""Windows of five pictures with sound and reference, drawn by number: sample k is the same in every run.

Nothing random is kept between draws, so a run continues from a step number alone and any number of processes sees the
same samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lipsync_eval.baselines.radio.mel import WINDOW_FRAMES
from lipsync_eval.baselines.radio.shards import ShardReader
from lipsync_eval.baselines.radio.spans import Pool, Span, T
from lipsync_eval.types import Frame


class Sample(NamedTuple):
    """One window (or a batch of them, with B in front)."""

    target: Tensor
    """(T, 3, size, size) float32 in [-1, 1], consecutive."""
    reference: Tensor
    """(T, 3, size, size), drawn from the same entry outside the window."""
    mel: Tensor
    """(T, 1, bands, frames): for every picture the sound around it."""


class Windows:
    """Reads windows of spans as tensors of one size."""

    def __init__(self, folder: Path, size: int) -> None:
        self.reader = ShardReader(folder)
        self.size = size

    def pictures(self, span: Span, indices: Sequence[int]) -> Tensor:
        """(n, 3, size, size) float32 in [-1, 1]; see `frames`."""
        return to_tensor(self.frames(span, indices))

    def frames(self, span: Span, indices: Sequence[int]) -> NDArray[np.uint8]:
        """(n, size, size, 3) RGB; stored pictures that are larger are shrunk by area."""
        return np.stack([fit(self.reader.picture(span.shard, span.number, i), self.size) for i in indices])

    def mel(self, span: Span, index: int) -> Tensor:
        """(1, bands, frames) sound around picture `index` of the entry."""
        part = self.reader.array(span.shard, f"{span.number}/mel", 4 * index, 4 * index + WINDOW_FRAMES)
        return torch.from_numpy(np.ascontiguousarray(part.T, np.float32))[None]

    def landmarks(self, span: Span, index: int) -> NDArray[np.float32]:
        """(68, 2) px in the stored aligned picture."""
        found: NDArray[np.float32] = self.reader.array(span.shard, f"{span.number}/landmarks", index, index + 1)[0]
        return found

    def window(self, span: Span, start: int, references: Sequence[int]) -> Sample:
        """The window that begins at picture `start`, with the given reference pictures."""
        indices = range(start, start + T)
        return Sample(
            self.pictures(span, indices),
            self.pictures(span, references),
            torch.stack([self.mel(span, i) for i in indices]),
        )


def fit(frame: Frame, size: int) -> Frame:
    """Shrink a square picture by area averaging; the same size passes through."""
    import cv2

    if frame.shape[0] == size:
        return frame
    return np.asarray(cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def to_tensor(frames: NDArray[np.uint8]) -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_frames(x: Tensor) -> NDArray[np.uint8]:
    """(n, 3, H, W) in [-1, 1] (clamped) -> (n, H, W, 3) uint8."""
    levels = ((x.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


class _Drawn:
    """Draws a span by its number of windows, and a window in it, from (seed, k)."""

    def __init__(self, pool: Pool, size: int, seed: int) -> None:
        self.spans, self.seed = pool.train, seed
        self.windows = Windows(pool.folder, size)
        self.edges = np.cumsum([s.windows for s in self.spans])

    def draw(self, k: int) -> tuple[Span, int, np.random.Generator]:
        """Span, first picture and a generator for further draws."""
        rng = np.random.default_rng([self.seed, k])
        at = int(rng.integers(self.edges[-1]))
        which = int(np.searchsorted(self.edges, at, side="right"))
        span = self.spans[which]
        return span, span.start + at - int(self.edges[which] - span.windows), rng


class TrainingSet(Dataset[Sample]):
    """Sample k of the generator's training."""

    def __init__(self, pool: Pool, size: int, seed: int) -> None:
        self.drawn = _Drawn(pool, size, seed)

    def __getitem__(self, k: int) -> Sample:
        """A window and, for each of its pictures, a reference from elsewhere in the span (inside it when it is tiny)."""
        span, start, rng = self.drawn.draw(k)
        outside = [i for i in range(span.start, span.stop) if not start <= i < start + T] or list(
            range(span.start, span.stop)
        )
        return self.drawn.windows.window(span, start, rng.choice(outside, T).tolist())


class Numbers:
    """Sample numbers of one process, batch by batch: over all processes they are first, first + 1, ... without a gap."""

    def __init__(self, first: int, batch: int, rank: int, world: int) -> None:
        self.first, self.batch, self.rank, self.world = first, batch, rank, world

    def __iter__(self) -> Iterator[list[int]]:
        start = self.first + self.rank * self.batch
        while True:
            yield list(range(start, start + self.batch))
            start += self.batch * self.world


def batches(data: Dataset[Any], numbers: Numbers, workers: int) -> Iterator[tuple[Tensor, ...]]:
    """Endless batches (fields of the samples, stacked), read ahead by `workers` processes."""
    yield from DataLoader(
        data,
        batch_sampler=numbers,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
