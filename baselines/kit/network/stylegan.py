"""The operations of StyleGAN2: FIR resampling, equalised and modulated convolutions, styled layers.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020). Names of parameters follow
rosinality/stylegan2-pytorch@bef283a1, so that its numbers can be compared (tests/golden/stylegan2_ops). Tensors are
(B, C, H, W); every module runs in float32 and under bfloat16 autocast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.kit.network.convolve import convolve
from lipsync_eval.errors import InputError

FIR = (1, 3, 3, 1)
"""Taps of the separable low-pass filter in all resampling."""
SLOPE = 0.2
"""Negative slope of every LeakyReLU."""


def fir_kernel(taps: Sequence[float]) -> Tensor:
    """(K, K) float32 outer product of the taps, normalised to sum 1."""
    line = torch.tensor(taps, dtype=torch.float32)
    square = line[:, None] * line[None, :]
    return square / square.sum()


def upfirdn2d(
    x: Tensor,
    kernel: Tensor,
    up: tuple[int, int] = (1, 1),
    down: tuple[int, int] = (1, 1),
    pad: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> Tensor:
    """Insert zeros, pad, filter, keep every `down`-th pixel.

    Args:
        x: (B, C, H, W).
        kernel: (kh, kw) FIR filter; it is convolved (that is, correlated flipped).
        up: factors of zero insertion in x and y (zeros follow every pixel, the last one too).
        down: strides in x and y after filtering.
        pad: left, right, top, bottom in pixels after insertion; negative values crop.

    Returns:
        (B, C, (H * up_y + top + bottom - kh) // down_y + 1, likewise for x), dtype of x.
    """
    batch, channels, height, width = x.shape
    if up != (1, 1):
        x = F.pad(x.reshape(batch, channels, height, 1, width, 1), (0, up[0] - 1, 0, 0, 0, up[1] - 1))
        x = x.reshape(batch, channels, height * up[1], width * up[0])
    x = F.pad(x, pad)
    weight = kernel.flip(0, 1).to(x.dtype).expand(channels, 1, *kernel.shape)
    return convolve(x, weight, (down[1], down[0]), groups=channels)


class Blur(nn.Module):
    """FIR low-pass with given padding; `gain` multiplies the kernel (4 after an upsampling by 2)."""

    kernel: Tensor

    def __init__(self, pad: tuple[int, int], gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(FIR) * gain)
        self.pad = pad

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H + pads - 3, W + pads - 3)."""
        first, last = self.pad
        return upfirdn2d(x, self.kernel, pad=(first, last, first, last))


class Upsample(nn.Module):
    """FIR upsampling by 2."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(FIR) * 4)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W)."""
        return upfirdn2d(x, self.kernel, up=(2, 2), pad=(2, 1, 2, 1))


class EqualConv2d(nn.Module):
    """Convolution whose weight is N(0, 1) and scaled by 1/sqrt(fan_in) at run time."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(c_out)) if bias else None
        self.scale = 1 / math.sqrt(c_in * kernel**2)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, H', W')."""
        y = convolve(x, self.weight * self.scale, self.stride, self.padding)
        return y if self.bias is None else y + self.bias.to(y.dtype)[:, None, None]


class EqualLinear(nn.Module):
    """Linear layer with run-time scaling; `activate` adds the scaled LeakyReLU.

    `lr_mul` slows its learning: the weight is stored divided by it; weight and bias are multiplied by it when used.
    """

    def __init__(
        self, n_in: int, n_out: int, bias_init: float = 0.0, activate: bool = False, lr_mul: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / lr_mul)
        self.bias = nn.Parameter(torch.full((n_out,), bias_init))
        self.scale = lr_mul / math.sqrt(n_in)
        self.activate, self.lr_mul = activate, lr_mul

    def forward(self, x: Tensor) -> Tensor:
        """(..., n_in) -> (..., n_out)."""
        y = F.linear(x, self.weight * self.scale, self.bias * self.lr_mul)
        return scaled_leaky_relu(y) if self.activate else y


def scaled_leaky_relu(x: Tensor) -> Tensor:
    """LeakyReLU (slope 0.2) times sqrt(2), which keeps the variance."""
    return F.leaky_relu(x, SLOPE) * math.sqrt(2)


class PixelNorm(nn.Module):
    """Divides a vector by its root mean square."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, n) -> (B, n)."""
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class BiasedLeakyReLU(nn.Module):
    """Per-channel bias, then the scaled LeakyReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return scaled_leaky_relu(x + self.bias.to(x.dtype)[:, None, None])


def conv_layer(c_in: int, c_out: int, kernel: int, downsample: bool = False, activate: bool = True) -> nn.Sequential:
    """StyleGAN2's ConvLayer: [FIR blur,] equalised convolution (stride 2 when it shrinks) [, bias and LeakyReLU]."""
    layers: list[nn.Module] = []
    if downsample:
        extra = len(FIR) - 2 + (kernel - 1)
        layers.append(Blur(((extra + 1) // 2, extra // 2)))
    stride, padding = (2, 0) if downsample else (1, kernel // 2)
    layers.append(EqualConv2d(c_in, c_out, kernel, stride, padding, bias=False))
    if activate:
        layers.append(BiasedLeakyReLU(c_out))
    return nn.Sequential(*layers)


class ResBlock(nn.Module):
    """Residual down-block: two 3x3 convolutions with LeakyReLU, the second halves the size; the skip is a 1x1 one."""

    def __init__(self, c_in: int, c_out: int, between: int = 0) -> None:
        """`between`: channels between the two convolutions; 0: c_in, as StyleGAN2."""
        super().__init__()
        self.conv1 = conv_layer(c_in, between or c_in, 3)
        self.conv2 = conv_layer(between or c_in, c_out, 3, downsample=True)
        self.skip = conv_layer(c_in, c_out, 1, downsample=True, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, H/2, W/2); the sum is divided by sqrt(2)."""
        return cast(Tensor, (self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2))


class ModulatedConv2d(nn.Module):
    """Convolution whose input channels are scaled by a style, with demodulation (section 2.2 of the paper).

    Scaling the weight per sample equals scaling the input before and the output after one shared convolution; that
    form is used, so a sample does not depend on its batch.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        style_dim: int,
        demodulate: bool = True,
        upsample: bool = False,
        downsample: bool = False,
    ) -> None:
        super().__init__()
        if upsample and downsample:
            raise InputError("a modulated convolution cannot upsample and downsample at once; set one of them")
        self.weight = nn.Parameter(torch.randn(1, c_out, c_in, kernel, kernel))
        self.modulation = EqualLinear(style_dim, c_in, bias_init=1.0)
        self.scale = 1 / math.sqrt(c_in * kernel**2)
        self.demodulate, self.upsample, self.downsample = demodulate, upsample, downsample
        self.kernel = kernel
        if upsample:
            extra = len(FIR) - 2 - (kernel - 1)
            self.blur = Blur(((extra + 1) // 2 + 1, extra // 2 + 1), gain=4.0)
        if downsample:
            extra = len(FIR) - 2 + (kernel - 1)
            self.blur = Blur(((extra + 1) // 2, extra // 2))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, c_in, H, W) and (B, style_dim) -> (B, c_out, H', W'); H' is H, 2H (upsample) or H/2 (downsample)."""
        scales = self.modulation(style).float()  # (B, c_in)
        weight = self.weight[0] * self.scale
        x = x * scales.to(x.dtype)[:, :, None, None]
        if self.upsample:
            x = self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        elif self.downsample:
            x = F.conv2d(self.blur(x), weight, stride=2)
        else:
            x = F.conv2d(x, weight, padding=self.kernel // 2)
        if not self.demodulate:
            return x
        energy = weight.float().square().sum((2, 3))  # (c_out, c_in)
        norm = torch.rsqrt((scales.square()[:, None] * energy[None]).sum(-1) + 1e-8)  # (B, c_out)
        return x * norm.to(x.dtype)[:, :, None, None]


class NoiseInjection(nn.Module):
    """Adds weight * noise; the weight starts at 0. Without given noise nothing is added."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        """(B, C, H, W) and None or (B, 1, H, W) -> (B, C, H, W)."""
        return x if noise is None else x + self.weight.to(x.dtype) * noise.to(x.dtype)


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, optional noise, bias and LeakyReLU."""

    def __init__(self, c_in: int, c_out: int, style_dim: int, upsample: bool = False, noise: bool = True) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(c_in, c_out, 3, style_dim, upsample=upsample)
        self.noise = NoiseInjection() if noise else None
        self.activate = BiasedLeakyReLU(c_out)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None = None) -> Tensor:
        """(B, c_in, H, W), (B, style_dim) and optionally (B, 1, H', W') -> (B, c_out, H', W')."""
        y = self.conv(x, style)
        if self.noise is not None:
            y = self.noise(y, noise)
        return cast(Tensor, self.activate(y))


class ToRGB(nn.Module):
    """1x1 modulated convolution to RGB without demodulation, added to the upsampled RGB of the layer before."""

    def __init__(self, c_in: int, style_dim: int, upsample: bool = True) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = Upsample() if upsample else None
        self.conv = ModulatedConv2d(c_in, 3, 1, style_dim, demodulate=False)

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None = None) -> Tensor:
        """(B, c_in, H, W), (B, style_dim) and the RGB so far, (B, 3, H, W) or half of it -> (B, 3, H, W)."""
        y = self.conv(x, style) + self.bias
        if skip is None:
            return cast(Tensor, y)
        return cast(Tensor, y + (skip if self.upsample is None else self.upsample(skip)))
