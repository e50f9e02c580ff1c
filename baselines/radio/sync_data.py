"""Windows for the sync discriminator's training, drawn by number: sample k is the same in every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lipsync_eval.baselines.radio.augment import augment_frames, augment_mel
from lipsync_eval.baselines.radio.config import Config
from lipsync_eval.baselines.radio.dataset import Windows, to_tensor
from lipsync_eval.baselines.radio.mouth import level_and_motion, mouth_shape
from lipsync_eval.baselines.radio.spans import Pool, Span, T, even_windows
from lipsync_eval.errors import UsageError

SHAPE_WINDOWS = 1000
"""Windows from which mean and deviation of the mouth's shape are taken."""
Targets = NDArray[np.float32]


class SyncSample(NamedTuple):
    """A window with its own sound (or a batch of them, with B in front)."""

    frames: Tensor
    """(T, 3, size, size) in [-1, 1]."""
    mel: Tensor
    """(1, bands, frames) over the five pictures."""
    shape: Tensor
    """((T + 1) * 5,) level and motion of the mouth's shape (mouth.py), standardised."""
    span: Tensor
    """() int64: number of its span. Windows of one span are off-sync with one another's sound ..."""
    start: Tensor
    """() int64: first picture. ... where these are far enough apart."""


class SyncSet(Dataset[SyncSample]):
    """Sample k: `sync_train.group` samples in a row are windows of one span; each is augmented by itself.

    Raises:
        UsageError: no video is long enough for a shifted window.
    """

    def __init__(self, pool: Pool, config: Config) -> None:
        s = config.sync_train
        self.spans = [span for span in pool.train if span.windows > s.min_shift]
        if not self.spans:
            raise UsageError(
                f"no video is long enough for a shift of {s.min_shift} pictures; lower sync_train.min_shift"
            )
        self.config, self.windows = config, Windows(pool.folder, config.model.size)
        self.share = np.cumsum([span.windows for span in self.spans])
        self.mean, self.deviation = _statistics(self.windows, self.spans)

    def draw(self, k: int) -> tuple[int, int]:
        """Number of the span and first picture of sample k; a group shares the span and, if it can, no window."""
        s = self.config.sync_train
        rng = np.random.default_rng([s.seed, k // s.group])
        which = int(np.searchsorted(self.share, rng.integers(self.share[-1]), side="right"))
        span = self.spans[which]
        starts = rng.choice(span.windows, s.group, replace=span.windows < s.group)
        return which, span.start + int(starts[k % s.group])

    def __getitem__(self, k: int) -> SyncSample:
        """Pictures and sound of a window, changed at random, and its mouth's shape, which the changes leave as it is."""
        which, start = self.draw(k)
        span, change = self.spans[which], self.config.sync_augment
        rng = np.random.default_rng([self.config.sync_train.seed, 1, k])
        frames = augment_frames(self.windows.frames(span, range(start, start + T)), self.config.sync.box, change, rng)
        mel = augment_mel(self.windows.mel(span, start + T // 2)[0].numpy(), change, rng)
        shape = (_shape(self.windows, span, start) - self.mean) / self.deviation
        return SyncSample(
            to_tensor(frames),
            torch.from_numpy(mel)[None],
            torch.from_numpy(shape.ravel()),
            torch.tensor(which),
            torch.tensor(start),
        )


def _shape(windows: Windows, span: Span, start: int) -> Targets:
    points = np.stack([windows.landmarks(span, i) for i in range(start, start + T)])
    return level_and_motion(mouth_shape(points))


def _statistics(windows: Windows, spans: Sequence[Span]) -> tuple[Targets, Targets]:
    """(T + 1, 5) mean and standard deviation of the mouth's level and motion over evenly spread training windows."""
    found = np.stack([_shape(windows, span, start) for span, start in even_windows(spans, SHAPE_WINDOWS)])
    return found.mean(0), np.maximum(found.std(0), 1e-4)
