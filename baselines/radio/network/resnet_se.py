"""SE-ResNet with self-attentive pooling: E_a and both encoders of the sync discriminator grow from it.

Source: Chung et al., "In defence of metric learning for speaker recognition" (Interspeech 2020); ResNetSE34L of
clovaai/voxceleb_trainer@f51bab87, whose parameter names are kept (tests/golden/clovaai_resnetse).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.kit.network.stylegan import SLOPE

Norm = Literal["batch", "instance"]
Gate = Literal["se", "cbam"]
STRIDES = (1, 2, 2, 1)


class SqueezeExcite(nn.Module):
    """Channel attention: sigmoid gates from the spatial mean."""

    def __init__(self, channels: int, leaky: bool, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        act = nn.LeakyReLU(SLOPE) if leaky else nn.ReLU()
        self.fc = nn.Sequential(nn.Linear(channels, hidden), act, nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x: Tensor, squeezed: Tensor) -> Tensor:
        """Scale x (B, C, H, W) by gates made from the mean of `squeezed` (B, C, h, w)."""
        return cast(Tensor, x * self.fc(squeezed.mean((2, 3)))[:, :, None, None])


class ChannelSpatialGate(nn.Module):
    """Channel attention from mean and maximum, then spatial attention by a 7x7 convolution.

    Source: Woo et al., "CBAM: Convolutional Block Attention Module" (ECCV 2018).
    """

    def __init__(self, channels: int, leaky: bool, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        act = nn.LeakyReLU(SLOPE) if leaky else nn.ReLU()
        self.fc = nn.Sequential(nn.Linear(channels, hidden), act, nn.Linear(hidden, channels))
        self.spatial = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor, squeezed: Tensor) -> Tensor:
        """Scale x (B, C, H, W) by channel gates from `squeezed` (B, C, h, w), then by (B, 1, H, W) spatial gates."""
        gates = torch.sigmoid(self.fc(squeezed.mean((2, 3))) + self.fc(squeezed.amax((2, 3))))
        x = x * gates[:, :, None, None]
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.spatial(summary))


def _norm(channels: int, norm: Norm) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels, affine=True)


class SEBasicBlock(nn.Module):
    """conv, activation, norm, conv, norm, gate, residual, activation: the order of the reference code.

    With instance norm the gate is computed from the convolution's output before the norm: the spatial mean after an
    instance norm is its bias for every input, so a gate made from it would be a constant.
    """

    def __init__(self, c_in: int, c_out: int, stride: int, norm: Norm, leaky: bool, gate: Gate) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = _norm(c_out, norm)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.bn2 = _norm(c_out, norm)
        self.se: nn.Module = SqueezeExcite(c_out, leaky) if gate == "se" else ChannelSpatialGate(c_out, leaky)
        self.downsample: nn.Module | None = None
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), _norm(c_out, norm))
        self.gate_before_norm = norm == "instance"
        self.slope = SLOPE if leaky else 0.0

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, H/stride, W/stride), rounded up."""
        raw = self.conv2(self.bn1(F.leaky_relu(self.conv1(x), self.slope)))
        normed = self.bn2(raw)
        gated = self.se(normed, raw if self.gate_before_norm else normed)
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.leaky_relu(gated + shortcut, self.slope)


class Trunk(nn.Module):
    """Stem and four stages of blocks (3, 4, 6, 3): (B, c_in, H, W) -> (B, 8 * width, H', W')."""

    def __init__(
        self,
        c_in: int = 1,
        width: int = 16,
        blocks: Sequence[int] = (3, 4, 6, 3),
        *,
        norm: Norm = "batch",
        leaky: bool = False,
        gate: Gate = "se",
        stem_stride: tuple[int, int] = (2, 1),
        strides: Sequence[int] = STRIDES,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, width, 7, stem_stride, 3, bias=False)
        self.bn1 = _norm(width, norm)
        self.slope = SLOPE if leaky else 0.0
        channels = width
        for number, (count, stride) in enumerate(zip(blocks, strides, strict=True), start=1):
            out = width * 2 ** (number - 1)
            stage = [SEBasicBlock(channels, out, stride, norm, leaky, gate)]
            stage += [SEBasicBlock(out, out, 1, norm, leaky, gate) for _ in range(count - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))
            channels = out
        self.out_channels = channels

    def features(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, out_channels, H', W')."""
        x = F.leaky_relu(self.bn1(self.conv1(x)), self.slope)
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
        return x


class ResNetSE(Trunk):
    """ResNetSE34L with self-attentive pooling over time.

    Args:
        n_out: length of the embedding.
        width: channels of the first stage (the last has 8 times as many).
        norm: 'batch' as in the reference, 'instance' for RADIO's E_a.
        leaky: LeakyReLU instead of ReLU, everywhere.
    """

    def __init__(self, n_out: int = 512, width: int = 16, *, norm: Norm = "batch", leaky: bool = False) -> None:
        super().__init__(1, width, norm=norm, leaky=leaky)
        channels = self.out_channels
        self.sap_linear = nn.Linear(channels, channels)
        self.attention = nn.Parameter(torch.randn(channels, 1) * (2 / (channels + 1)) ** 0.5)
        self.fc = nn.Linear(channels, n_out)

    def pool(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, C): mean over frequency, then softmax-weighted sum over time."""
        frames = x.mean(2).transpose(1, 2)  # (B, T, C)
        scores = torch.tanh(self.sap_linear(frames)) @ self.attention  # (B, T, 1)
        return (frames * torch.softmax(scores.float(), 1).to(frames.dtype)).sum(1)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, 1, bands, frames) -> (B, n_out)."""
        return cast(Tensor, self.fc(self.pool(self.features(mel))))
