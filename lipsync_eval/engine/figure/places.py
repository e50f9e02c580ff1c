"""Where a figure cuts: the face and the mouth of each video, as upright rectangles in the frame's own pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipsync_eval.faces.points import MOUTH, MOUTH_LEFT, MOUTH_RIGHT
from lipsync_eval.types import Float, Frame
from lipsync_eval.warp import render

MOUTH_SHAPE = 0.62
"""Height of the mouth's rectangle over its width."""
_MOUTH_WIDE = 1.9
"""Width of the mouth's rectangle over the width of the mouth."""
_FACE_SIDE = 1.7
"""Side of the face's square over the longer side of the box around the 68 points."""
_FACE_UP = 0.08
"""How far the face's square lies above the middle of the points, over its side: 68 points have no forehead."""
_ELSEWHERE = 0.5
"""A face whose mouth is farther off than this share of the mouth's rectangle lies elsewhere."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in source pixels: the outer edge of its pixels."""

    left: float
    top: float
    width: float
    height: float

    def matrix(self, size: tuple[int, int]) -> Float:
        """(2, 3) source pixel -> pixel of a cell of (height, width)."""
        x, y = size[1] / self.width, size[0] / self.height
        return np.array([[x, 0.0, -0.5 - x * (self.left - 0.5)], [0.0, y, -0.5 - y * (self.top - 0.5)]])

    def cut(self, frame: Frame, size: tuple[int, int]) -> Frame:
        """(height, width, 3) the pixels of this rectangle."""
        return render(frame, self.matrix(size), size)


def whole(height: int, width: int) -> Box:
    """The whole frame."""
    return Box(0.0, 0.0, float(width), float(height))


def mouths(points: Float, height: int, width: int) -> list[Box | None]:
    """The rectangle around the mouth in every frame: of one size through the clip, the mouth in its middle.

    Args:
        points: (T, 68, 2) source px; NaN where the face is missing.
        height, width: of the frame; the rectangle is moved into it.

    Returns:
        T rectangles; None in a frame without a face.
    """
    across = np.linalg.norm(points[:, MOUTH_LEFT] - points[:, MOUTH_RIGHT], axis=1)
    if not np.isfinite(across).any():
        return [None] * len(points)
    wide = float(np.nanmedian(across)) * _MOUTH_WIDE
    return [_inside(c, wide, wide * MOUTH_SHAPE, height, width) for c in points[:, MOUTH].mean(axis=1)]


def faces(points: Float, height: int, width: int) -> list[Box | None]:
    """The square around the face in every frame, in the same way."""
    low, high = points.min(axis=1), points.max(axis=1)
    sides = (high - low).max(axis=1)
    if not np.isfinite(sides).any():
        return [None] * len(points)
    side = min(float(np.nanmedian(sides)) * _FACE_SIDE, height, width)
    centres = (low + high) / 2 - np.array([0.0, _FACE_UP * side])
    return [_inside(c, side, side, height, width) for c in centres]


def elsewhere(own: list[Box | None], real: list[Box | None]) -> bool:
    """Whether a video's mouth lies elsewhere than the real video's: the median distance over frames where both are known."""
    far = [
        float(np.hypot(a.left - b.left, a.top - b.top)) / b.width
        for a, b in zip(own, real)
        if a is not None and b is not None
    ]
    return bool(far) and float(np.median(far)) > _ELSEWHERE


def _inside(centre: Float, w: float, h: float, height: int, width: int) -> Box | None:
    if not np.isfinite(centre).all():
        return None
    w, h = min(w, width), min(h, height)
    left = min(max(float(centre[0]) + 0.5 - w / 2, 0.0), width - w)
    top = min(max(float(centre[1]) + 0.5 - h / 2, 0.0), height - h)
    return Box(left, top, w, h)
