"""The StyleGAN2 decoder G with residual content features and, in its last layers, the reference's details."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.network.stylegan import EqualConv2d, StyledConv, ToRGB
from lipsync_eval.baselines.radio.config import LayerPlan, ModelConfig
from lipsync_eval.baselines.radio.network.vit import ViTBlock
from lipsync_eval.errors import InputError


class DecoderLayer(nn.Module):
    """[fidelity mapping,] styled convolution (upsampling), [+ content residual,] styled convolution, RGB.

    The last layer has no content residual: E_c has no map of the frame's own size. The fidelity mapping works on the layer's input, before any modulation (section 3.2: "then passed to the style
    modulation layer").
    """

    def __init__(self, plan: LayerPlan, config: ModelConfig) -> None:
        super().__init__()
        c_in, c_out, width = config.channels(plan.size_in), config.channels(plan.size_out), config.w_dim
        upsample = plan.size_out == 2 * plan.size_in
        self.plan = plan
        self.vit = None
        if plan.fidelity == "vit":
            self.vit = ViTBlock(c_in, plan.size_in, plan.patch, config.vit_dim, config.heads, config.vit_layers)
        self.first = StyledConv(c_in, c_out, width, upsample=upsample, noise=False)
        self.residual = EqualConv2d(c_out, c_out, 1, bias=False) if plan.content_map else None
        self.second = StyledConv(c_out, c_out, width, noise=False)
        self.to_rgb = ToRGB(c_out, width, upsample=upsample)

    def fidelity(self, x: Tensor, reference: Mapping[int, Tensor]) -> Tensor:
        """Bring details of the reference into the lower half of x (variant C adds, D attends; else x itself)."""
        if self.plan.fidelity == "none":
            return x
        other = reference[self.plan.style_map]
        if self.vit is not None:
            return cast(Tensor, self.vit(x, other))
        half = self.plan.size_in // 2
        return torch.cat([x[:, :, :half], x[:, :, half:] + other[:, :, half:]], 2)

    def forward(
        self, x: Tensor, w: Tensor, contents: Sequence[Tensor], reference: Mapping[int, Tensor], rgb: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """One layer.

        Args:
            x: (B, C, size_in, size_in).
            w: (B, w_dim) style.
            contents: maps f_c^1..f_c^L of E_c.
            reference: maps f_s^i of E_s by their number i; empty for variants A and B.
            rgb: (B, 3, size_in, size_in) so far; None in the first layer.

        Returns:
            the map (B, C', size_out, size_out) and the RGB frame so far (B, 3, size_out, size_out).
        """
        x = self.first(self.fidelity(x, reference), w)
        if self.residual is not None:
            x = (x + self.residual(contents[self.plan.content_map - 1])) / math.sqrt(2)
        x = self.second(x, w)
        return x, self.to_rgb(x, w, rgb)


class Decoder(nn.Module):
    """L layers from f_c to the frame."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(plan, config) for plan in config.decoder_plan)

    def forward(self, contents: Sequence[Tensor], w: Tensor, reference: Mapping[int, Tensor]) -> Tensor:
        """Maps f_c^1..f_c^L, (B, w_dim) and maps f_s^i by i -> (B, 3, size, size), about [-1, 1], unclamped."""
        x, rgb = contents[-1], None
        for layer in self.layers:
            x, rgb = layer(x, w, contents, reference, rgb)
        return cast(Tensor, rgb)

    def attention(self, contents: Sequence[Tensor], w: Tensor, reference: Mapping[int, Tensor]) -> dict[str, Tensor]:
        """Attention of every layer Att_{i,j} (section 3.2) by name 'i.j': (B, heads, N, N) float32.

        Raises:
            InputError: the variant has no ViT block.
        """
        x, rgb = contents[-1], None
        found: dict[str, Tensor] = {}
        for number, module in enumerate(self.layers, start=1):
            layer = cast(DecoderLayer, module)
            if layer.vit is not None:
                maps = layer.vit.maps(x, reference[layer.plan.style_map])
                found |= {f"{number}.{j}": weights for j, weights in enumerate(maps, start=1)}
            x, rgb = layer(x, w, contents, reference, rgb)
        if not found:
            raise InputError("this variant has no ViT block and so no attention; use variant D")
        return found
