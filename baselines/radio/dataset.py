"""Windows of five pictures with sound and reference, drawn by number: sample k is the same in every run.

Nothing random is kept between draws, so a run continues from a step number alone and any number of processes sees the
same samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lipsync_eval.baselines.radio.config import Config
from lipsync_eval.baselines.radio.mel import WINDOW_FRAMES
from lipsync_eval.baselines.radio.shards import Entry, Shard, ShardReader, check_shards, load_manifest
from lipsync_eval.errors import InputError, UsageError
from lipsync_eval.types import Frame

T = 5
"""Pictures in a window (RADIO section 3)."""


@dataclass(frozen=True)
class Span:
    """Pictures start..stop-1 of one entry, from which windows are drawn."""

    shard: Shard
    number: int
    entry: Entry
    start: int
    stop: int

    @property
    def windows(self) -> int:
        """Windows that fit."""
        return max(0, self.stop - self.start - T + 1)


class Sample(NamedTuple):
    """One window (or a batch of them, with B in front)."""

    target: Tensor
    """(T, 3, size, size) float32 in [-1, 1], consecutive."""
    reference: Tensor
    """(T, 3, size, size), drawn from the same entry outside the window."""
    mel: Tensor
    """(T, 1, bands, frames): for every picture the sound around it."""


class SyncSample(NamedTuple):
    """Pictures with sound that fits or not."""

    frames: Tensor
    """(T, 3, size, size) in [-1, 1]."""
    mel: Tensor
    """(1, bands, frames) over five pictures."""
    in_sync: Tensor
    """() float32, 1 or 0."""


class Pool:
    """The spans of a prepared folder, split into training and held-out."""

    def __init__(self, config: Config) -> None:
        if config.data.folder is None:
            raise UsageError("no training data named; give --data FOLDER (made by `radio prepare`)")
        self.folder = Path(config.data.folder)
        manifest = load_manifest(self.folder)
        check_shards(self.folder, manifest, config.data.verify)
        self.size = int(manifest.preprocessing["size"])
        if self.size < config.model.size:
            raise UsageError(
                f"{self.folder} holds {self.size}-pixel pictures, the model is {config.model.size} px; "
                f"prepare again with --size {config.model.size} or choose a smaller model"
            )
        spans = [
            Span(shard, k, e, 0, e.frames) for shard, k, e in manifest.entries() if e.frames >= config.data.min_frames
        ]
        if not spans:
            raise UsageError(f"{self.folder} holds no entry of {config.data.min_frames} pictures; prepare more videos")
        self.train, self.held_out = split(spans, config.data.holdout)

    def __str__(self) -> str:
        counts = [
            (sum(s.windows for s in part), len({s.entry.source for s in part})) for part in (self.train, self.held_out)
        ]
        return f"{counts[0][0]} windows of {counts[0][1]} videos to train, {counts[1][0]} of {counts[1][1]} held out"


def split(spans: Sequence[Span], rule: str) -> tuple[list[Span], list[Span]]:
    """Training and held-out spans.

    Args:
        spans: whole entries.
        rule: 'clips:SHARE' holds out the last groups (persons or videos) in an order by hash; 'tail:SHARE' the end of
            every entry; 'ids:A,B' sources by name without suffix; 'split' what the layout calls val.

    Raises:
        UsageError: an unknown rule, or one that leaves a side empty.
    """
    kind, _, value = rule.partition(":")
    train: list[Span] = []
    held: list[Span] = []
    if kind == "tail":
        share = _share(rule, value)
        for s in spans:
            cut = s.stop - max(T, round(share * (s.stop - s.start)))
            train.append(Span(s.shard, s.number, s.entry, s.start, max(cut, s.start)))
            held.append(Span(s.shard, s.number, s.entry, max(cut, s.start), s.stop))
    elif kind in {"clips", "ids", "split"}:
        chosen = _chosen(spans, kind, value, rule)
        for s in spans:
            if kind == "split" and s.entry.split == "test":
                continue
            (held if _key(s, kind) in chosen else train).append(s)
    else:
        raise UsageError(f"holdout {rule!r} is not known; give clips:SHARE, tail:SHARE, ids:A,B or split")
    train, held = [s for s in train if s.windows], [s for s in held if s.windows]
    if not train or not held:
        empty = "to train on" if not train else "to hold out"
        raise UsageError(f"holdout {rule!r} leaves no window {empty}; choose another rule, e.g. tail:0.2")
    return train, held


def _share(rule: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise UsageError(f"holdout {rule!r}: the share must lie between 0 and 1")
    return share


def _key(span: Span, kind: str) -> str:
    if kind == "ids":
        return span.entry.source.rpartition(".")[0]
    return str(span.entry.split) if kind == "split" else span.entry.group


def _chosen(spans: Sequence[Span], kind: str, value: str, rule: str) -> set[str]:
    import hashlib

    if kind == "split":
        return {"val"}
    keys = sorted({_key(s, kind) for s in spans}, key=lambda k: hashlib.sha256(k.encode()).digest())
    if kind == "ids":
        asked = set(value.split(","))
        if missing := asked - set(keys):
            raise UsageError(
                f"holdout {rule!r}: there is no {', '.join(sorted(missing))}; there are {', '.join(sorted(keys)[:20])}"
            )
        return asked
    return set(keys[: max(1, round(_share(rule, value) * len(keys)))])


class Windows:
    """Reads windows of spans as tensors of one size."""

    def __init__(self, folder: Path, size: int) -> None:
        self.reader = ShardReader(folder)
        self.size = size

    def pictures(self, span: Span, indices: Sequence[int]) -> Tensor:
        """(n, 3, size, size) float32 in [-1, 1]; stored pictures that are larger are shrunk by area."""
        frames = np.stack([fit(self.reader.picture(span.shard, span.number, i), self.size) for i in indices])
        return to_tensor(frames)

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


class SyncSet(Dataset[SyncSample]):
    """Sample k of the sync discriminator's training: even k in sync, odd k with sound from elsewhere in the same span."""

    def __init__(self, pool: Pool, size: int, seed: int, min_shift: int) -> None:
        self.drawn = _Drawn(pool, size, seed)
        self.min_shift = min_shift
        if not any(s.windows > min_shift for s in pool.train):
            raise UsageError(f"no video is long enough for a shift of {min_shift} pictures; lower sync.min_shift")

    def __getitem__(self, k: int) -> SyncSample:
        """Pictures of a window; sound of the same window (k even) or of one at least min_shift pictures away."""
        span, start, rng = self.drawn.draw(k)
        while span.windows <= self.min_shift and k % 2:  # too short for a shifted partner: draw on
            span, start, rng = self.drawn.draw(int(rng.integers(1 << 62)))
        other = start if k % 2 == 0 else shifted(span, start, self.min_shift, rng)
        windows = self.drawn.windows
        frames = windows.pictures(span, range(start, start + T))
        return SyncSample(frames, windows.mel(span, other + T // 2), torch.tensor(float(k % 2 == 0)))


def shifted(span: Span, start: int, least: int, rng: np.random.Generator) -> int:
    """First picture of a window of the span at least `least` pictures away from `start` (the furthest if none is)."""
    last = span.start + span.windows - 1
    far = [i for i in range(span.start, last + 1) if abs(i - start) >= least]
    if not far:
        return span.start if start - span.start > last - start else last
    return int(rng.choice(far))


def even_windows(spans: Sequence[Span], count: int) -> list[tuple[Span, int]]:
    """`count` windows (span, first picture) spread evenly over all windows of the spans; fewer when there are fewer.

    Raises:
        InputError: count is not positive.
    """
    if count < 1:
        raise InputError(f"asked for {count} windows; give at least 1")
    edges = np.cumsum([s.windows for s in spans])
    total = int(edges[-1])
    picks = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    found = []
    for at in picks.tolist():
        which = int(np.searchsorted(edges, at, side="right"))
        found.append((spans[which], spans[which].start + at - int(edges[which] - spans[which].windows)))
    return found


class Numbers:
    """Sample numbers of one process, batch by batch: over all processes they are first, first + 1, ... without a gap."""

    def __init__(self, first: int, batch: int, rank: int, world: int) -> None:
        self.first, self.batch, self.rank, self.world = first, batch, rank, world

    def __iter__(self) -> Iterator[list[int]]:
        start = self.first + self.rank * self.batch
        while True:
            yield list(range(start, start + self.batch))
            start += self.batch * self.world


def batches(
    data: Dataset[Sample] | Dataset[SyncSample], numbers: Numbers, workers: int
) -> Iterator[tuple[Tensor, ...]]:
    """Endless batches (fields of the samples, stacked), read ahead by `workers` processes."""
    yield from DataLoader(
        data,
        batch_sampler=numbers,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
