"""The 68 iBUG points: which index is what, and measures made of them. Indices count from 0."""

from __future__ import annotations

from typing import Final

import numpy as np

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float

JAW: Final = slice(0, 17)
RIGHT_BROW: Final = slice(17, 22)
"""Of the person; on the left of the frame."""
LEFT_BROW: Final = slice(22, 27)
BROWS: Final = slice(17, 27)
NOSE_BRIDGE: Final = slice(27, 31)
NOSE_BASE: Final = slice(31, 36)
NOSE: Final = slice(27, 36)
RIGHT_EYE: Final = slice(36, 42)
"""Of the person; on the left of the frame."""
LEFT_EYE: Final = slice(42, 48)
EYES: Final = slice(36, 48)
OUTER_LIP: Final = slice(48, 60)
INNER_LIP: Final = slice(60, 68)
MOUTH: Final = slice(48, 68)

CHIN: Final = 8
NOSE_TIP: Final = 30
SUBNASALE: Final = 33
RIGHT_EYE_OUTER: Final = 36
LEFT_EYE_OUTER: Final = 45
MOUTH_RIGHT: Final = 48
MOUTH_LEFT: Final = 54
INNER_LIP_TOP: Final = 62
INNER_LIP_BOTTOM: Final = 66

N_POINTS: Final = 68


def check(points: Float) -> Float:
    """Return (..., 68, 2) points as float64.

    Raises:
        InputError: the last two axes are not (68, 2).
    """
    points = np.asarray(points, np.float64)
    if points.shape[-2:] != (N_POINTS, 2):
        raise InputError(f"expected 68 landmarks as an array (..., 68, 2), got shape {points.shape}")
    return points


def interocular(points: Float) -> Float:
    """(...,) px: distance of the outer eye corners (36 and 45), the usual normaliser of 300-W; NaN where missing."""
    points = check(points)
    return np.asarray(np.linalg.norm(points[..., LEFT_EYE_OUTER, :] - points[..., RIGHT_EYE_OUTER, :], axis=-1))


def mouth_opening(points: Float) -> Float:
    """(...,) px: distance of the inner lips in the middle of the mouth (62 and 66); NaN where missing."""
    points = check(points)
    return np.asarray(np.linalg.norm(points[..., INNER_LIP_TOP, :] - points[..., INNER_LIP_BOTTOM, :], axis=-1))


def face_box(points: Float) -> Float:
    """(..., 4) x1, y1, x2, y2: the tightest box round all 68 points; NaN where missing."""
    points = check(points)
    return np.concatenate([points.min(axis=-2), points.max(axis=-2)], axis=-1)


def face_square(points: Float) -> Float:
    """(..., 4) x1, y1, x2, y2: the square that dlib's HOG detector draws, in the mean, round a face with these points.

    Centred 0.02 sides below the mean of the points without the jaw; its side is 3.42 times their r.m.s. distance from
    that mean (measured on 19 clips). Unlike a detector's box it hangs on the face and moves with it.
    """
    inner = check(points)[..., 17:, :]
    middle = inner.mean(axis=-2)
    side = 3.42 * np.sqrt(((inner - middle[..., None, :]) ** 2).sum(axis=-1).mean(axis=-1))[..., None]
    middle = middle + side * np.array([0.0, 0.02])
    return np.concatenate([middle - side / 2, middle + side / 2], axis=-1)
