"""Metrics and a validation for training loops in PyTorch: `pip install "lipsync-eval[torch]"` brings torchmetrics.

PSNR, SSIM, MSSSIM, LPIPS, FID, LMD, CSIM, LSE and AVS are `torchmetrics.Metric`s over tensors. `BackgroundScore` scores
folders of videos in a process beside the training; `LipsyncCallback` is the same for Lightning.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lipsync_eval.torch.background import BackgroundScore as BackgroundScore
    from lipsync_eval.torch.faces import CSIM as CSIM
    from lipsync_eval.torch.faces import LMD as LMD
    from lipsync_eval.torch.images import FID as FID
    from lipsync_eval.torch.images import LPIPS as LPIPS
    from lipsync_eval.torch.images import MSSSIM as MSSSIM
    from lipsync_eval.torch.images import PSNR as PSNR
    from lipsync_eval.torch.images import SSIM as SSIM
    from lipsync_eval.torch.lightning import LipsyncCallback as LipsyncCallback
    from lipsync_eval.torch.sync import AVS as AVS
    from lipsync_eval.torch.sync import LSE as LSE

_PLACES = {
    "PSNR": "images", "SSIM": "images", "MSSSIM": "images", "LPIPS": "images", "FID": "images", "LMD": "faces",
    "CSIM": "faces", "LSE": "sync", "AVS": "sync", "BackgroundScore": "background", "LipsyncCallback": "lightning",
}  # fmt: skip
__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"lipsync_eval.torch has no {name!r}; it has {', '.join(_PLACES)}")
    return getattr(import_module(f"lipsync_eval.torch.{_PLACES[name]}"), name)
