"""The image encoder (section 3.1): one for the identity frame, one for the masked target, with their own weights."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from lipsync_eval.baselines.avhubert_expert.config import ModelConfig
from lipsync_eval.baselines.kit.network.wav2lip import ConvBlock, Plan


def level(c_in: int, c_out: int) -> nn.Sequential:
    """A convolution that halves the map, then two of stride 1; batch norm and ReLU after each."""
    plans = (Plan(c_in, c_out, 3, (2, 2), 1), Plan(c_out, c_out), Plan(c_out, c_out))
    return nn.Sequential(*(ConvBlock(plan) for plan in plans))


class ImageEncoder(nn.Module):
    """(B, 3, size, size) in [0, 1] -> maps from `size` to 3 px, and a vector as (B, width, 1, 1)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = [config.channels(side) for side in config.sides]
        self.stem = ConvBlock(Plan(3, widths[0], 7, (1, 1), 3))
        self.levels = nn.ModuleList(level(a, b) for a, b in pairwise(widths))
        w = widths[-1]
        self.last = nn.Sequential(
            ConvBlock(Plan(w, w, 3, (1, 1), 0)),
            *(ConvBlock(Plan(w, w, 1, (1, 1), 0)) for _ in range(2)),
        )

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Maps of `ModelConfig.sides` px in this order, and the vector."""
        maps = [self.stem(image)]
        for block in self.levels:
            maps.append(block(maps[-1]))
        return maps, cast(Tensor, self.last(maps[-1]))
