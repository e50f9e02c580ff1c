"""Which runs of a video are good enough to train on: how large the face is in its source, and how sharp the crop is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lipsync_eval.types import Float, Frame

SAMPLED = 9
"""Frames of a run, spread evenly, whose crops decide its sharpness."""


@dataclass(frozen=True)
class Quality:
    """Of one run."""

    face: float
    """Height of the landmarks' box (brows to chin) in the source, px; median over the frames."""
    sharpness: float | None
    """Variance of the Laplacian of the grey crop, levels 0..255, at the stored size; median of the sampled frames. None:
    nobody asked."""

    def wrong(self, min_face: float, min_sharpness: float) -> str:
        """Why the run is left out; empty where it is kept."""
        if self.face < min_face:
            return f"face {self.face:.0f} px high, less than --min-face {min_face:g}"
        if self.sharpness is not None and self.sharpness < min_sharpness:
            return f"sharpness {self.sharpness:.1f}, less than --min-sharpness {min_sharpness:g}"
        return ""


def face_height(points: Float) -> float:
    """(T, L, 2) px -> the median height of the points' box, px."""
    return float(np.median(np.ptp(points[:, :, 1], axis=1)))


def sharpness(crops: Iterable[Frame]) -> float:
    """(S, S, 3) uint8 RGB each -> the median variance of the Laplacian (3x3, 4 neighbours) of their grey values."""
    import cv2

    return float(np.median([cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var() for crop in crops]))


def sampled(start: int, stop: int) -> list[int]:
    """Up to SAMPLED frames of start..stop-1, spread evenly."""
    count = min(SAMPLED, stop - start)
    return [int(i) for i in np.linspace(start, stop - 1, count).round()]
