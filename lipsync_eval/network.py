"""A loaded network on its device: NumPy batches in, a NumPy batch out.

The one place that copies to a device and picks the number format. Every metric calls its networks through `Network` (AV-HuBERT,
whose front end features stay on the device, through the same two functions), so what stands between a metric and its
network, such as a process that serves several workers, is put here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Precision = Literal["fp32", "bf16"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)


class Network:
    """Loads nothing: it holds what is loaded already.

    Args:
        device: where the heads' tensors live.
        precision: fp32 (TF32 off, see device.pick), or bf16: convolutions and matrix products in bfloat16 (torch's autocast).
        heads: name -> what maps tensors on the device, one for each array of a call and of its dtype, to one tensor. Frames go
            in as uint8: a head scales and resizes them on the device.
    """

    def __init__(self, device: torch.device, precision: Precision, **heads: Callable[..., Tensor]) -> None:
        self.device, self.precision, self._heads = device, precision, heads

    def __call__(self, head: str, *arrays: NDArray[np.generic]) -> NDArray[np.float32]:
        """One batch through one head.

        Args:
            head: name.
            arrays: what the head takes.

        Returns:
            float32, copied back from the device.
        """
        with computing(self.device, self.precision):
            out: NDArray[np.float32] = (
                self._heads[head](*(to_device(a, self.device) for a in arrays)).float().cpu().numpy()
            )
        return out


def computing(device: torch.device, precision: Precision) -> ExitStack:
    """The context in which a network runs: no gradients, and its number format."""
    import torch

    stack = ExitStack()
    stack.enter_context(torch.inference_mode())
    if precision == "bf16":
        stack.enter_context(torch.autocast(device.type, torch.bfloat16))
    return stack


def to_device(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """A tensor of the array on a device. To a GPU the copy goes through pinned memory and does not wait; on a CPU the tensor
    shares the array's memory (where that is contiguous)."""
    import torch

    found = torch.from_numpy(np.ascontiguousarray(array))
    return found if device.type == "cpu" else found.pin_memory().to(device, non_blocking=True)
