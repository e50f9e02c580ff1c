"""All pairs of pictures and sounds in a batch: eq. 5 with many off-sync examples for one pass through the encoders."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.radio import losses
from lipsync_eval.baselines.radio.mouth import SHAPE
from lipsync_eval.baselines.radio.sync import SyncDiscriminator, tight_gray
from lipsync_eval.baselines.radio.sync_config import SyncConfig


class PairModel(nn.Module):
    """The sync discriminator and, for training only, a linear layer that reads the mouth's shape and motion off its visual features."""

    def __init__(self, config: SyncConfig, visual_gradient: float = 1.0) -> None:
        """`visual_gradient`: share of the cosines' gradient that reaches the visual encoder's convolutions."""
        super().__init__()
        self.visual_gradient = visual_gradient
        self.net = SyncDiscriminator(config)
        self.head = nn.Linear(self.net.visual.out_channels, (config.frames + 1) * SHAPE)

    def forward(self, frames: Tensor, mel: Tensor | None) -> tuple[Tensor, Tensor]:
        """Cosines of every picture window with every sound, and shapes.

        Args:
            frames: (B, T, 3, H, W).
            mel: (B, 1, bands, mel_frames); None: shapes only, and a zero to which all other weights are tied, for which
                DistributedDataParallel waits.

        Returns:
            (B, B) float32, row: pictures, column: sound, or the () zero; (B, (T + 1) * 5) float32 standardised shapes.
        """
        pooled = self.net.visual.pooled(tight_gray(frames, self.net.config))
        if mel is None:
            rest = [*self.net.visual.fc.parameters(), *self.net.audio.parameters()]
            return torch.stack([0 * p.sum() for p in rest]).sum(), cast(Tensor, self.head(pooled).float())
        held = torch.lerp(pooled.detach(), pooled, self.visual_gradient)  # the same values, less gradient
        cosines = cosine_table(self.net.visual.fc(held), self.net.audio(mel))
        return cosines, cast(Tensor, self.head(pooled).float())


def cosine_table(seen: Tensor, heard: Tensor) -> Tensor:
    """(A, dim), (B, dim) -> (A, B) float32 cosines."""
    return F.normalize(seen.float(), dim=1) @ F.normalize(heard.float(), dim=1).T


def off_sync(span: Tensor, start: Tensor, min_shift: int) -> Tensor:
    """(B, B) bool: pairs of one span whose windows begin at least `min_shift` pictures apart.

    Args:
        span: (B,) number of each window's span.
        start: (B,) its first picture.
        min_shift: pictures.
    """
    return (span[:, None] == span) & ((start[:, None] - start).abs() >= min_shift)


def pair_loss(probability: Tensor, off: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 5 with both kinds of example weighing the same, however many pairs there are.

    Args:
        probability: (B, B) inside (0, 1); the diagonal is in sync.
        off: (B, B) bool, which pairs are off-sync; all others but the diagonal do not count.

    Returns:
        loss (in-sync examples alone where a batch has no off-sync pair) and accuracy at probability 0.5.
    """
    own, others = probability.diagonal(), probability[off]
    parts = [losses.sync(own, torch.ones_like(own))]
    right = [(own > 0.5).float().mean()]
    if others.numel():
        parts.append(losses.sync(others, torch.zeros_like(others)))
        right.append((others <= 0.5).float().mean())
    return torch.stack(parts).mean(), torch.stack(right).mean()
