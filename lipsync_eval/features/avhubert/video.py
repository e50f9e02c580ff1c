"""Video front end: frames -> gray -> (T, 88, 88) tensors. Facts: av_hubert/utils.py and hubert_dataset.py
(facebookresearch/av_hubert@258fb50)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.features.avhubert.config import BASE, CROP

if TYPE_CHECKING:
    import torch

Gray = NDArray[np.uint8]


def gray(rgb: NDArray[np.uint8]) -> Gray:
    """(..., 3) uint8 RGB -> (...) uint8: (9798 R + 19235 G + 3735 B + 16384) >> 15, OpenCV's own fixed point."""
    weighed = rgb.astype(np.int32) @ np.array([9798, 19235, 3735], np.int32)
    out: Gray = ((weighed + 16384) >> 15).astype(np.uint8)
    return out


def centre_crop(crops: Gray) -> Gray:
    """(..., H, W) -> (..., 88, 88) from the middle, offset floor((H - 88) / 2).

    Raises:
        InputError: the frame is smaller than 88x88.
    """
    height, width = crops.shape[-2:]
    if height < CROP or width < CROP:
        raise InputError(f"frames are {width}x{height}; the middle {CROP}x{CROP} of each is needed")
    top, left = (height - CROP) // 2, (width - CROP) // 2
    return crops[..., top : top + CROP, left : left + CROP]


def video_input(crops: Gray, mean: float = BASE.image_mean, std: float = BASE.image_std) -> NDArray[np.float32]:
    """(T, H, W) uint8 gray -> (T, 88, 88) float32, (x / 255 - mean) / std of the middle 88x88.

    Raises:
        InputError: not uint8 gray, or smaller than 88x88.
    """
    if crops.dtype != np.uint8 or crops.ndim != 3:
        raise InputError(
            f"frames must be (T, H, W) uint8 gray, got {crops.shape} {crops.dtype}; see gray and mouth_roi"
        )
    levels = ((np.arange(256) / 255.0 - mean) / std).astype(np.float32)
    return levels[centre_crop(crops)]


def video_tensor(rgb: torch.Tensor, mean: float = BASE.image_mean, std: float = BASE.image_std) -> torch.Tensor:
    """The differentiable counterpart for training: colour mouth crops to network input.

    Args:
        rgb: (B, 3, T, H, W) float in 0..1, R first, H and W at least 88: mouth crops, e.g. of `sample_mouths`.
        mean: of gray.
        std: of gray.

    Returns:
        (B, 1, T, 88, 88). Differs from `gray` + `video_input` by the rounding to 256 levels only.

    Raises:
        InputError: wrong shape.
    """
    if rgb.dim() != 5 or rgb.shape[1] != 3 or min(rgb.shape[3:]) < CROP:
        raise InputError(f"rgb must be (B, 3, T, H, W) with H and W at least {CROP}, got {tuple(rgb.shape)}")
    top, left = (rgb.shape[3] - CROP) // 2, (rgb.shape[4] - CROP) // 2
    part = rgb[..., top : top + CROP, left : left + CROP]
    weights = part.new_tensor([9798.0, 19235.0, 3735.0]) / 32768.0
    return ((part * weights[:, None, None, None]).sum(dim=1, keepdim=True) - mean) / std
