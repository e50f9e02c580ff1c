"""The style-based generator whose noise inputs are the face encoder's maps (StyleSync section 3.1).

StyleGAN2's layers (kit/network/stylegan.py); in place of normal noise every layer gets the encoder's map of its
resolution, scaled by a learned number that starts at 0 (GPEN's way, as the authors' public inference code has it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.network.stylegan import BiasedLeakyReLU, ModulatedConv2d, ToRGB
from lipsync_eval.baselines.stylesync.config import SMALLEST, ModelConfig
from lipsync_eval.errors import InputError


class InjectedConv(nn.Module):
    """Modulated 3x3 convolution with demodulation, the map s * F (as further channels, or added), bias, LeakyReLU."""

    def __init__(self, c_in: int, c_out: int, style_dim: int, concat: bool, upsample: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(c_in, c_out, 3, style_dim, upsample=upsample)
        self.weight = nn.Parameter(torch.zeros(1))
        self.activate = BiasedLeakyReLU(c_out * 2 if concat else c_out)
        self.concat = concat

    def forward(self, x: Tensor, style: Tensor, feature: Tensor) -> Tensor:
        """(B, c_in, H, W), (B, style_dim), (B, c_out, H', W') -> (B, c_out or 2 c_out, H', W')."""
        y = self.conv(x, style)
        noise = self.weight.to(y.dtype) * feature.to(y.dtype)
        return cast(Tensor, self.activate(torch.cat([y, noise], 1) if self.concat else y + noise))


class Synthesis(nn.Module):
    """Constant 4x4, one styled convolution there, two for every further resolution, a ToRGB with skip for each."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        concat, dim = config.inject == "concat", config.w_dim
        factor = 2 if concat else 1
        width = config.channels(SMALLEST)
        self.constant = nn.Parameter(torch.randn(1, width, SMALLEST, SMALLEST))
        self.conv1 = InjectedConv(width, width, dim, concat)
        self.to_rgb1 = ToRGB(width * factor, dim, upsample=False)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for size in config.sizes[1:]:
            c_in, width = width * factor, config.channels(size)
            self.convs.append(InjectedConv(c_in, width, dim, concat, upsample=True))
            self.convs.append(InjectedConv(width * factor, width, dim, concat))
            self.to_rgbs.append(ToRGB(width * factor, dim))
        self.sizes, self.n_styles = config.sizes, config.n_styles

    def forward(self, maps: Mapping[int, Tensor], styles: Sequence[Tensor]) -> Tensor:
        """Make frames.

        Args:
            maps: resolution (px) -> (B, channels, px, px), already masked.
            styles: W+, L vectors (B, w_dim). Style l is that of convolution l; a ToRGB takes the style of the next
                convolution, the last ToRGB the last style.

        Returns:
            (B, 3, size, size), unbounded.
        """
        if len(styles) != self.n_styles:
            raise InputError(f"this generator takes {self.n_styles} style vectors, not {len(styles)}")
        batch = styles[0].shape[0]
        x = self.constant.expand(batch, -1, -1, -1).to(maps[SMALLEST].dtype)
        x = self.conv1(x, styles[0], maps[SMALLEST])
        rgb = self.to_rgb1(x, styles[1])
        for k, (size, to_rgb) in enumerate(zip(self.sizes[1:], self.to_rgbs, strict=True)):
            at = 2 * k + 1
            x = self.convs[2 * k](x, styles[at], maps[size])
            x = self.convs[2 * k + 1](x, styles[at + 1], maps[size])
            rgb = to_rgb(x, styles[at + 2], rgb)
        return cast(Tensor, rgb)
