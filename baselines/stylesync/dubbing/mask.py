"""What is pasted back: the mask M with a soft border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.dubbing.pasting import FEATHER, Alpha, Masker, ramp


def soft_mask(mask: NDArray[np.uint8], size: int) -> Alpha:
    """M as weights of a crop: 1 inside, falling to 0 outside over the feather's width; 0 at the crop's own borders.

    Args:
        mask: (256, 256), 1 inside.
        size: px of the crop.

    Returns:
        (size, size) float32, 0..1.
    """
    import cv2

    width = max(1.0, FEATHER * size)
    small = cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    away = cv2.distanceTransform((small == 0).astype(np.uint8), cv2.DIST_L2, 5)
    centre = np.arange(size) + 0.5
    border = np.minimum(centre, size - centre)
    inside = np.minimum(border[:, None], border[None, :])
    weight = ramp(1 - away / width) * ramp(inside / width)
    alpha: Alpha = weight.astype(np.float32)
    return alpha


def masker(mask: NDArray[np.uint8], size: int) -> Masker:
    """The same weights for every frame."""
    alpha = soft_mask(mask, size)
    return lambda crop, points: alpha
