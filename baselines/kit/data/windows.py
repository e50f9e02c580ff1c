"""Windows of consecutive crops with audio and references, drawn by number: sample k is the same in every run.

Nothing random is kept between draws, so a run continues from a step number alone and any number of processes sees the
same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lipsync_eval.baselines.kit.data.holdout import Pool, Span
from lipsync_eval.baselines.kit.data.inputs import Array, points_in
from lipsync_eval.baselines.kit.data.shards import ShardReader
from lipsync_eval.types import FPS, Float, Frame


class Sample(NamedTuple):
    """One window (or a batch of them, with B in front)."""

    target: Tensor
    """(T, 3, size, size) float32 in [-1, 1], consecutive."""
    reference: Tensor
    """(T, 3, size, size), drawn from the same entry outside the window."""
    audio: Tensor
    """(T, 1, bands, columns): for every frame the audio around it."""
    more: Mapping[str, Tensor] = {}
    """What readers added, by name."""

    def to(self, device: torch.device) -> Sample:
        """The same on a device."""
        target, reference, audio = (x.to(device, non_blocking=True) for x in (self.target, self.reference, self.audio))
        return Sample(target, reference, audio, {k: x.to(device, non_blocking=True) for k, x in self.more.items()})


class Windows:
    """Reads windows of spans as tensors, as the pool's model takes them."""

    def __init__(self, pool: Pool) -> None:
        self.model, self.size, self.stored = pool.model, pool.model.size, pool.size
        self.reader = ShardReader(pool.folder)
        self._wholes: dict[tuple[str, int], Array] = {}

    def tensor(self, span: Span, indices: Sequence[int]) -> Tensor:
        """(n, 3, size, size) float32 in [-1, 1]; see `crops`."""
        return to_tensor(self.crops(span, indices))

    def crops(self, span: Span, indices: Sequence[int]) -> NDArray[np.uint8]:
        """(n, size, size, 3) RGB; stored crops that are larger are shrunk by area."""
        return np.stack([fit(self.reader.crop(span.shard, span.number, i), self.size) for i in indices])

    def audio(self, span: Span, index: int) -> Tensor:
        """(1, bands, columns) around frame `index` of the entry."""
        if place := self.model.audio.stored(index):
            name, start, stop = place
            window = self.array(span, name, start, stop).T
        else:
            window = self.model.audio.window(self._whole(span), index / FPS)
        return torch.from_numpy(np.ascontiguousarray(window, np.float32))[None]

    def _whole(self, span: Span) -> Array:
        """The audio feature of a whole entry, from its samples; the last few entries' are kept."""
        key = (span.shard.file, span.number)
        if key not in self._wholes:
            while len(self._wholes) >= KEPT:
                del self._wholes[next(iter(self._wholes))]
            samples: Array = (self.array(span, "audio") / 32768).astype(np.float32)
            self._wholes[key] = self.model.audio.whole(samples)
        return self._wholes[key]

    def array(self, span: Span, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Rows start..stop-1 of a stored array of the span's entry."""
        return self.reader.array(span.shard, f"{span.number}/{name}", start, stop)

    def landmarks(self, span: Span, start: int, stop: int) -> NDArray[np.float32]:
        """(stop - start, L, 2) px in the stored crops; see `points`."""
        found: NDArray[np.float32] = self.array(span, "landmarks", start, stop)
        return found

    def points(self, span: Span, start: int, stop: int) -> Float:
        """(stop - start, L, 2) landmarks, px in crops of the model's size."""
        return points_in(self.size, self.stored, self.landmarks(span, start, stop))

    def window(self, span: Span, start: int, references: Sequence[int]) -> Sample:
        """The window that begins at frame `start`, with the given reference frames."""
        indices = range(start, start + span.window)
        audio = torch.stack([self.audio(span, i) for i in indices])
        return Sample(self.tensor(span, indices), self.tensor(span, references), audio)


KEPT = 8
"""Entries whose whole audio feature is kept, where windows are not stored."""
Reader = Callable[[Windows, Span, int], Mapping[str, Tensor]]
"""Reads more about a window (its span and first frame) than a Sample holds, e.g. what a loss term needs."""


class Draw(NamedTuple):
    """What is random about one sample."""

    number: int
    """k, from 0: step * batch is the first of a step."""
    rng: np.random.Generator
    """Of sample k alone."""


class DrawingReader(Protocol):
    """A reader that draws, e.g. references: the same for sample k in every run."""

    def drawn(self, windows: Windows, span: Span, start: int, draw: Draw) -> Mapping[str, Tensor]:
        """As a `Reader`, with what is random about the sample."""
        ...


AnyReader = Reader | DrawingReader


def read_more(readers: Sequence[AnyReader], windows: Windows, span: Span, start: int, draw: Draw) -> dict[str, Tensor]:
    """What all readers say about a window, by name."""
    found: dict[str, Tensor] = {}
    for reader in readers:
        drawn = getattr(reader, "drawn", None)
        found |= drawn(windows, span, start, draw) if drawn else reader(windows, span, start)  # type: ignore[operator]
    return found


def fit(crop: Frame, size: int) -> Frame:
    """Shrink a square crop by area averaging; the same size passes through."""
    import cv2

    if crop.shape[0] == size:
        return crop
    return np.asarray(cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def to_tensor(frames: NDArray[np.uint8]) -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_frames(x: Tensor) -> NDArray[np.uint8]:
    """(n, 3, H, W) in [-1, 1] (clamped) -> (n, H, W, 3) uint8."""
    levels = ((x.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


class WindowDraw:
    """Draws a span by its number of windows, and a window in it, from (seed, k)."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self.spans, self.seed = pool.train, seed
        self.windows = Windows(pool)
        self.edges = np.cumsum([s.windows for s in self.spans])

    def draw(self, k: int) -> tuple[Span, int, np.random.Generator]:
        """Span, first frame and a generator for further draws."""
        rng = np.random.default_rng([self.seed, k])
        at = int(rng.integers(self.edges[-1]))
        which = int(np.searchsorted(self.edges, at, side="right"))
        span = self.spans[which]
        return span, span.start + at - int(self.edges[which] - span.windows), rng


class TrainingSet(Dataset[Sample]):
    """Sample k of a generator's training.

    Args:
        pool: the data.
        seed: of all draws.
        readers: what is read beside the sample; names must differ.
    """

    def __init__(self, pool: Pool, seed: int, readers: Sequence[AnyReader] = ()) -> None:
        self.drawn, self.readers = WindowDraw(pool, seed), readers

    def __getitem__(self, k: int) -> Sample:
        """A window with references from elsewhere in the span (inside the window when the span is tiny)."""
        span, start, rng = self.drawn.draw(k)
        windows = self.drawn.windows
        everywhere = range(span.start, span.stop)
        outside = [i for i in everywhere if not start <= i < start + span.window] or list(everywhere)
        if windows.model.references == "each":
            references = rng.choice(outside, span.window).tolist()
        else:
            references = [int(rng.choice(outside))] * span.window
        more = read_more(self.readers, windows, span, start, Draw(k, rng))
        return windows.window(span, start, references)._replace(more=more)


class Numbers:
    """Sample numbers of one process, batch by batch: over all processes they are first, first + 1, ... without a gap."""

    def __init__(self, first: int, batch: int, rank: int, world: int) -> None:
        self.first, self.batch, self.rank, self.world = first, batch, rank, world

    def __iter__(self) -> Iterator[list[int]]:
        start = self.first + self.rank * self.batch
        while True:
            yield list(range(start, start + self.batch))
            start += self.batch * self.world


def batches(data: Dataset[Any], numbers: Numbers, workers: int) -> Iterator[Any]:
    """Endless batches (fields of the samples, stacked), read ahead by `workers` processes."""
    yield from DataLoader(
        data,
        batch_sampler=numbers,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
