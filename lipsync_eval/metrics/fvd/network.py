"""The networks of the FVD readings, windows in and features out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lipsync_eval.device import Precision, computing, pick, to_device
from lipsync_eval.features import i3d, r3d18
from lipsync_eval.networks import itemwise
from lipsync_eval.weights import fit, get_row, load_tensors


class VideoNetwork:
    """A network with its weights on one device."""

    def __init__(self, network: nn.Module, device: torch.device, precision: Precision = "fp32") -> None:
        self._network = network.eval().requires_grad_(False).to(device)
        self._device, self._precision = device, precision

    @itemwise
    def embed(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, T, h, w) float32 from `prepare` -> (N, D) float32; one window at a time."""
        parts = []
        with computing(self._device, self._precision):
            for window in windows:
                given = to_device(window, self._device)[None]
                parts.append(self._network(given)[0].float().cpu().numpy())
        return np.stack(parts)


def load(row: str, path: Path, digest: str, device: str, precision: Precision = "fp32") -> VideoNetwork:
    """The network of a registry row with the weights of a file.

    Args:
        row: 'r3d18', or a row of an I3D.
        path: the weights.
        digest: sha256 of the file.
        device: where to run, as in Settings.
        precision: number format, as in Settings.

    Raises:
        RefusedCheckpoint: not a checkpoint of this network.
    """
    network: nn.Module
    if row == "r3d18":
        network, state = r3d18.R3D18(), r3d18.state
    else:
        network, state = i3d.I3D(float(get_row(row).preprocessing["eps"])), i3d.state
    fit(network, state(load_tensors(path)), source=f"{path.name} ({digest[:8]})")
    return VideoNetwork(network, pick(device), precision)
