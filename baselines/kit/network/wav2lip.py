"""Wav2Lip's building blocks and towers: convolution, norm, optional residual, activation.

Source: shapes read off Rudrabha/Wav2Lip@db7bc44 (models/conv.py, syncnet.py, wav2lip.py). Names of parameters are
`N.conv_block.0` (convolution) and `N.conv_block.1` (norm), as there. `narrow` divides every width but the input's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

from torch import Tensor, nn
from torch.nn import functional as F

Norm = Literal["batch"] | int
"""Batch norm, or group norm with so many groups."""


class Plan(NamedTuple):
    """One block."""

    c_in: int
    c_out: int
    kernel: int = 3
    stride: tuple[int, int] = (1, 1)
    padding: int = 1
    residual: bool = False


class ConvBlock(nn.Module):
    """Convolution, norm [, + input], (leaky) ReLU; with `last` nothing follows the norm."""

    def __init__(self, plan: Plan, norm: Norm = "batch", slope: float = 0.0, last: bool = False) -> None:
        super().__init__()
        conv = nn.Conv2d(plan.c_in, plan.c_out, plan.kernel, plan.stride, plan.padding)
        self.conv_block = nn.Sequential(conv, norm_layer(norm, plan.c_out))
        self.residual, self.slope, self.last = plan.residual, slope, last

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, H', W')."""
        y = cast(Tensor, self.conv_block(x))
        if self.residual:
            y = y + x
        return y if self.last else F.leaky_relu(y, self.slope)


class UpBlock(nn.Module):
    """Transposed convolution, batch norm, ReLU: Wav2Lip's upsampling by 2, or from 1x1 to `kernel` px."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, double: bool = True) -> None:
        super().__init__()
        stride, padding = (2, 1) if double else (1, 0)
        conv = nn.ConvTranspose2d(c_in, c_out, kernel, stride, padding, output_padding=padding)
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, 2H, 2W)."""
        return F.relu(self.conv_block(x))


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """Batch norm, or group norm. A group of one value, as at 1x1 px, would hold nothing but its bias."""
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(norm, channels)


def tower(plans: Sequence[Plan], norm: Norm = "batch", slope: float = 0.0, linear: bool = False) -> nn.Sequential:
    """Blocks in a row; `linear`: the last one has no activation."""
    last = len(plans) - 1
    return nn.Sequential(*(ConvBlock(plan, norm, slope, linear and k == last) for k, plan in enumerate(plans)))


def stage(c_in: int, c_out: int, more: int, stride: int | tuple[int, int], kernel: int = 3) -> list[Plan]:
    """A block that strides, then `more` residual ones."""
    strides = (stride, stride) if isinstance(stride, int) else stride
    first = Plan(c_in, c_out, kernel, strides, kernel // 2)
    return [first, *[Plan(c_out, c_out, residual=True)] * more]


def audio_plans(narrow: int = 1) -> list[Plan]:
    """The audio tower, of the generator and of the sync network alike: (B, 1, 80, 16) -> (B, 512, 1, 1)."""
    w = [n // narrow for n in (32, 64, 128, 256, 512)]
    plans = stage(1, w[0], 2, 1) + stage(w[0], w[1], 2, (3, 1)) + stage(w[1], w[2], 2, 3) + stage(w[2], w[3], 2, (3, 2))
    return [*plans, Plan(w[3], w[4], 3, (1, 1), 0), Plan(w[4], w[4], 1, (1, 1), 0)]


def visual_plans(frames: int = 5, narrow: int = 1) -> list[Plan]:
    """The sync network's visual tower: (B, 3 frames, 48, 96) lower halves -> (B, 512, 1, 1)."""
    w = [n // narrow for n in (32, 64, 128, 256, 512)]
    plans = stage(3 * frames, w[0], 0, 1, 7) + stage(w[0], w[1], 2, (1, 2), 5) + stage(w[1], w[2], 3, 2)
    plans += stage(w[2], w[3], 2, 2) + stage(w[3], w[4], 2, 2) + stage(w[4], w[4], 0, 2)
    return [*plans, Plan(w[4], w[4], 3, (1, 1), 0), Plan(w[4], w[4], 1, (1, 1), 0)]
