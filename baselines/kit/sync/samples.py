"""Windows for a sync discriminator's training, drawn by number: sample k is the same in every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lipsync_eval.baselines.kit.data.holdout import Pool, Span, even_windows
from lipsync_eval.baselines.kit.data.windows import Windows, to_tensor
from lipsync_eval.baselines.kit.sync.augmentation import Box, augment_audio, augment_crops
from lipsync_eval.baselines.kit.sync.mouth_shape import level_and_motion, mouth_shape
from lipsync_eval.baselines.kit.sync.settings import SyncAugmentConfig, SyncTrainConfig
from lipsync_eval.errors import UsageError

SHAPE_WINDOWS = 1000
"""Windows from which mean and deviation of the mouth's shape are taken."""
Targets = NDArray[np.float32]


class SyncSample(NamedTuple):
    """A window with its own audio (or a batch of them, with B in front)."""

    frames: Tensor
    """(T, 3, size, size) in [-1, 1]."""
    audio: Tensor
    """(1, bands, columns) that the window is heard by (`ModelInput.sync_frame`)."""
    shape: Tensor
    """((T + 1) * 5,) level and motion of the mouth's shape (mouth_shape.py), standardised."""
    span: Tensor
    """() int64: number of its span. Windows of one span are off-sync with one another's audio ..."""
    start: Tensor
    """() int64: first frame. ... where these are far enough apart."""


class SyncSet(Dataset[SyncSample]):
    """Sample k: `sync_train.group` samples in a row are windows of one span; each is augmented by itself.

    Raises:
        UsageError: no video is long enough for a shifted window.
    """

    def __init__(self, pool: Pool, train: SyncTrainConfig, augment: SyncAugmentConfig, face: Box) -> None:
        """`face`: left, top, right, bottom of the face in a crop, as shares of its side."""
        self.spans = [span for span in pool.train if span.windows > train.min_shift]
        if not self.spans:
            raise UsageError(
                f"no video is long enough for a shift of {train.min_shift} frames; lower sync_train.min_shift"
            )
        self.train, self.augment, self.face, self.windows = train, augment, face, Windows(pool)
        self.share = np.cumsum([span.windows for span in self.spans])
        self.mean, self.deviation = _statistics(self.windows, self.spans)

    def draw(self, k: int) -> tuple[int, int]:
        """Number of the span and first frame of sample k; a group shares the span and, if it can, no window."""
        s = self.train
        rng = np.random.default_rng([s.seed, k // s.group])
        which = int(np.searchsorted(self.share, rng.integers(self.share[-1]), side="right"))
        span = self.spans[which]
        starts = rng.choice(span.windows, s.group, replace=span.windows < s.group)
        return which, span.start + int(starts[k % s.group])

    def __getitem__(self, k: int) -> SyncSample:
        """Frames and audio of a window, changed at random, and its mouth's shape, which the changes leave as it is."""
        which, start = self.draw(k)
        span, levels = self.spans[which], self.windows.model.audio.levels
        rng = np.random.default_rng([self.train.seed, 1, k])
        crops = augment_crops(self.windows.crops(span, range(start, start + span.window)), self.face, self.augment, rng)
        audio = self.windows.audio(span, start + self.windows.model.sync_frame)[0].numpy()
        audio = augment_audio(audio, levels, self.augment, rng)
        shape = (_shape(self.windows, span, start) - self.mean) / self.deviation
        return SyncSample(
            to_tensor(crops),
            torch.from_numpy(audio)[None],
            torch.from_numpy(shape.ravel()),
            torch.tensor(which),
            torch.tensor(start),
        )


def _shape(windows: Windows, span: Span, start: int) -> Targets:
    return level_and_motion(mouth_shape(windows.landmarks(span, start, start + span.window)))


def _statistics(windows: Windows, spans: Sequence[Span]) -> tuple[Targets, Targets]:
    """(T + 1, 5) mean and standard deviation of the mouth's level and motion over evenly spread training windows."""
    found = np.stack([_shape(windows, span, start) for span, start in even_windows(spans, SHAPE_WINDOWS)])
    return found.mean(0), np.maximum(found.std(0), 1e-4)
