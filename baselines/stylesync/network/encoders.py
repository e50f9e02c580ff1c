"""Face encoder, audio encoder and the style space (StyleSync section 3.1)."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.network.stylegan import EqualLinear, PixelNorm, conv_layer
from lipsync_eval.baselines.kit.network.wav2lip import audio_plans, tower
from lipsync_eval.baselines.stylesync.config import SMALLEST, ModelConfig

GROUPS = 32
"""Of the group norms in the audio tower; a narrower tower has as many channels in a group."""
SLOPE = 0.01
"""Negative slope in the audio tower."""
MAPPING_RATE = 0.01
"""lr_mul of the mapping network, StyleGAN2's."""


class FaceEncoder(nn.Module):
    """E_face: a 1x1 layer at full size, then a strided one for every resolution down to 4 px; f_f from the last map."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes = config.sizes[::-1]
        layers: list[nn.Module] = [conv_layer(6, config.channels(sizes[0]), 1)]
        layers += [conv_layer(config.channels(a), config.channels(b), 3, downsample=True) for a, b in pairwise(sizes)]
        self.layers = nn.ModuleList(layers)
        self.code = EqualLinear(config.channels(SMALLEST) * SMALLEST**2, config.style_dim, activate=True)

    def forward(self, image: Tensor) -> tuple[dict[int, Tensor], Tensor]:
        """(B, 6, size, size) masked target and reference -> maps by their px, and f_f (B, style_dim)."""
        maps = {}
        for layer in self.layers:
            image = layer(image)
            maps[image.shape[-1]] = image
        return maps, cast(Tensor, self.code(image.flatten(1)))


class AudioEncoder(nn.Module):
    """E_a: Wav2Lip's tower with group norm and leaky ReLU, and a linear layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tower = tower(audio_plans(config.audio_narrow), GROUPS // config.audio_narrow, SLOPE)
        self.code = EqualLinear(512 // config.audio_narrow, config.style_dim, activate=True)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, 1, 80, 16) -> f_a (B, style_dim)."""
        return cast(Tensor, self.code(self.tower(mel).flatten(1)))


class StyleSpace(nn.Module):
    """w from f_a and f_f: their concatenation; with `fuse` a layer over it; with `mapping` a mapping network."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.style_dim * (2 if config.face_code else 1)
        self.face_code = config.face_code
        layers: list[nn.Module] = []
        if config.fuse:
            layers.append(EqualLinear(dim, config.fuse, activate=True))
        if config.mapping:
            width = config.w_dim
            layers.append(PixelNorm())
            layers += [EqualLinear(width, width, activate=True, lr_mul=MAPPING_RATE) for _ in range(config.mapping)]
        self.layers = nn.Sequential(*layers)

    def forward(self, heard: Tensor, face: Tensor) -> Tensor:
        """f_a and f_f (B, style_dim) -> w (B, w_dim)."""
        return cast(Tensor, self.layers(torch.cat([heard, face], 1) if self.face_code else heard))
