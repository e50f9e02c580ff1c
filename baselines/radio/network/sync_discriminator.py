"""The grayscale sync discriminator S (RADIO section 3.3, supplement A) and the tight face that it sees."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.kit.sync.network import SyncNetwork
from lipsync_eval.baselines.radio.config import SyncConfig
from lipsync_eval.baselines.radio.network.resnet_se import ResNetSE, Trunk
from lipsync_eval.errors import InputError

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of R, G, B."""


def tight_gray(frames: Tensor, config: SyncConfig) -> Tensor:
    """Crops to the tight gray faces that S sees; differentiable.

    Args:
        frames: (..., 3, H, W) RGB, FFHQ-aligned.
        config: box and size.

    Returns:
        (..., size, size), the same value range; antialiased bilinear.
    """
    height, width = frames.shape[-2:]
    left, top, right, bottom = config.box
    rows = slice(round(top * height), round(bottom * height))
    columns = slice(round(left * width), round(right * width))
    weights = torch.tensor(LUMA, dtype=frames.dtype, device=frames.device)
    gray = (frames[..., rows, columns] * weights[:, None, None]).sum(-3)
    flat = gray.reshape(-1, 1, *gray.shape[-2:])
    size = (config.size, config.size)
    if flat.shape[-2:] != size:
        flat = F.interpolate(flat, size, mode="bilinear", align_corners=False, antialias=True)
    return flat.reshape(*gray.shape[:-2], *size)


class VisualEncoder(Trunk):
    """SE-ResNet with channel and spatial attention (CBAM) in place of self-attention; 5 gray frames are its channels."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__(config.frames, config.width, gate="cbam", stem_stride=(2, 2), strides=(1, 2, 2, 2))
        self.fc = nn.Linear(self.out_channels, config.dim)

    def pooled(self, faces: Tensor) -> Tensor:
        """(B, frames, size, size) in [-1, 1] -> (B, out_channels), before the last layer."""
        return self.features(faces).mean((2, 3))


class SyncDiscriminator(SyncNetwork):
    """S_v and S_a: five gray faces and the audio over them, each to one vector; `forward` is the cosine of eq. 4."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        self.config = config
        self.visual = VisualEncoder(config)
        self.audio = ResNetSE(config.dim, config.width)

    @property
    def width(self) -> int:
        """Channels of the visual encoder's last map."""
        return self.visual.out_channels

    def look(self, frames: Tensor) -> Tensor:
        """(B, T, 3, H, W) FFHQ crops in [-1, 1] -> (B, width).

        Raises:
            InputError: not T frames.
        """
        if frames.ndim != 5 or frames.shape[1] != self.config.frames:
            raise InputError(
                f"the sync discriminator takes (B, {self.config.frames}, 3, H, W), not {tuple(frames.shape)}"
            )
        return self.visual.pooled(tight_gray(frames, self.config))

    def code(self, features: Tensor) -> Tensor:
        """(B, width) -> (B, dim)."""
        return cast(Tensor, self.visual.fc(features))

    def hear(self, audio: Tensor) -> Tensor:
        """S_a: (B, 1, bands, columns) -> (B, dim)."""
        return cast(Tensor, self.audio(audio))

    def late(self) -> list[nn.Parameter]:
        """Of the last visual layer and the audio encoder."""
        return [*self.visual.fc.parameters(), *self.audio.parameters()]
