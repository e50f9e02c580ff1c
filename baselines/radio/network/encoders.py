"""Content encoder E_c and style encoder E_s (RADIO section 3.1, supplement A)."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from lipsync_eval.baselines.kit.network.stylegan import EqualLinear, ResBlock, conv_layer
from lipsync_eval.baselines.radio.config import ModelConfig


class Encoder(nn.Module):
    """L layers: a convolution block, L - 2 residual down-blocks, a convolution block.

    Layer i (from 1) gives the map f^i; sizes are those of `ModelConfig.encoder_sizes`: 192, 96, 48, 24, 12, 12 for
    192 pixels and L = 6.
    """

    def __init__(self, config: ModelConfig, c_in: int = 3) -> None:
        super().__init__()
        sizes = config.encoder_sizes
        widths = [config.channels(size) for size in sizes]
        layers: list[nn.Module] = [conv_layer(c_in, widths[0], 3)]
        layers += [ResBlock(before, after) for before, after in pairwise(widths[:-1])]
        layers.append(conv_layer(widths[-2], widths[-1], 3))
        self.layers = nn.ModuleList(layers)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, c_in, size, size) in [-1, 1] -> the maps f^1 ... f^L; the last is f_c, (B, 512, 12, 12) by default."""
        maps = []
        for layer in self.layers:
            image = layer(image)
            maps.append(image)
        return maps


class StyleEncoder(Encoder):
    """E_s: the same, then global average pooling and a fully connected layer to f_s."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.fc = EqualLinear(config.channels(config.encoder_sizes[-1]), config.style_dim)

    def code(self, maps: list[Tensor]) -> Tensor:
        """The maps -> f_s, (B, style_dim)."""
        return cast(Tensor, self.fc(maps[-1].mean((2, 3))))
