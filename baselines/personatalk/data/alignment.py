"""PersonaTalk's crops: an upright square around the face, smoothed over five frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipsync_eval.types import Float, Frame
from lipsync_eval.warp import render

MARGINS = (0.10, 0.30, 0.10, 0.05)
"""left, top, right, bottom, shares of the points' box: as the protocol `personatalk`."""
SMOOTH = 5
"""Frames over which centre and size are averaged; fewer at the ends of a run."""


@dataclass(frozen=True)
class Box:
    """The box of the landmarks, widened, square, upright."""

    description: str = "personatalk box 1: margins 0.10 0.30 0.10 0.05, square, mean of 5"
    face_box: tuple[float, float, float, float] = (0.12, 0.25, 0.88, 0.98)

    def matrices(self, points: Float, size: int) -> Float:
        """(T, L, 2) px -> (T, 2, 3), frame px -> crop px."""
        low, high = points.min(1), points.max(1)
        side = high - low
        left, top, right, bottom = MARGINS
        low, high = low - side * (left, top), high + side * (right, bottom)
        found = np.concatenate([(low + high) / 2, (high - low).max(1, keepdims=True)], axis=1)
        half = SMOOTH // 2
        at = np.arange(len(found))
        reach = np.minimum(half, np.minimum(at, len(found) - 1 - at))  # symmetric, so that a moving face is not dragged
        sums = np.concatenate([np.zeros((1, 3)), np.cumsum(found, axis=0)])
        mean = (sums[at + reach + 1] - sums[at - reach]) / (2 * reach + 1)[:, None]
        scale = size / mean[:, 2]
        shift = (size - 1) / 2 - mean[:, :2] * scale[:, None]
        out = np.zeros((len(points), 2, 3))
        out[:, 0, 0] = out[:, 1, 1] = scale
        out[:, :, 2] = shift
        return out

    def crop(self, frame: Frame, points: Float, matrix: Float, size: int) -> Frame:
        """(H, W, 3) uint8 RGB -> (size, size, 3), sampled once."""
        return render(frame, matrix, (size, size))


BOX = Box()
