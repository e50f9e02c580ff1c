"""ArcFace's five-point alignment: a face in a frame -> 112 x 112.

Source: deepinsight/insightface@7fadd42, python-package/insightface/utils/face_align.py (template, norm_crop). Its
similarity fit (Umeyama) has this closed form in two dimensions when no mirroring is allowed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float, Frame

TEMPLATE: Final = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""(5, 2) px in a 112 x 112 face: left eye, right eye (as seen in the frame), nose tip, mouth corners."""


def five_points(points: Float) -> Float:
    """(..., 68, 2) iBUG points -> (..., 5, 2): means of the six points of each eye, nose tip (30), mouth corners (48, 54)."""
    eyes = [points[..., 36:42, :].mean(-2), points[..., 42:48, :].mean(-2)]
    out: Float = np.stack([*eyes, points[..., 30, :], points[..., 48, :], points[..., 54, :]], -2)
    return out


def fit_similarity(source: Float, target: Float) -> Float:
    """The similarity (rotation, scale, shift; no mirroring) that takes source points nearest to target points.

    Args:
        source, target: (K, 2), K >= 2.

    Returns:
        (2, 3) float64, least squares.

    Raises:
        InputError: points that are not finite or all in one place.
    """
    s = np.asarray(source, np.float64) @ (1, 1j)
    t = np.asarray(target, np.float64) @ (1, 1j)
    spread = s - s.mean()
    energy = float(np.sum(np.abs(spread) ** 2))
    if not np.isfinite(energy) or not np.isfinite(t).all() or energy < 1e-12:
        raise InputError("a similarity needs finite points that do not all lie in one place")
    turn = np.sum(np.conj(spread) * (t - t.mean())) / energy
    shift = t.mean() - turn * s.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def align_matrix(points5: Float, size: int = 112) -> Float:
    """(2, 3) source pixel -> aligned pixel. Sizes that 112 divides scale the template; multiples of 128 scale it and shift
    it by 8 px in 128, as the source does.

    Raises:
        InputError: another size, or points that cannot be fitted.
    """
    if size % 112 == 0:
        target = TEMPLATE * (size / 112)
    elif size % 128 == 0:
        target = (TEMPLATE + np.array([8.0, 0.0])) * (size / 128)
    else:
        raise InputError(f"the aligned size must be a multiple of 112 or 128 px; got {size}")
    return fit_similarity(points5, target)


def align(frame: Frame, points5: Float, size: int = 112) -> NDArray[np.uint8]:
    """(H, W, 3) frame -> (size, size, 3), bilinear, black outside; OpenCV's versions differ by up to 4 grey levels here."""
    import cv2

    warped = cv2.warpAffine(
        frame, align_matrix(points5, size), (size, size), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0)
    )
    return np.asarray(warped, np.uint8)
