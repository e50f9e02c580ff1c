"""What a sync discriminator must offer to be trained here and used in a generator's loss."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.kit.training.terms import Made


class SyncNetwork(ABC, nn.Module):
    """Two towers: one sees a window, one hears its audio."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Length of what `look` gives."""

    @abstractmethod
    def look(self, frames: Tensor) -> Tensor:
        """Visual features: (B, T, 3, H, W) crops in [-1, 1] -> (B, width)."""

    @abstractmethod
    def code(self, features: Tensor) -> Tensor:
        """The visual tower's last step: (B, width) -> (B, dim)."""

    @abstractmethod
    def hear(self, audio: Tensor) -> Tensor:
        """(B, 1, bands, columns) of the window's `ModelInput.sync_frame` -> (B, dim)."""

    @abstractmethod
    def late(self) -> list[nn.Parameter]:
        """Parameters of `code` and `hear`: those that learn nothing from the mouth's shape."""

    def see(self, frames: Tensor) -> Tensor:
        """(B, T, 3, H, W) crops in [-1, 1] -> (B, dim)."""
        return self.code(self.look(frames))

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        """(B,) float32 cosines of windows (B, T, 3, H, W) with their audio (B, 1, bands, columns)."""
        return F.cosine_similarity(self.see(frames).float(), self.hear(audio).float(), dim=1)


def sync_cosine(net: SyncNetwork, made: Made, heard: int | None = None) -> Tensor:
    """(B,) cosines of generated windows with the audio of frame `heard` (None: their middle frame)."""
    windows = made.windows.float()
    cosine: Tensor = net(windows, made.sample.audio[:, windows.shape[1] // 2 if heard is None else heard])
    return cosine
