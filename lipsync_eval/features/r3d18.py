"""r3d_18 in plain torch: short videos in, 512 features before the classifier out. The network of `fvd_r3d18`.

Source: Tran et al., CVPR 2018 (arXiv:1711.11248); pytorch/vision `models/video/resnet.py`, whose key names are kept.
torchvision is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from lipsync_eval.errors import InputError

DIM: Final = 512


def _conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm3d(outputs))


class _Block(nn.Module):
    """Two convolutions and a way round them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(inputs, outputs, stride), _conv(outputs, outputs, 1)
        self.downsample = (
            nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))
            if stride > 1
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.downsample is None else self.downsample(x)
        return functional.relu(self.conv2(functional.relu(self.conv1(x), inplace=True)) + beside, inplace=True)


class R3D18(nn.Module):
    """Videos in the network's range -> features; weights are random until `fit`."""

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm3d(64), nn.ReLU(inplace=True))
        self.layer1 = nn.Sequential(_Block(64, 64, 1), _Block(64, 64, 1))
        self.layer2 = nn.Sequential(_Block(64, 128, 2), _Block(128, 128, 1))
        self.layer3 = nn.Sequential(_Block(128, 256, 2), _Block(256, 256, 1))
        self.layer4 = nn.Sequential(_Block(256, 512, 2), _Block(512, 512, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Features.

        Args:
            x: (N, 3, T, H, W) float RGB, scaled by ImageNet's mean and deviation.

        Returns:
            (N, 512) of the same dtype.

        Raises:
            InputError: another shape.
        """
        if x.ndim != 5 or x.shape[1] != 3 or 0 in x.shape:
            raise InputError(f"r3d_18 takes (N, 3, T, H, W); got {tuple(x.shape)}")
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return x.mean((2, 3, 4))


def state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published file's tensors without the classifier, which `R3D18` has not."""
    return {key: value for key, value in tensors.items() if not key.startswith("fc.")}
