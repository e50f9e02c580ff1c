"""What the metrics of this room share: tensors become the arrays of our functions, values become a mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_eval.errors import InputError, UsageError
from lipsync_eval.types import Float, Settings

try:
    from torchmetrics import Metric
except ImportError as error:
    raise UsageError(
        f'lipsync_eval.torch needs torchmetrics ({error}): pip install "lipsync-eval[torch]", or pip install torchmetrics'
    ) from error


class MeanMetric(Metric):
    """Mean over all values that `update` added, on every rank: sums in float64, so batches and ranks do not move it."""

    is_differentiable = False
    full_state_update = False
    total: torch.Tensor
    count: torch.Tensor

    def __init__(self, settings: Settings | None = None, **how: Any) -> None:
        """An empty mean.

        Args:
            settings: weights, options and device of the networks (device 'auto': the tensors' own); None: Settings().
            how: what torchmetrics.Metric takes.
        """
        super().__init__(**how)
        self.settings = settings or Settings()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def add(self, values: Float | float) -> None:
        """Take values into the mean.

        Raises:
            InputError: a value that is not finite.
        """
        v = np.atleast_1d(np.asarray(values, np.float64))
        if not np.isfinite(v).all():
            raise InputError(f"{type(self).__name__}: a value is NaN or infinite; look at what was given to update")
        self.total += float(v.sum())
        self.count += v.size

    def compute(self) -> torch.Tensor:
        """() float64; NaN before the first update."""
        return self.total / self.count

    def set_dtype(self, dst_type: Any) -> MeanMetric:
        """Nothing: sums stay in float64 whatever is asked."""
        return self

    def on(self, tensor: torch.Tensor) -> Settings:
        """The settings, with the device of a tensor where they leave it open."""
        if self.settings.device != "auto":
            return self.settings
        return replace(self.settings, device=str(tensor.device) if tensor.device.type == "cuda" else "cpu")


def frames(name: str, tensor: torch.Tensor) -> NDArray[np.uint8]:
    """(N, 3, H, W) uint8, or float in [0, 1], RGB, on any device -> (N, H, W, 3) uint8.

    Floats are rounded to the nearest of 256 steps, as a video file would do it.

    Raises:
        InputError: another shape or dtype, or floats that are NaN or outside [0, 1].
    """
    if not isinstance(tensor, torch.Tensor) or tensor.ndim != 4 or tensor.shape[1] != 3 or 0 in tensor.shape:
        came = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise InputError(f"{name} must be frames (N, 3, H, W), uint8 or float in [0, 1]; got {came}")
    return np.ascontiguousarray(_bytes(name, tensor).permute(0, 2, 3, 1).cpu().numpy())


def grey(name: str, tensor: torch.Tensor) -> NDArray[np.uint8]:
    """(T, 96, 96) or (T, 1, 96, 96), values as `frames` takes them -> (T, 96, 96) uint8.

    Raises:
        InputError: as `frames`.
    """
    if tensor.ndim == 4 and tensor.shape[1] == 1:
        tensor = tensor[:, 0]
    if tensor.ndim != 3 or 0 in tensor.shape:
        raise InputError(f"{name} must be grey mouth crops (T, 96, 96); got {tuple(tensor.shape)}")
    found: NDArray[np.uint8] = _bytes(name, tensor).cpu().numpy()
    return found


def _bytes(name: str, tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach()
    if tensor.dtype == torch.uint8:
        return tensor
    if not tensor.is_floating_point():
        raise InputError(f"{name} must be uint8 (0..255) or float (0..1); got {tensor.dtype}")
    wide = tensor.to(torch.float32)
    if not bool(((wide >= 0) & (wide <= 1)).all()):
        raise InputError(f"{name}: floats must lie in [0, 1]; clamp them as your dubbing does, or give uint8")
    return (wide * 255.0).round().to(torch.uint8)
