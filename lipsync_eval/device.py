"""Which device the networks run on and in which number format, how they stay repeatable there, and how arrays get there."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import UsageError

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16"]
M = TypeVar("M", bound="torch.nn.Module")


def require(name: str) -> None:
    """Make sure, before any work, that a device which was asked for by name is here; torch is imported only for CUDA.

    Raises:
        UsageError: as `pick`.
    """
    if name.startswith("cuda"):
        pick(name)


def pick(name: str) -> torch.device:
    """'auto' (CUDA where there is one, else CPU), 'cpu', 'cuda' or 'cuda:N' -> torch.device.

    TF32 is switched off: it moves scores by more than their stated tolerance.

    Raises:
        UsageError: not a device name, or CUDA asked for where there is none.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name!r} is not a device; give auto, cpu, cuda or cuda:N") from error
    if device.type not in {"cpu", "cuda"}:
        raise UsageError(f"--device {name!r} is not supported; give auto, cpu, cuda or cuda:N")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise UsageError(
                f"--device {name!r}: this torch sees no CUDA device; use --device cpu or install a CUDA build of torch"
            )
        if device.index is not None and device.index >= torch.cuda.device_count():
            raise UsageError(f"--device {name!r}: there are {torch.cuda.device_count()} CUDA devices, numbered from 0")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    return device


def computing(device: torch.device, precision: Precision = "fp32") -> ExitStack:
    """The context in which a network runs: no gradients, and its number format.

    Args:
        device: the network's.
        precision: fp32 (TF32 off, see `pick`), or bf16: convolutions and matrix products in bfloat16 (torch's autocast).
    """
    import torch

    stack = ExitStack()
    stack.enter_context(torch.inference_mode())
    if precision == "bf16":
        stack.enter_context(torch.autocast(device.type, torch.bfloat16))
    return stack


def to_device(array: NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """A tensor of an array on a device. To a GPU the copy goes through pinned memory and does not wait; on a CPU the tensor
    shares the array's memory (where that is contiguous)."""
    import torch

    found = torch.from_numpy(np.ascontiguousarray(array))
    return found if device.type == "cpu" else found.pin_memory().to(device, non_blocking=True)


def channels_last(module: M) -> M:
    """The module with its weights as images lie in memory, which is faster on CPUs, for convolutions in two dimensions."""
    import torch

    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def image_layout(device: torch.device, precision: Precision = "fp32") -> torch.memory_format:
    """How convolutions in two dimensions keep images and weights, whichever is faster (docs/performance.md)."""
    import torch

    planes = device.type == "cuda" and precision == "fp32"
    return torch.contiguous_format if planes else torch.channels_last


def as_images(images: torch.Tensor, precision: Precision = "fp32") -> torch.Tensor:
    """(N, C, H, W) in `image_layout` of their device."""
    return images.contiguous(memory_format=image_layout(images.device, precision))


def laid_out(module: M, device: torch.device, precision: Precision = "fp32") -> M:
    """The module on a device, with its weights in `image_layout`."""
    return module.to(device).to(memory_format=image_layout(device, precision))  # type: ignore[call-overload,no-any-return]
