"""What of a generated crop is pasted back: the hull of the face, with a soft border."""

from __future__ import annotations

import numpy as np

from lipsync_eval.baselines.kit.dubbing.pasting import FEATHER, Alpha
from lipsync_eval.types import Float, Frame

WIDENED = (1.04, 1.10)
"""Across and down, around the hull's middle: the jaw may open further than in the source."""


def hull_mask(crop: Frame, points: Float) -> Alpha:
    """Real crop (size, size, 3) and its (68, 2) px -> (size, size) float32 weights, 0 at the crop's border."""
    import cv2

    size = crop.shape[0]
    middle = points.mean(axis=0)
    hull = cv2.convexHull(np.rint(middle + (points - middle) * np.array(WIDENED)).astype(np.int32))
    filled: Frame = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(filled, hull, 255)
    edge = max(1, round(FEATHER * size))
    filled[:edge], filled[-edge:], filled[:, :edge], filled[:, -edge:] = 0, 0, 0, 0
    alpha: Alpha = np.float32(1 / 255) * cv2.GaussianBlur(filled, (0, 0), max(0.5, FEATHER * size / 3)).astype(
        np.float32
    )
    return alpha
