"""ArcFace's improved ResNet (iresnet18, 34, 50, 100): 112 x 112 faces in, 512 numbers out.

Source: deepinsight/insightface@7fadd42, recognition/arcface_torch/backbones/iresnet.py (evaluation, float32). Key names
are those of its backbone.pth files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

from lipsync_eval.errors import RefusedCheckpoint

BLOCKS: Final[Mapping[str, tuple[int, int, int, int]]] = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
}


class _Block(nn.Module):
    """BN, conv, BN, PReLU, conv (stride), BN, plus the shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        shortcut: Tensor = x if self.downsample is None else self.downsample(x)
        return torch.add(y, shortcut)


class IResNet(nn.Module):
    """(N, 3, 112, 112) float32 -> (N, 512) float32, not normalised; weights are random until `fit`."""

    def __init__(self, arch: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        inputs = 64
        for stage, (width, repeats) in enumerate(zip((64, 128, 256, 512), BLOCKS[arch], strict=True), 1):
            blocks = [_Block(inputs, width, 2), *(_Block(width, width, 1) for _ in range(repeats - 1))]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
            inputs = width
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, 512)
        self.features = nn.BatchNorm1d(512)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.prelu(self.bn1(self.conv1(x)))
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        out: Tensor = self.features(self.fc(self.bn2(x).flatten(1)))
        return out


def arch_of(keys: Iterable[str], source: str) -> str:
    """Which iresnet a state dict belongs to, from its key names.

    Raises:
        RefusedCheckpoint: none of those that are known.
    """
    depth: dict[int, int] = {}
    for key in keys:
        if found := re.match(r"layer(\d)\.(\d+)\.", key):
            stage, block = int(found[1]), int(found[2])
            depth[stage] = max(depth.get(stage, 0), block + 1)
    shape = tuple(depth.get(stage, 0) for stage in range(1, 5))
    for arch, blocks in BLOCKS.items():
        if blocks == shape:
            return arch
    raise RefusedCheckpoint(
        f"{source} is no ArcFace iresnet: its layers have {shape} blocks; known: {dict(BLOCKS)}. Use the official backbone file or an ONNX one"
    )
