"""I3D (RGB, Kinetics-400) in plain torch: short videos in, 400 logits out. FVD's network.

Source: Carreira and Zisserman, CVPR 2017 (arXiv:1705.07750); compared with the port that FVD codes use
(JunyaoHu/common_metrics_on_video_quality@5f75173 `fvd/videogpt/pytorch_i3d.py`, after piergiaj/pytorch-i3d), whose key
names are kept. Padding is TensorFlow's "same": as much as the stride needs, the odd part behind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from lipsync_eval.errors import InputError

DIM: Final = 400
SIDE: Final = 224
"""px, side of the frames that the network sees."""
LEAST: Final = 9
"""Frames of the shortest video: of fewer, too little is left for the last pool over time."""

Triple = tuple[int, int, int]


def _same(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Zeros around (N, C, T, H, W) so that the output has ceil(n / stride) places."""
    pads: list[int] = []
    for n, k, s in reversed(list(zip(x.shape[2:], kernel, stride, strict=True))):
        total = max(k - (n % s or s), 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads)


class _Unit(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, eps: float) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=eps)
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv3d(_same(x, self.kernel, self.stride))), inplace=True)


class _Logits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(1024, DIM, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv3d(x)
        return out


def _pool(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    return functional.max_pool3d(_same(x, kernel, stride), kernel, stride)


class _Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs: int, sizes: tuple[int, int, int, int, int, int], eps: float) -> None:
        super().__init__()
        self.b0 = _Unit(inputs, sizes[0], eps=eps)
        self.b1a, self.b1b = _Unit(inputs, sizes[1], eps=eps), _Unit(sizes[1], sizes[2], 3, eps=eps)
        self.b2a, self.b2b = _Unit(inputs, sizes[3], eps=eps), _Unit(sizes[3], sizes[4], 3, eps=eps)
        self.b3b = _Unit(inputs, sizes[5], eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        pooled = _pool(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], 1)


class I3D(nn.Module):
    """Videos already at 224 x 224 and in the network's range -> logits; weights are random until `fit`."""

    def __init__(self, eps: float = 1e-5) -> None:
        """Set up.

        Args:
            eps: of the batch norms: 1e-5 in VideoGPT's port, 1e-3 in the TensorFlow graph and its exact ports.
        """
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit(3, 64, 7, 2, eps=eps)
        self.Conv3d_2b_1x1, self.Conv3d_2c_3x3 = _Unit(64, 64, eps=eps), _Unit(64, 192, 3, eps=eps)
        self.Mixed_3b = _Mixed(192, (64, 96, 128, 16, 32, 32), eps)
        self.Mixed_3c = _Mixed(256, (128, 128, 192, 32, 96, 64), eps)
        self.Mixed_4b = _Mixed(480, (192, 96, 208, 16, 48, 64), eps)
        self.Mixed_4c = _Mixed(512, (160, 112, 224, 24, 64, 64), eps)
        self.Mixed_4d = _Mixed(512, (128, 128, 256, 24, 64, 64), eps)
        self.Mixed_4e = _Mixed(512, (112, 144, 288, 32, 64, 64), eps)
        self.Mixed_4f = _Mixed(528, (256, 160, 320, 32, 128, 128), eps)
        self.Mixed_5b = _Mixed(832, (256, 160, 320, 32, 128, 128), eps)
        self.Mixed_5c = _Mixed(832, (384, 192, 384, 48, 128, 128), eps)
        self.logits = _Logits()

    def forward(self, x: Tensor) -> Tensor:
        """Logits, averaged over time.

        Args:
            x: (N, 3, T, 224, 224) float RGB, T >= 9.

        Returns:
            (N, 400) of the same dtype.

        Raises:
            InputError: another shape.
        """
        if x.ndim != 5 or x.shape[1] != 3 or x.shape[2] < LEAST or x.shape[3:] != (SIDE, SIDE):
            raise InputError(f"I3D takes (N, 3, T >= {LEAST}, {SIDE}, {SIDE}); got {tuple(x.shape)}")
        x = _pool(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = _pool(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), (1, 3, 3), (1, 2, 2))
        x = _pool(self.Mixed_3c(self.Mixed_3b(x)), (3, 3, 3), (2, 2, 2))
        x = self.Mixed_4f(self.Mixed_4e(self.Mixed_4d(self.Mixed_4c(self.Mixed_4b(x)))))
        x = self.Mixed_5c(self.Mixed_5b(_pool(x, (2, 2, 2), (2, 2, 2))))
        out: Tensor = self.logits(functional.avg_pool3d(x, (2, 7, 7), 1)).mean((2, 3, 4))
        return out


_BRANCHES: Final = {"0": "b0", "1.0": "b1a", "1.1": "b1b", "2.0": "b2a", "2.1": "b2b", "3.1": "b3b"}
"""Branches as hassony2/kinetics_i3d_pytorch counts them."""


def state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published file's tensors under the names of `I3D`.

    Known are the names of piergiaj/pytorch-i3d and of hassony2/kinetics_i3d_pytorch; any others are left for `fit` to
    refuse by name. The TensorFlow graph has no scale in its batch norms: where a file has none at all, it is 1.
    """
    found = {_name(key): value for key, value in tensors.items()}
    if not any(key.endswith("bn.weight") for key in found):
        found |= {
            key.replace("running_var", "weight"): torch.ones_like(value)
            for key, value in found.items()
            if key.endswith("bn.running_var")
        }
    return found


def _name(key: str) -> str:
    key = re.sub(r"^module\.", "", key)
    key = re.sub(r"^conv3d_0c_1x1\.", "logits.", key)
    key = re.sub(r"^(conv3d_\d|mixed_\d)", lambda m: m.group().capitalize(), key).replace(".batch3d.", ".bn.")
    return re.sub(r"\.branch_(0|[123]\.[01])\.", lambda m: f".{_BRANCHES.get(m.group(1), m.group(1))}.", key)
