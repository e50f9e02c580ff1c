"""The grayscale sync discriminator S (RADIO section 3.3, supplement A) and the tight face that it sees."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.radio.resnet_se import ResNetSE, Trunk
from lipsync_eval.baselines.radio.sync_config import SyncConfig
from lipsync_eval.errors import InputError

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of R, G, B."""


def tight_gray(frames: Tensor, config: SyncConfig) -> Tensor:
    """Aligned pictures to the tight gray faces that S sees; differentiable.

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

    def forward(self, faces: Tensor) -> Tensor:
        """(B, frames, size, size) in [-1, 1] -> (B, dim)."""
        return cast(Tensor, self.fc(self.pooled(faces)))


class SyncDiscriminator(nn.Module):
    """S_v and S_a: five gray faces and the sound over them, each to one vector."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        self.config = config
        self.visual = VisualEncoder(config)
        self.audio = ResNetSE(config.dim, config.width)

    def forward(self, frames: Tensor, mel: Tensor) -> Tensor:
        """Cosine of eq. 4.

        Args:
            frames: (B, T, 3, H, W) aligned RGB in [-1, 1], T = 5 consecutive.
            mel: (B, 1, bands, mel_frames) over the same five frames.

        Returns:
            (B,) float32 in [-1, 1].
        """
        return F.cosine_similarity(self.see(frames).float(), self.audio(mel).float(), dim=1)

    def see(self, frames: Tensor) -> Tensor:
        """S_v: (B, T, 3, H, W) aligned RGB in [-1, 1] -> (B, dim).

        Raises:
            InputError: not T pictures.
        """
        if frames.ndim != 5 or frames.shape[1] != self.config.frames:
            raise InputError(
                f"the sync discriminator takes (B, {self.config.frames}, 3, H, W), not {tuple(frames.shape)}"
            )
        return cast(Tensor, self.visual(tight_gray(frames, self.config)))
