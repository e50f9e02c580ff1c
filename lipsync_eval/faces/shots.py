"""Cuts: where a clip jumps from one scene to another, and whether a face after it is the one before."""

from __future__ import annotations

from typing import Final

import numpy as np

from lipsync_eval.types import Float, Frame

THUMB: Final = 32
JUMP: Final = 25.0
"""Mean change of a 32x32 gray thumbnail (grey levels, 0..255) from which two frames in a row may be a cut."""
ALIKE: Final = 0.75
"""Correlation of two face patches from which they show the same face (a flash, a black frame, a cut away and back)."""
PATCH: Final = 32
_PLACES: Final = np.array([[9.0, 11.0], [22.0, 11.0], [15.5, 24.0]])
"""px in the patch: the eyes' centres and the mouth's."""


class Thumbs:
    """Compares every frame with the one before."""

    def __init__(self) -> None:
        self._last: Float | None = None

    def jumped(self, frame: Frame) -> bool:
        """Whether this frame may begin a new shot."""
        import cv2

        small = cv2.resize(frame, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
        thumb = small.astype(np.float64).mean(axis=2)
        last, self._last = self._last, thumb
        return last is not None and float(np.abs(thumb - last).mean()) > JUMP


def patch(frame: Frame, points: Float) -> Float:
    """(PATCH, PATCH) gray image of a face, eyes and mouth in fixed places, mean 0 and norm 1 (0 where flat)."""
    import cv2

    ours = np.stack([points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[48:68].mean(axis=0)])
    matrix = cv2.getAffineTransform(ours.astype(np.float32), _PLACES.astype(np.float32))
    cut = cv2.warpAffine(frame, matrix, (PATCH, PATCH), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    values = cut.astype(np.float64).mean(axis=2)
    values -= values.mean()
    norm = float(np.linalg.norm(values))
    return np.asarray(values / norm if norm > 0 else values)


def alike(a: Float, b: Float) -> bool:
    """Whether two patches show the same face: their correlation is at least ALIKE."""
    return float((a * b).sum()) >= ALIKE
