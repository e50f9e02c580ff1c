"""Video front end of AV-HuBERT: one 3-D convolution, then ResNet-18 on every frame.

Written from the description of av_hubert/resnet.py (facebookresearch/av_hubert@258fb50); module names are those of its state
dict, so that official tensors fit by name.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

from lipsync_eval.device import channels_last

HALO: Final = 2
"""The first convolution looks 2 frames back and 2 ahead; at the ends of a clip it sees zeros."""


class _Block(nn.Module):
    """Two 3x3 convolutions with a shortcut; a PReLU with one slope per channel after each."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.PReLU(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu1(self.bn1(self.conv1(x)))
        out: Tensor = self.relu2(self.bn2(self.conv2(x)) + shortcut)
        return out


class _Trunk(nn.Module):
    """ResNet-18 without its stem and classifier."""

    def __init__(self) -> None:
        super().__init__()
        widths = (64, 64, 128, 256, 512)
        for n in range(1, 5):
            first = _Block(widths[n - 1], widths[n], 1 if n == 1 else 2)
            setattr(self, f"layer{n}", nn.Sequential(first, _Block(widths[n], widths[n], 1)))

    def forward(self, x: Tensor) -> Tensor:
        for n in range(1, 5):
            x = getattr(self, f"layer{n}")(x)
        return x.mean(dim=(2, 3))


class ResNet(nn.Module):
    """(B, 1, T, 88, 88) -> (B, T, 512), T without the halo."""

    def __init__(self) -> None:
        super().__init__()
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, 64, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            nn.BatchNorm3d(64),
            nn.PReLU(64),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        self.trunk = _Trunk()
        channels_last(self.trunk)  # an eighth faster on CPUs

    def forward(self, x: Tensor, halo: tuple[int, int] = (0, 0)) -> Tensor:
        """Features of the frames between the first halo[0] and the last halo[1], which are only looked at."""
        y = self.frontend3D(x)[:, :, halo[0] : x.shape[2] - halo[1]]
        batch, channels, frames, height, width = y.shape
        y = y.transpose(1, 2).reshape(batch * frames, channels, height, width)
        out: Tensor = self.trunk(y).view(batch, frames, -1)
        return out
