"""Which device the networks run on, and how they stay repeatable there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipsync_eval.errors import UsageError

if TYPE_CHECKING:
    import torch


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
