"""AV-HuBERT as a lip-sync expert in training (option): the loss of Yaman et al. 2024, arXiv:2405.04327, eq. 1.

The generated frames replace their interval in a stretch of the real video; the expert reads the stretch, and only the
interval counts. The paper uses the whole video; a stretch of 25 frames fits into a training step.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lipsync_eval.baselines.kit.data.holdout import Span
from lipsync_eval.baselines.kit.data.windows import Windows
from lipsync_eval.baselines.kit.training.terms import Made, Term
from lipsync_eval.errors import UsageError
from lipsync_eval.types import FPS, RATE


@dataclass(frozen=True)
class StretchReader:
    """Reads the real stretch of `length` (C) frames around a window.

    stretch (C, 3, size, size) in [-1, 1]; stretch_matrix (C, 2, 3) float64, crop px -> AV-HuBERT's canvas;
    stretch_corner (C, 2) int64; stretch_audio (104, C), AV-HuBERT's audio input; stretch_first () int64, where the window
    begins in the stretch.
    """

    length: int

    def __call__(self, windows: Windows, span: Span, start: int) -> dict[str, Tensor]:
        """The stretch around the window that begins at frame `start`.

        Raises:
            UsageError: an entry shorter than the stretch.
        """
        from lipsync_eval.features.avhubert import audio_input, locate_mouths

        frames, length = span.entry.frames, self.length
        if frames < length:
            raise UsageError(
                f"{span.entry.id} has {frames} frames, loss.avhubert_context is {length}; lower it or prepare longer"
            )
        first = min(max(start + span.window // 2 - length // 2, 0), frames - length)
        mouths = locate_mouths(windows.points(span, first, first + length))
        per = RATE // FPS
        samples = windows.array(span, "audio", first * per, (first + length) * per)
        return {
            "stretch": windows.tensor(span, range(first, first + length)),
            "stretch_matrix": torch.from_numpy(mouths.matrix),
            "stretch_corner": torch.from_numpy(mouths.corner.astype(np.int64)),
            "stretch_audio": torch.from_numpy(audio_input(samples, length).T.copy()),
            "stretch_first": torch.tensor(start - first),
        }


def lip_reading_term(weight: float, weights: Path, context: int, device: torch.device) -> Term:
    """'avhubert': -log of the mean cosine over the generated frames, mean over the batch.

    Args:
        weight: of the term.
        weights: an official AV-HuBERT checkpoint.
        context: frames of the stretch.
        device: of the network.
    """
    from lipsync_eval.features.avhubert import Mouths, avs_loss, load, sample_mouths, video_tensor

    model = load(weights, str(device))

    def loss(made: Made) -> Tensor:
        more, output = made.sample.more, made.windows
        stretch, window = more["stretch"], output.shape[1]
        clips, counts = [], torch.zeros(stretch.shape[:2], dtype=torch.bool, device=output.device)
        for b in range(len(output)):
            first = int(more["stretch_first"][b])
            whole = torch.cat([stretch[b, :first], output[b].float(), stretch[b, first + window :]])
            matrix, corner = more["stretch_matrix"][b].cpu().numpy(), more["stretch_corner"][b].cpu().numpy()
            mouths = Mouths(matrix, corner.astype(np.intp), np.empty(0, np.intp))
            clips.append(sample_mouths((whole + 1) / 2, mouths))
            counts[b, first : first + window] = True
        video = video_tensor(torch.stack(clips))
        return avs_loss(model, video, audio=more["stretch_audio"].to(video.dtype), frames=counts)

    return Term("avhubert", weight, loss, StretchReader(context))
