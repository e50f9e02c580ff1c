"""All pairs of windows and audio in a batch: many off-sync examples for one pass through both towers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.kit.sync.mouth_shape import SHAPE
from lipsync_eval.baselines.kit.sync.network import SyncNetwork
from lipsync_eval.baselines.kit.training import losses


class PairModel(nn.Module):
    """A sync discriminator and, for training only, a linear layer that reads the mouth's shape and motion off its features."""

    def __init__(self, net: SyncNetwork, window: int = 5, visual_gradient: float = 1.0) -> None:
        """`visual_gradient`: share of the cosines' gradient that reaches the visual features."""
        super().__init__()
        self.visual_gradient = visual_gradient
        self.net = net
        self.head = nn.Linear(net.width, (window + 1) * SHAPE)

    def forward(self, frames: Tensor, audio: Tensor | None) -> tuple[Tensor, Tensor]:
        """Cosines of every window with every audio, and shapes.

        Args:
            frames: (B, T, 3, H, W).
            audio: (B, 1, bands, columns); None: shapes only, and a zero to which all other weights are tied, for which
                DistributedDataParallel waits.

        Returns:
            (B, B) float32, row: frames, column: audio, or the () zero; (B, (T + 1) * 5) float32 standardised shapes.
        """
        seen = self.net.look(frames)
        if audio is None:
            return torch.stack([0 * p.sum() for p in self.net.late()]).sum(), self.head(seen).float()
        held = torch.lerp(seen.detach(), seen, self.visual_gradient)  # the same values, less gradient
        return cosine_table(self.net.code(held), self.net.hear(audio)), self.head(seen).float()


def cosine_table(seen: Tensor, heard: Tensor) -> Tensor:
    """(A, dim), (B, dim) -> (A, B) float32 cosines."""
    return F.normalize(seen.float(), dim=1) @ F.normalize(heard.float(), dim=1).T


def off_sync(span: Tensor, start: Tensor, min_shift: int, others: bool = False) -> Tensor:
    """(B, B) bool: pairs of one span whose windows begin at least `min_shift` frames apart.

    Args:
        span: (B,) number of each window's span.
        start: (B,) its first frame.
        min_shift: frames.
        others: whether pairs of two spans count too.
    """
    same = span[:, None] == span
    apart: Tensor = same & ((start[:, None] - start).abs() >= min_shift)
    return apart | ~same if others else apart


def pair_loss(probability: Tensor, off: Tensor) -> tuple[Tensor, Tensor]:
    """Binary cross entropy with both kinds of example weighing the same, however many pairs there are.

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
