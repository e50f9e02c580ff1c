"""AV-HuBERT as a lip-sync expert in training (option): the loss of Yaman et al. 2024, arXiv:2405.04327, eq. 1.

The generated pictures replace their interval in a stretch of the real video; the expert reads the stretch, and only the
interval counts. The paper uses the whole video; a stretch of 25 pictures fits into a training step.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lipsync_eval.baselines.radio.dataset import Sample, TrainingSet
from lipsync_eval.baselines.radio.spans import T
from lipsync_eval.types import FPS, RATE


class Context(NamedTuple):
    """The real stretch around a window (or a batch of them, with B in front). C pictures."""

    frames: Tensor
    """(C, 3, size, size) in [-1, 1]."""
    matrix: Tensor
    """(C, 2, 3) float64, aligned px -> AV-HuBERT's canvas."""
    corner: Tensor
    """(C, 2) int64."""
    sound: Tensor
    """(104, C) AV-HuBERT's audio input."""
    first: Tensor
    """() int64: where the window begins in the stretch."""


class ContextSet(Dataset[tuple[Tensor, ...]]):
    """Samples of a TrainingSet with the stretch around them: the fields of Sample, then those of Context."""

    def __init__(self, base: TrainingSet, length: int, stored: int) -> None:
        self.base, self.length, self.scale = base, length, base.drawn.windows.size / stored

    def __getitem__(self, k: int) -> tuple[Tensor, ...]:
        """Sample k and its context.

        Raises:
            UsageError: an entry shorter than the stretch.
        """
        from lipsync_eval.errors import UsageError
        from lipsync_eval.features.avhubert import audio_input, locate_mouths

        span, start, _ = self.base.drawn.draw(k)
        frames = span.entry.frames
        if frames < self.length:
            raise UsageError(
                f"{span.entry.id} has {frames} pictures, loss.avhubert_context is {self.length}; lower it or prepare longer"
            )
        first = min(max(start + T // 2 - self.length // 2, 0), frames - self.length)
        windows = self.base.drawn.windows
        pictures = windows.pictures(span, range(first, first + self.length))
        points = np.stack([windows.landmarks(span, i) for i in range(first, first + self.length)]).astype(np.float64)
        mouths = locate_mouths((points + 0.5) * self.scale - 0.5)
        per = RATE // FPS
        samples = windows.reader.array(span.shard, f"{span.number}/audio", first * per, (first + self.length) * per)
        sound = torch.from_numpy(audio_input(samples, self.length).T.copy())
        context = Context(
            pictures,
            torch.from_numpy(mouths.matrix),
            torch.from_numpy(mouths.corner.astype(np.int64)),
            sound,
            torch.tensor(start - first),
        )
        return (*self.base[k], *context)


def split_batch(batch: tuple[Tensor, ...]) -> tuple[Sample, Context | None]:
    """Fields of a batch -> sample and, where there are more fields, context."""
    head = len(Sample._fields)
    return Sample(*batch[:head]), Context(*batch[head:]) if len(batch) > head else None


class Expert:
    """The frozen network."""

    def __init__(self, weights: Path, device: torch.device) -> None:
        from lipsync_eval.features.avhubert import load

        self.model = load(weights, str(device))

    def loss(self, output: Tensor, context: Context) -> Tensor:
        """-log of the mean cosine over the generated pictures, mean over the batch.

        Args:
            output: (B, T, 3, size, size) generated, in [-1, 1].
            context: of the batch.
        """
        from lipsync_eval.features.avhubert import Mouths, avs_loss, sample_mouths, video_tensor

        clips, counts = [], torch.zeros(context.frames.shape[:2], dtype=torch.bool, device=output.device)
        for b in range(len(output)):
            first = int(context.first[b])
            whole = torch.cat([context.frames[b, :first], output[b].float(), context.frames[b, first + T :]])
            matrix, corner = context.matrix[b].cpu().numpy(), context.corner[b].cpu().numpy()
            mouths = Mouths(matrix, corner.astype(np.intp), np.empty(0, np.intp))
            clips.append(sample_mouths((whole + 1) / 2, mouths))
            counts[b, first : first + T] = True
        video = video_tensor(torch.stack(clips))
        return avs_loss(self.model, video, audio=context.sound.to(video.dtype), frames=counts)
