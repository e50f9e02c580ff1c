"""S, the sync network of the loss: Wav2Lip's towers on eyes-aligned crops, trained with a contrastive loss."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.kit.network.wav2lip import audio_plans, tower, visual_plans
from lipsync_eval.baselines.kit.sync.network import SyncNetwork
from lipsync_eval.baselines.stylesync.config import SyncConfig
from lipsync_eval.errors import InputError

HEIGHT, WIDTH = 48, 96
"""px of the lower half that S sees."""


def lower_half(frames: Tensor) -> Tensor:
    """(B, T, 3, H, W) crops in [-1, 1] -> (B, 3 T, 48, 96) lower halves in [0, 1]; antialiased bilinear, differentiable."""
    half = frames[..., frames.shape[-2] // 2 :, :].flatten(1, 2)
    if half.shape[-2:] != (HEIGHT, WIDTH):
        half = F.interpolate(half, (HEIGHT, WIDTH), mode="bilinear", align_corners=False, antialias=True)
    return (half + 1) / 2


class SyncNet(SyncNetwork):
    """S_v and S_a. The last block of each has no activation, so that cosines may be negative."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        self.config = config
        plans = visual_plans(config.frames, config.narrow)
        self.visual = tower(plans[:-1])
        self.visual_code = tower(plans[-1:], linear=True)
        self.audio = tower(audio_plans(config.narrow), linear=True)

    @property
    def width(self) -> int:
        """Channels before the visual tower's last block."""
        return 512 // self.config.narrow

    def look(self, frames: Tensor) -> Tensor:
        """(B, T, 3, H, W) crops in [-1, 1] -> (B, width).

        Raises:
            InputError: not T frames.
        """
        if frames.ndim != 5 or frames.shape[1] != self.config.frames:
            raise InputError(f"the sync network takes (B, {self.config.frames}, 3, H, W), not {tuple(frames.shape)}")
        return cast(Tensor, self.visual(lower_half(frames)).flatten(1))

    def code(self, features: Tensor) -> Tensor:
        """(B, width) -> (B, dim)."""
        return cast(Tensor, self.visual_code(features[:, :, None, None]).flatten(1))

    def hear(self, audio: Tensor) -> Tensor:
        """S_a: (B, 1, 80, 16) of the five frames -> (B, dim)."""
        return cast(Tensor, self.audio(audio).flatten(1))

    def late(self) -> list[nn.Parameter]:
        """Of the visual tower's last block and the audio tower."""
        return [*self.visual_code.parameters(), *self.audio.parameters()]
