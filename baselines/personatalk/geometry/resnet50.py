"""Deep3DFaceRecon's regressor (Deng et al. 2019): a ResNet-50 with seven heads, 257 numbers a face.

Names of parameters are those of sicxu/Deep3DFaceRecon_pytorch's checkpoint under 'net_recon'.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.errors import RefusedCheckpoint

HEADS = (80, 64, 80, 3, 27, 2, 1)
"""Identity, expression, texture, angles, light, translation in x and y, and in z."""


class _Block(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, 4 width, H / stride, W / stride)."""
        kept = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + kept)


class _Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels = 64
        for number, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
            blocks = []
            for k in range(count):
                blocks.append(_Block(channels, width, 2 if k == 0 and number > 1 else 1))
                channels = 4 * width
            self.add_module(f"layer{number}", nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 224, 224) -> (B, 2048, 1, 1)."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean((2, 3), keepdim=True)


class Regressor(nn.Module):
    """(B, 3, 224, 224) RGB in [0, 1] -> (B, 257)."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _Backbone()
        self.final_layers = nn.ModuleList(nn.Conv2d(2048, n, 1) for n in HEADS)

    def forward(self, image: Tensor) -> Tensor:
        """See class."""
        x = self.backbone(image)
        return torch.cat([layer(x).flatten(1) for layer in self.final_layers], 1)


def load(path: Path) -> Regressor:
    """Read a checkpoint through the safe loader.

    Raises:
        RefusedCheckpoint: not of that layout.
    """
    from lipsync_eval.weights import fit, load_checkpoint

    held = load_checkpoint(path)
    tensors = held.get("net_recon", held) if isinstance(held, dict) else None
    if not isinstance(tensors, dict) or "backbone.conv1.weight" not in tensors:
        raise RefusedCheckpoint(
            f"{path} is no checkpoint of Deep3DFaceRecon_pytorch: there is no 'net_recon' with backbone.conv1.weight in it"
        )
    net = Regressor()
    fit(net, {k: v for k, v in tensors.items() if isinstance(v, Tensor)}, source=path.name)
    return net.eval().requires_grad_(False)
