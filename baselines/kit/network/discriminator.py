"""The image discriminator of StyleGAN2, for sizes that need not be powers of two.

Source: Karras et al. (CVPR 2020); names of parameters follow rosinality/stylegan2-pytorch@bef283a1. Upstream knows
powers of two only: 192, 96 and 48 stop at 6x6, the last size not below 4, and take the channels of the next power of
two above (192 those of 256).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.network.sizes import channels_at
from lipsync_eval.baselines.kit.network.stylegan import EqualLinear, ResBlock, conv_layer
from lipsync_eval.errors import InputError

SMALLEST = 4
GROUP = 4


def minibatch_stddev(x: Tensor, group: int = GROUP) -> Tensor:
    """Append a channel: the mean standard deviation over groups of samples; sample j is grouped with j + B/group.

    Args:
        x: (B, C, H, W), B a multiple of min(B, group).
        group: samples in a group.

    Returns:
        (B, C + 1, H, W).

    Raises:
        InputError: B does not divide into groups.
    """
    batch, channels, height, width = x.shape
    size = min(batch, group)
    if batch % size:
        raise InputError(f"the discriminator takes up to {group} or a multiple of {group} frames, not {batch}")
    grouped = x.float().reshape(size, batch // size, channels, height, width)
    deviation = torch.sqrt(grouped.var(0, unbiased=False) + 1e-8).mean((1, 2, 3))  # (B / size,)
    extra = deviation.repeat(size)[:, None, None, None].expand(batch, 1, height, width)
    return torch.cat([x, extra.to(x.dtype)], 1)


class Discriminator(nn.Module):
    """StyleGAN2's residual D: 1x1 from RGB, ResBlocks, minibatch standard deviation, 3x3, two linear layers."""

    def __init__(self, size: int, multiplier: int = 2, limit: int = 512) -> None:
        super().__init__()
        if size < SMALLEST:
            raise InputError(f"the discriminator takes frames of at least {SMALLEST} pixels, not {size}")
        layers: list[nn.Module] = [conv_layer(3, channels_at(size, multiplier, limit), 1)]
        side = size
        while side % 2 == 0 and side // 2 >= SMALLEST:
            layers.append(ResBlock(channels_at(side, multiplier, limit), channels_at(side // 2, multiplier, limit)))
            side //= 2
        width, last = channels_at(side, multiplier, limit), channels_at(SMALLEST, multiplier, limit)
        self.size, self.final_size = size, side
        self.convs = nn.Sequential(*layers)
        self.final_conv = conv_layer(width + 1, last, 3)
        self.final_linear = nn.Sequential(EqualLinear(last * side * side, last, activate=True), EqualLinear(last, 1))

    def features(self, image: Tensor) -> Tensor:
        """(B, 3, size, size) in [-1, 1] -> (B, C, final_size, final_size), before the minibatch deviation."""
        if image.shape[1:] != (3, self.size, self.size):
            raise InputError(f"this discriminator takes (B, 3, {self.size}, {self.size}), not {tuple(image.shape)}")
        return cast(Tensor, self.convs(image))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, size, size) RGB in [-1, 1] -> (B,) logits, higher for real frames.

        Groups of the minibatch standard deviation have the largest size up to 4 that divides B.
        """
        group = next(g for g in range(GROUP, 0, -1) if len(image) % g == 0)
        x = self.final_conv(minibatch_stddev(self.features(image), group))
        return cast(Tensor, self.final_linear(x.flatten(1)).squeeze(1))
