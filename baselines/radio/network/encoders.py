"""Content encoder E_c and style encoder E_s (RADIO section 3.1, supplement A)."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from lipsync_eval.baselines.kit.network.stylegan import EqualLinear, ResBlock, conv_layer
from lipsync_eval.baselines.radio.config import ModelConfig


class Encoder(nn.Module):
    """L layers: L - 2 residual down-blocks, then two convolution blocks.

    Layer i (from 1) gives the map f^i; sizes are those of `ModelConfig.encoder_sizes`: 96, 48, 24, 12, 12, 12 for
    192 pixels and L = 6. The first convolution of the first block widens the image to what maps of its size have.
    """

    def __init__(self, config: ModelConfig, c_in: int = 3, depth: int | None = None) -> None:
        """`depth`: layers that are built, L - 2 at least; None: all L."""
        super().__init__()
        widths = [config.channels(size) for size in config.encoder_sizes]
        layers: list[nn.Module] = [ResBlock(c_in, widths[0], config.channels(config.size))]
        layers += [ResBlock(before, after) for before, after in pairwise(widths[:-2])]
        layers += [conv_layer(widths[-1], widths[-1], 3) for _ in range(2)]
        self.layers = nn.ModuleList(layers[:depth])

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, c_in, size, size) in [-1, 1] -> the maps f^1 ... f^L; the last is f_c, (B, 512, 12, 12) by default."""
        maps = []
        for layer in self.layers:
            image = layer(image)
            maps.append(image)
        return maps


class StyleEncoder(Encoder):
    """E_s: the same; global average pooling and a fully connected layer after the down-blocks give f_s (supplement A).

    Of the two convolution blocks behind them, those are built whose maps the decoder asks for: none by default.
    """

    def __init__(self, config: ModelConfig) -> None:
        self.downs = config.layers - 2
        asked = [plan.style_map for plan in config.decoder_plan if plan.fidelity != "none"]
        super().__init__(config, depth=max(self.downs, *asked, 0))
        self.fc = EqualLinear(config.channels(config.encoder_sizes[-1]), config.style_dim)

    def code(self, maps: list[Tensor]) -> Tensor:
        """The maps -> f_s, (B, style_dim)."""
        return cast(Tensor, self.fc(maps[self.downs - 1].mean((2, 3))))
