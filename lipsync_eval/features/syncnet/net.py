"""SyncNet (Chung and Zisserman 2016) with the state-dict names of syncnet_python, and its two embeddings.

The module holds the parameters under their official names. Scoring runs a folded copy: batch norm is put into the
convolutions (in float64), and the lip branch, whose kernels span time in the first layer only, runs as 2-D convolutions
over 15 channels (5 frames of 3). Both are the same sums in another order (within 1e-5 relative).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipsync_eval.device import Precision, as_images, computing, laid_out, pick, to_device
from lipsync_eval.networks import find
from lipsync_eval.types import Frame
from lipsync_eval.weights import fit, load_tensors

WINDOW: Final = 5
"""Frames per lip window."""
COLUMNS: Final = 20
"""MFCC columns per audio window (0.2 s)."""
SIDE: Final = 224
DIMENSION: Final = 1024


class SyncNet(nn.Module):
    """The published network; forward passes live in `Folded`."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_layer(nn.Conv2d(1, 64, 3, padding=1)),
            nn.MaxPool2d(1, 1),
            *_layer(nn.Conv2d(64, 192, 3, padding=1)),
            nn.MaxPool2d(3, (1, 2)),
            *_layer(nn.Conv2d(192, 384, 3, padding=1)),
            *_layer(nn.Conv2d(384, 256, 3, padding=1)),
            *_layer(nn.Conv2d(256, 256, 3, padding=1)),
            nn.MaxPool2d(3, 2),
            *_layer(nn.Conv2d(256, 512, (5, 4))),
        )
        self.netfcaud = _head()
        self.netfclip = _head()
        flat, step = (0, 1, 1), (1, 2, 2)
        self.netcnnlip = nn.Sequential(
            *_layer(nn.Conv3d(3, 96, (5, 7, 7), step)),
            nn.MaxPool3d((1, 3, 3), step),
            *_layer(nn.Conv3d(96, 256, (1, 5, 5), step, flat)),
            nn.MaxPool3d((1, 3, 3), step, flat),
            *_layer(nn.Conv3d(256, 256, (1, 3, 3), padding=flat)),
            *_layer(nn.Conv3d(256, 256, (1, 3, 3), padding=flat)),
            *_layer(nn.Conv3d(256, 256, (1, 3, 3), padding=flat)),
            nn.MaxPool3d((1, 3, 3), step),
            *_layer(nn.Conv3d(256, 512, (1, 6, 6))),
        )


def _layer(convolution: nn.Conv2d | nn.Conv3d) -> tuple[nn.Module, nn.Module, nn.Module]:
    norm = nn.BatchNorm2d if isinstance(convolution, nn.Conv2d) else nn.BatchNorm3d
    return convolution, norm(convolution.out_channels), nn.ReLU()


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, DIMENSION))


class Folded:
    """SyncNet ready to run on one device."""

    def __init__(self, net: SyncNet, device: torch.device, precision: Precision = "fp32") -> None:
        """Fold batch norm into the convolutions of `net` (left as it is)."""
        self.device = device
        self.rows = 64 if device.type == "cuda" else 4
        """Lip windows per pass that suit the device (on a CPU larger ones fall out of its cache)."""
        self._lip = laid_out(_fold(net.netcnnlip, net.netfclip), device)
        self._audio = _fold(net.netcnnaud, net.netfcaud).to(device)
        self._precision = precision

    def lip(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings of all lip windows.

        Args:
            crops: (n + 4, 224, 224, 3) uint8 in BGR order, consecutive at 25 fps; used as 0..255, not scaled.

        Returns:
            (n, 1024) float32, not normalised.
        """
        frames = to_device(crops, self.device).permute(0, 3, 1, 2)
        windows = frames.unfold(0, WINDOW, 1).permute(0, 1, 4, 2, 3)  # n, 3, 5, 224, 224
        stacked = windows.reshape(len(windows), 3 * WINDOW, SIDE, SIDE).float()
        return self._run(self._lip, as_images(stacked))

    def audio(self, columns: NDArray[np.float64]) -> NDArray[np.float32]:
        """Embeddings of all audio windows.

        Args:
            columns: (13, 4 (n - 1) + 20) MFCC; window i is columns 4 i .. 4 i + 19.

        Returns:
            (n, 1024) float32, not normalised.
        """
        held = to_device(columns.astype(np.float32), self.device)
        windows = held.unfold(1, COLUMNS, 4).permute(1, 0, 2)
        return self._run(self._audio, windows[:, None].contiguous())

    def _run(self, net: nn.Module, batch: Tensor) -> NDArray[np.float32]:
        with computing(self.device, self._precision):
            return cast("NDArray[np.float32]", net(batch).float().cpu().numpy())


def _fold(trunk: nn.Sequential, head: nn.Sequential) -> nn.Sequential:
    """Convolutions in two dimensions with their batch norm inside, pooling, then the two linear layers."""
    layers = nn.Sequential(*_folded(trunk), nn.Flatten(), *_folded(head))
    return layers.eval().requires_grad_(False)


def _folded(modules: nn.Sequential) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for module, after in zip(modules, [*list(modules)[1:], nn.Identity()], strict=True):
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            layers.append(_fold_convolution(module, cast("nn.BatchNorm2d", after)))
        elif isinstance(module, nn.Linear):
            layers.append(_fold_linear(module, after) if isinstance(after, nn.BatchNorm1d) else module)
        elif isinstance(module, nn.MaxPool2d | nn.MaxPool3d):
            layers.append(_flat_pool(module))
        elif isinstance(module, nn.ReLU):
            layers.append(nn.ReLU(inplace=True))
    return layers


def _scale(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Factor and shift (float64) that batch norm applies in evaluation."""
    mean, var = cast("Tensor", norm.running_mean).double(), cast("Tensor", norm.running_var).double()
    factor = norm.weight.double() / torch.sqrt(var + norm.eps)
    return factor, norm.bias.double() - mean * factor


def _fold_convolution(module: nn.Conv2d | nn.Conv3d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    factor, shift = _scale(norm)
    weight = module.weight.double()
    if isinstance(module, nn.Conv3d):
        weight = weight.reshape(weight.shape[0], -1, *weight.shape[3:])  # time goes into the channels
    shape = (weight.shape[2], weight.shape[3])
    stride = cast("tuple[int, int]", module.stride[-2:])
    padding = cast("tuple[int, int]", tuple(module.padding)[-2:])
    folded = nn.Conv2d(weight.shape[1], weight.shape[0], shape, stride, padding)
    folded.weight.data = (weight * factor[:, None, None, None]).float()
    cast("Tensor", folded.bias).data = (cast("Tensor", module.bias).double() * factor + shift).float()
    return folded


def _fold_linear(module: nn.Linear, norm: nn.BatchNorm1d) -> nn.Linear:
    factor, shift = _scale(norm)
    folded = nn.Linear(module.in_features, module.out_features)
    folded.weight.data = (module.weight.double() * factor[:, None]).float()
    folded.bias.data = (module.bias.double() * factor + shift).float()
    return folded


def _flat_pool(module: nn.MaxPool2d | nn.MaxPool3d) -> nn.Module:
    def last(value: int | tuple[int, ...]) -> tuple[int, int]:
        return (value, value) if isinstance(value, int) else cast("tuple[int, int]", tuple(value)[-2:])

    size = last(module.kernel_size)
    return nn.Identity() if size == (1, 1) else nn.MaxPool2d(size, last(module.stride), last(module.padding))


def load(path: Path, digest: str, device: str, precision: Precision = "fp32") -> Folded:
    """The network with the weights of a file, which is kept for the next clip.

    Args:
        path: syncnet_v2.model or another file with its names.
        digest: sha256 of the file; a changed file is read again.
        device: where to run, as in Settings.
        precision: number format of convolutions and matrix products.

    Raises:
        RefusedCheckpoint: not a checkpoint of this network.
    """
    return find(Folded, f"{__name__}:folded", path, digest, device, precision)


def folded(path: Path, digest: str, device: str, precision: Precision) -> Folded:
    """The network of `load`, read from the file."""
    net = SyncNet()
    fit(net, load_tensors(path), source=f"{path.name} ({digest[:8]})")
    return Folded(net, pick(device), precision)


def to_bgr(frame: Frame) -> Frame:
    """(H, W, 3) uint8 RGB -> BGR, contiguous: the order in which the network was trained."""
    return np.ascontiguousarray(frame[:, :, ::-1])
