"""S3FD (Zhang et al. 2017) as a plain torch module with the state-dict names of syncnet_python's detectors/s3fd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

STEPS: Final = (4, 8, 16, 32, 64, 128)
"""Pixels between neighbouring priors on each of the six maps."""
SIZES: Final = (16, 32, 64, 128, 256, 512)
"""Side of the priors in px."""
VARIANCES: Final = (0.1, 0.2)
_TAPS: Final = {16: 0, 23: 1, 30: 2}
"""Layer of `vgg` before which a map branches off -> its number."""

Array = NDArray[np.float32]


class L2Norm(nn.Module):
    """Each place's channels scaled to length 1, then by a weight per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x / (x.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10) * self.weight[None, :, None, None]


class S3FDNet(nn.Module):
    """VGG16 trunk, two extra stages, six pairs of heads."""

    def __init__(self) -> None:
        super().__init__()
        self.vgg = nn.ModuleList(_trunk())
        self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3 = L2Norm(256), L2Norm(512), L2Norm(512)
        self.extras = nn.ModuleList(
            [
                nn.Conv2d(1024, 256, 1),
                nn.Conv2d(256, 512, 3, 2, padding=1),
                nn.Conv2d(512, 128, 1),
                nn.Conv2d(128, 256, 3, 2, padding=1),
            ]
        )
        channels = (256, 512, 512, 1024, 512, 256)
        self.loc = nn.ModuleList([nn.Conv2d(c, 4, 3, padding=1) for c in channels])
        self.conf = nn.ModuleList([nn.Conv2d(c, 4 if i == 0 else 2, 3, padding=1) for i, c in enumerate(channels)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, list[tuple[int, int]]]:
        """Detect on a batch.

        Args:
            x: (B, 3, H, W) RGB, 0..255 less (123, 117, 104).

        Returns:
            offsets (B, P, 4), scores (B, P, 2) after softmax (background, face), and (height, width) of the six maps.
        """
        maps = self._maps(x)
        conf = [head(m) for head, m in zip(self.conf, maps, strict=True)]
        conf[0] = torch.cat([conf[0][:, :3].amax(dim=1, keepdim=True), conf[0][:, 3:]], dim=1)
        loc = [_flat(head(m), 4) for head, m in zip(self.loc, maps, strict=True)]
        scores = torch.cat([_flat(c, 2) for c in conf], 1).softmax(dim=-1)
        return torch.cat(loc, 1), scores, [(m.shape[2], m.shape[3]) for m in maps]

    def _maps(self, x: Tensor) -> list[Tensor]:
        norms = (self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3)
        maps: list[Tensor] = []
        for k, layer in enumerate(self.vgg):
            if k in _TAPS:
                maps.append(norms[_TAPS[k]](x))
            x = layer(x)
        maps.append(x)
        for k, layer in enumerate(self.extras):
            x = F.relu(layer(x))
            if k % 2:
                maps.append(x)
        return maps


def priors(height: int, width: int, maps: Sequence[tuple[int, int]]) -> Array:
    """Prior boxes of all maps, one square a cell.

    Args:
        height, width: input size in px.
        maps: (height, width) of the six maps.

    Returns:
        (P, 4) float32 centre x, centre y, width, height as fractions of the input.
    """
    out = []
    for (rows, columns), step, size in zip(maps, STEPS, SIZES, strict=True):
        y, x = np.meshgrid(
            (np.arange(rows) + 0.5) / (height / step), (np.arange(columns) + 0.5) / (width / step), indexing="ij"
        )
        out.append(np.stack([x, y, np.full_like(x, size / width), np.full_like(x, size / height)], -1).reshape(-1, 4))
    return np.concatenate(out).astype(np.float32)


def decode(offsets: Array, prior: Array) -> Array:
    """(n, 4) offsets on (n, 4) priors -> (n, 4) x1, y1, x2, y2 as fractions of the input."""
    centre = prior[:, :2] + offsets[:, :2] * np.float32(VARIANCES[0]) * prior[:, 2:]
    size = prior[:, 2:] * np.exp(offsets[:, 2:] * np.float32(VARIANCES[1]))
    low = centre - size / 2
    return np.concatenate([low, low + size], axis=1)


def suppress(boxes: NDArray[np.floating], scores: NDArray[np.floating], most: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression.

    Args:
        boxes: (n, 4) x1, y1, x2, y2.
        scores: (n,).
        most: intersection over union that a box may have with a better one.

    Returns:
        indices of the kept boxes, best first.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        side = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2])
        both = np.prod(np.maximum(side, 0), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            order = rest[both / (area[best] + area[rest] - both) <= most]
    return np.array(kept, np.intp)


def _flat(x: Tensor, last: int) -> Tensor:
    return x.permute(0, 2, 3, 1).reshape(len(x), -1, last)


def _trunk() -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for stage, (width, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2, 2, ceil_mode=stage == 2))
    layers += [nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU(inplace=True)]
    return [*layers, nn.Conv2d(1024, 1024, 1), nn.ReLU(inplace=True)]


def numpy(tensor: Tensor) -> Array:
    """A tensor as float32 numpy array."""
    return cast("Array", tensor.float().cpu().numpy())
