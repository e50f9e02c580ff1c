"""Frames -> what FVD's networks see. Pure functions.

Source: JunyaoHu/common_metrics_on_video_quality@5f75173 (crop), songweige/content-debiased-fvd@a1e037a (stretch),
bytedance/LatentSync@a229c39 `eval/eval_fvd.py` (box, area), harlanhong/video-evaluation-toolkit@7eb909f (pillow, imagenet).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from lipsync_eval.errors import InputError, UsageError
from lipsync_eval.types import Float, Frame

if TYPE_CHECKING:
    from torch import Tensor

SIDE: Final = 224
_MEAN: Final = (0.485, 0.456, 0.406)
_STD: Final = (0.229, 0.224, 0.225)


def prepare(frames: Sequence[Frame], resize: str, scale: str) -> Tensor:
    """One window of frames -> the network's input.

    Args:
        frames: T frames (H, W, 3) uint8 RGB; sizes may differ.
        resize: 'crop' (short side to 224, bilinear without antialias, centre crop), 'stretch' (both sides, bilinear
            without antialias), 'area' (both sides, OpenCV's INTER_AREA) or 'pillow' (both sides, Pillow's bilinear).
        scale: 'pm1' (-1..1), 'unit' (0..1) or 'imagenet' (mean and deviation of ImageNet).

    Returns:
        (3, T, 224, 224) float32.

    Raises:
        InputError: no frames, or no uint8 RGB.
        UsageError: another resize or scale.
    """
    import torch

    if not len(frames) or any(f.dtype != np.uint8 or f.ndim != 3 or f.shape[2] != 3 or 0 in f.shape for f in frames):
        raise InputError("FVD takes uint8 RGB frames (H, W, 3)")
    if resize in ("area", "pillow"):
        frames = [small(frame, resize) for frame in frames]
    elif resize not in ("crop", "stretch"):
        raise UsageError(f"there is no FVD resize {resize!r}; choose crop, stretch, area or pillow")
    parts = (torch.from_numpy(np.ascontiguousarray(f)).permute(2, 0, 1)[None].float() / 255 for f in frames)
    if resize in ("crop", "stretch"):
        parts = (_bilinear(part, keep=resize == "crop") for part in parts)
    return _scaled(torch.cat(list(parts)), scale).transpose(0, 1).contiguous()


def small(frame: Frame, resize: str) -> Frame:
    """A frame stretched to 224 x 224 in whole levels by 'area' (OpenCV) or 'pillow' (bilinear, antialiased)."""
    if resize == "area":
        import cv2

        return np.asarray(cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    from PIL import Image

    return np.array(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def cut_box(frame: Frame, box: Float) -> Frame:
    """The face box out of a frame, as LatentSync cuts it: corner and size truncated to whole pixels, then clipped.

    Args:
        frame: (H, W, 3).
        box: (4,) x1, y1, x2, y2 in px.

    Raises:
        InputError: nothing of the box lies in the frame.
    """
    found = _pixels(box, frame.shape[0], frame.shape[1])
    if found is None:
        raise InputError(f"the face box {np.round(box, 1).tolist()} has nothing in a frame of {frame.shape[:2]} px")
    return frame[found]


def has_box(box: Float, height: int, width: int) -> bool:
    """Whether `cut_box` finds anything: a box of numbers that reaches into a frame of this size."""
    return _pixels(box, height, width) is not None


def _pixels(box: Float, height: int, width: int) -> tuple[slice, slice] | None:
    if not np.isfinite(box).all():
        return None
    x1, y1, x2, y2 = (float(v) for v in box)
    left, top, across, down = int(x1), int(y1), int(x2 - x1), int(y2 - y1)
    left, top = max(0, left), max(0, top)
    right, bottom = min(width, left + across), min(height, top + down)
    return (slice(top, bottom), slice(left, right)) if right > left and bottom > top else None


def _bilinear(x: Tensor, *, keep: bool) -> Tensor:
    """(N, 3, H, W) -> (N, 3, 224, 224)."""
    from torch.nn import functional

    height, width = x.shape[2:]
    size = (SIDE, SIDE)
    if keep:
        factor = SIDE / min(height, width)
        size = (SIDE, math.ceil(width * factor)) if height < width else (math.ceil(height * factor), SIDE)
    x = functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
    top, left = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
    return x[:, :, top : top + SIDE, left : left + SIDE]


def _scaled(x: Tensor, scale: str) -> Tensor:
    import torch

    if scale == "pm1":
        return (x - 0.5) * 2
    if scale == "imagenet":
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (_MEAN, _STD))
        return (x - mean) / std
    if scale != "unit":
        raise UsageError(f"there is no FVD scale {scale!r}; choose pm1, unit or imagenet")
    return x
