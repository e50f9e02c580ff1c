"""FID's Inception: the 2015 TensorFlow network as ported by pytorch-fid, images in, 2048 pool3 features out.

Source: mseitzer/pytorch-fid@b9c1811 (patched blocks: average pools leave padding out, the last block pools by maximum),
resize of GaParmar/clean-fid@e88c4d6. Key names are those of pt_inception-2015-12-05-6726825d.pth. torchvision is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lipsync_eval.device import Precision, as_images, computing, laid_out, pick, to_device
from lipsync_eval.errors import InputError, UsageError
from lipsync_eval.networks import itemwise
from lipsync_eval.weights import fit, load_tensors

Resize = Literal["pytorch", "clean"]
DIM: Final = 2048
SIDE: Final = 299
"""Side in px of the image that the network sees."""


class _Conv(nn.Module):
    """Convolution without bias, batch norm (eps 0.001), ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=0.001)

    def fold(self) -> None:
        """Put the batch norm into the convolution: equal within float32's rounding, and a tenth faster on a CPU."""
        if isinstance(self.bn, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv.double(), self.bn.double()).float()
            self.bn = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)), inplace=True)


def _average(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _A(nn.Module):
    """35 x 35 blocks (Mixed_5b, 5c, 5d)."""

    def __init__(self, inputs: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(inputs, 64, 1)
        self.branch5x5_1 = _Conv(inputs, 48, 1)
        self.branch5x5_2 = _Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = _Conv(inputs, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, padding=1)
        self.branch_pool = _Conv(inputs, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat(
            [self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, self.branch_pool(_average(x))], 1
        )


class _B(nn.Module):
    """35 x 35 -> 17 x 17 (Mixed_6a)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(inputs, 384, 3, stride=2)
        self.branch3x3dbl_1 = _Conv(inputs, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, functional.max_pool2d(x, 3, 2)], 1)


class _C(nn.Module):
    """17 x 17 blocks (Mixed_6b to 6e)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        row: tuple[tuple[int, int], tuple[int, int]] = ((1, 7), (0, 3))
        column: tuple[tuple[int, int], tuple[int, int]] = ((7, 1), (3, 0))

        def conv(inputs: int, outputs: int, shape: tuple[tuple[int, int], tuple[int, int]]) -> _Conv:
            return _Conv(inputs, outputs, shape[0], padding=shape[1])

        self.branch1x1 = _Conv(768, 192, 1)
        self.branch7x7_1 = _Conv(768, width, 1)
        self.branch7x7_2 = conv(width, width, row)
        self.branch7x7_3 = conv(width, 192, column)
        self.branch7x7dbl_1 = _Conv(768, width, 1)
        self.branch7x7dbl_2 = conv(width, width, column)
        self.branch7x7dbl_3 = conv(width, width, row)
        self.branch7x7dbl_4 = conv(width, width, column)
        self.branch7x7dbl_5 = conv(width, 192, row)
        self.branch_pool = _Conv(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_average(x))], 1)


class _D(nn.Module):
    """17 x 17 -> 8 x 8 (Mixed_7a)."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = _Conv(768, 192, 1)
        self.branch3x3_2 = _Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = _Conv(768, 192, 1)
        self.branch7x7x3_2 = _Conv(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = _Conv(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = _Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        deep = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), deep, functional.max_pool2d(x, 3, 2)], 1)


class _E(nn.Module):
    """8 x 8 blocks (Mixed_7b with an average pool, Mixed_7c with a maximum pool)."""

    def __init__(self, inputs: int, *, maximum: bool) -> None:
        super().__init__()
        self.maximum = maximum
        self.branch1x1 = _Conv(inputs, 320, 1)
        self.branch3x3_1 = _Conv(inputs, 384, 1)
        self.branch3x3_2a = _Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = _Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = _Conv(inputs, 448, 1)
        self.branch3x3dbl_2 = _Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = _Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = _Conv(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = functional.max_pool2d(x, 3, stride=1, padding=1) if self.maximum else _average(x)
        parts = [self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single)]
        return torch.cat(
            [*parts, self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(pooled)], 1
        )


class Inception(nn.Module):
    """Images already at 299 x 299 in [-1, 1] -> pool3 features; weights are random until `fit`."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = _Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = _Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = _Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _A(192, 32), _A(256, 64), _A(288, 64)
        self.Mixed_6a = _B(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = _C(128), _C(160), _C(160), _C(192)
        self.Mixed_7a = _D()
        self.Mixed_7b, self.Mixed_7c = _E(1280, maximum=False), _E(2048, maximum=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 299, 299) float32 in [-1, 1] -> (N, 2048) float32."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, 3, 2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = functional.max_pool2d(x, 3, 2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))


def folded(network: Inception) -> Inception:
    """The network for evaluation, changed in place: each batch norm goes into its convolution."""
    for module in network.eval().requires_grad_(False).modules():
        if isinstance(module, _Conv):
            module.fold()
    return network


class Pool3:
    """The network with its weights, folded, on one device: crops in, features out."""

    def __init__(self, network: Inception, device: torch.device, precision: Precision = "fp32") -> None:
        self._network = laid_out(folded(network), device, precision)
        self._device, self._precision = device, precision
        self._batch = 64 if device.type == "cuda" else 8

    @itemwise
    def embed(self, crops: NDArray[np.uint8], resize: str) -> NDArray[np.float32]:
        """(N, h, w, 3) uint8 RGB -> (N, 2048) float32; `resize` as in `prepare`."""
        parts = [np.empty((0, DIM), np.float32)]
        with computing(self._device, self._precision):
            for start in range(0, len(crops), self._batch):
                part = np.ascontiguousarray(crops[start : start + self._batch])
                images = to_device(part, self._device).permute(0, 3, 1, 2)
                given = as_images(prepare(images, resize), self._precision)
                parts.append(self._network(given).float().cpu().numpy())
        return np.concatenate(parts)


def load(path: Path, digest: str, device: str, precision: Precision = "fp32") -> Pool3:
    """The network with the weights of a file.

    Args:
        path: pt_inception-2015-12-05-6726825d.pth or another file with its names.
        digest: sha256 of the file.
        device: where to run, as in Settings.
        precision: number format, as in Settings.

    Raises:
        RefusedCheckpoint: not a checkpoint of this network.
    """
    network = Inception()
    fit(network, state(load_tensors(path)), source=f"{path.name} ({digest[:8]})")
    return Pool3(network, pick(device), precision)


def prepare(images: Tensor, resize: str) -> Tensor:
    """Crops -> what the network sees.

    Args:
        images: (N, 3, H, W) uint8 RGB.
        resize: 'pytorch' (pytorch-fid: /255, bilinear without antialias, 2x - 1) or 'clean' (clean-fid: bicubic with
            antialias in float64, clipped to 0..255, (x - 128) / 128).

    Returns:
        (N, 3, 299, 299) float32.

    Raises:
        InputError: wrong shape or dtype.
        UsageError: another resize.
    """
    if images.dtype != torch.uint8:
        raise InputError(
            f"FID takes uint8 RGB frames; got {images.dtype}: convert with (x * 255).round().clip(0, 255).to(torch.uint8)"
        )
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < 2:
        raise InputError(f"FID takes (N, 3, H, W) RGB of at least 2 x 2 px; got {tuple(images.shape)}")
    if resize == "pytorch":
        return 2 * functional.interpolate(images.float() / 255, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1
    if resize == "clean":
        return (clean_resize(images) - 128) / 128
    raise UsageError(f"there is no FID resize {resize!r}; choose out of: pytorch, clean")


def clean_resize(images: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 -> (N, 3, 299, 299) float32 in 0..255: Pillow's bicubic (a = -0.5, antialiased) per channel, as clean-fid.

    In float64, as Pillow sums: in float32 the weights alone put it up to 9e-3 grey levels off.
    """
    resized = functional.interpolate(images.double(), (SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp_(0, 255).float()


def state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published file's tensors without the classifier, which `Inception` has not."""
    return {key: value for key, value in tensors.items() if not key.startswith("fc.")}
