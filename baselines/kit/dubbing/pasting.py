"""Putting a crop back into its frame: soft masks, and blending through the inverse of the alignment."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import Float, Frame
from lipsync_eval.warp import apply, compose, invert, render

Mask = Literal["lower", "face", "box"]
Alpha = NDArray[np.float32]
FEATHER = 0.06
"""Width of the soft border, share of the crop's side."""
Masker = Callable[[Frame, Float], Alpha]
"""A mask: real crop (size, size, 3) and its landmarks (L, 2) px -> (size, size) weights 0..1 of the generated crop."""


@lru_cache(maxsize=8)
def lower_mask(size: int) -> Alpha:
    """(size, size) weight of the generated crop: 0 in the upper half and at the borders, 1 inside the lower half."""
    width = max(1.0, FEATHER * size)
    centre = np.arange(size) + 0.5
    across = ramp(np.minimum(centre, size - centre) / width)
    down = ramp(np.minimum(centre - size / 2, size - centre) / width)
    return (down[:, None] * across[None, :]).astype(np.float32)


@lru_cache(maxsize=8)
def box_mask(size: int) -> Alpha:
    """(size, size) weight of the generated crop: 1 inside, falling to 0 at its four borders."""
    centre = np.arange(size) + 0.5
    edge = ramp(np.minimum(centre, size - centre) / max(1.0, FEATHER * size))
    return (edge[:, None] * edge[None, :]).astype(np.float32)


def face_mask(points: Float, size: int) -> Alpha:
    """The lower mask cut to the face: the hull of jaw and nose, a little widened, with a soft border.

    Args:
        points: (68, 2) px in the crop.
        size: its side.

    Returns:
        (size, size) float32, 0..1.
    """
    import cv2

    outline = points[[*range(1, 16), 28]]
    middle = outline.mean(axis=0)
    wide = middle + (outline - middle) * np.array([1.06, 1.12])  # downwards more: the jaw may open further
    hull = cv2.convexHull(np.rint(wide).astype(np.int32))
    filled: NDArray[np.uint8] = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(filled, hull, 255)
    soft = cv2.GaussianBlur(filled, (0, 0), max(0.5, FEATHER * size / 3)).astype(np.float32) / 255
    alpha: Alpha = (soft * lower_mask(size)).astype(np.float32)
    return alpha


def ramp(x: Float) -> Float:
    """Smooth step from 0 at x <= 0 to 1 at x >= 1."""
    t = np.clip(x, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def paste(frame: Frame, crop: Frame, matrix: Float, alpha: Alpha, cubic: bool = False) -> Frame:
    """Blend a crop back into its frame.

    Args:
        frame: (H, W, 3) uint8 RGB; not changed.
        crop: (size, size, 3) uint8 RGB.
        matrix: (2, 3) frame px -> crop px.
        alpha: (size, size) float32 weight of the crop; pixels outside it have none.
        cubic: where the crop is enlarged, by bicubic interpolation instead of bilinear.

    Returns:
        (H, W, 3) uint8 RGB, equal to the frame wherever the weight is 0.
    """
    import cv2

    box = _box(matrix, alpha, (frame.shape[0], frame.shape[1]))
    out = frame.copy()
    if box is None:
        return out
    x0, y0, x1, y1 = box
    shift = np.array([[1.0, 0.0, -x0], [0.0, 1.0, -y0]])
    there = compose(shift, invert(matrix))
    if cubic and abs(np.linalg.det(there[:, :2])) > 1:
        border = cv2.BORDER_REFLECT_101
        back = cv2.warpAffine(crop, there, (x1 - x0, y1 - y0), flags=cv2.INTER_CUBIC, borderMode=border)
    else:
        back = render(crop, there, (y1 - y0, x1 - x0))
    inside = compose(matrix, invert(shift))  # region px -> crop px
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    weight = cv2.warpAffine(
        alpha, inside, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0.0
    )
    weight = weight[:, :, None]
    region = out[y0:y1, x0:x1]
    mixed = np.rint(region + weight * (back.astype(np.float32) - region))
    out[y0:y1, x0:x1] = np.where(weight > 0, mixed, region).astype(np.uint8)
    return out


def _box(matrix: Float, alpha: Alpha, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 of the region of a frame (height, width) that can have weight; None where it lies outside."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not len(rows):
        return None
    left, top, right, bottom = columns[0] - 1, rows[0] - 1, columns[-1] + 1, rows[-1] + 1
    corners = apply(invert(matrix), np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64))
    x0, y0 = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, [size[1], size[0]])
    return (int(x0), int(y0), int(x1), int(y1)) if x1 > x0 and y1 > y0 else None


MASKS: dict[str, Masker] = {
    "lower": lambda crop, points: lower_mask(crop.shape[0]),
    "face": lambda crop, points: face_mask(points, crop.shape[0]),
    "box": lambda crop, points: box_mask(crop.shape[0]),
}
"""The lower half of the crop, the hull of jaw and nose in it, or the whole crop."""
