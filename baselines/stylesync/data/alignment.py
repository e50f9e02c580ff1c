"""How StyleSync's crops lie in their frames: aligned by the eyes (the paper), or as the authors' inference code aligns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipsync_eval.baselines.kit.data.alignment import Alignment
from lipsync_eval.baselines.stylesync.config import Align
from lipsync_eval.types import Float, Frame
from lipsync_eval.warp import compose, render

FACE_BOX = (0.09, 0.05, 0.87, 0.84)
"""dlib's HOG box in an eyes-aligned crop (median over real clips, rounded)."""


@dataclass(frozen=True)
class Eyes:
    """Eyes level and at a fixed place and distance, as the protocol `stylesync` crops; frame by frame."""

    description: str = "eyes level, side 3.15 eye distances, centre 0.43 half sides below the eyes"
    face_box: tuple[float, float, float, float] = FACE_BOX

    def matrices(self, points: Float, size: int) -> Float:
        """(T, 68, 2) px -> (T, 2, 3) similarities, frame px -> crop px."""
        from lipsync_eval.protocols import geometry
        from lipsync_eval.protocols.stylesync import LAYOUT

        return geometry.matrices(geometry.boxes(LAYOUT, np.asarray(points, np.float64)), size)

    def crop(self, frame: Frame, points: Float, matrix: Float, size: int) -> Frame:
        """(H, W, 3) uint8 RGB -> (size, size, 3), sampled once; mirrored outside the frame."""
        return render(frame, matrix, (size, size))


GROUPS = (slice(17, 22), slice(22, 27), slice(27, 36))
"""Points whose means are aligned: the brows and the nose."""
TEMPLATE = np.array([[17.0, 20.0], [58.0, 20.0], [37.5, 40.0]]) * 2.8
"""px in a crop 210 wide and 280 high."""
CROP = (210, 280)
POINT_SMOOTH = 0.3
SHIFT_SMOOTH = 0.2


@dataclass(frozen=True)
class Authors:
    """The authors' inference code: means of brows and nose to a template, smoothed over time, stretched to a square.

    Source: facts of guanjz20/StyleSync_PyTorch@81865f1 (utils.py).
    """

    description: str = "brows and nose to a template, 210x280 stretched to a square, smoothed over consecutive frames"
    face_box: tuple[float, float, float, float] = FACE_BOX

    def matrices(self, points: Float, size: int) -> Float:
        """(T, 68, 2) px of consecutive frames -> (T, 2, 3) affine maps, frame px -> crop px."""
        stretch = np.array(
            [[size / CROP[0], 0.0, (size / CROP[0] - 1) / 2], [0.0, size / CROP[1], (size / CROP[1] - 1) / 2]]
        )
        found = []
        before: Float | None = None
        bias: Float | None = None
        for frame in np.asarray(points, np.float64):
            now = np.stack([frame[group].mean(axis=0) for group in GROUPS])
            now = now if before is None else _held_back(now, before)
            before = now
            matrix, residual = _similarity(now, TEMPLATE)
            bias = residual if bias is None else SHIFT_SMOOTH * bias + (1 - SHIFT_SMOOTH) * residual
            matrix[:, 2] += bias
            found.append(compose(stretch, matrix))
        return np.stack(found)

    def crop(self, frame: Frame, points: Float, matrix: Float, size: int) -> Frame:
        """(H, W, 3) uint8 RGB -> (size, size, 3), sampled once; mirrored outside the frame (the authors' code: grey)."""
        return render(frame, matrix, (size, size))


def _held_back(now: Float, before: Float) -> Float:
    """Points that moved little stay near their last place: (3, 2), (3, 2) -> (3, 2)."""
    width = np.ptp(now[:, 0])
    weight = np.exp(-((now - before) ** 2).sum(axis=1, keepdims=True) / (width * POINT_SMOOTH))
    held: Float = before * weight + now * (1 - weight)
    return held


def _similarity(points: Float, template: Float) -> tuple[Float, Float]:
    """The least-squares rotation with the ratio of standard deviations as scale: (2, 3), and the third point's residual
    in units of those deviations, which the authors' code adds to the shift in px."""
    middle, goal = points.mean(axis=0), template.mean(axis=0)
    a, b = points - middle, template - goal
    scale_a, scale_b = a.std(), b.std()
    a, b = a / scale_a, b / scale_b
    u, _, vt = np.linalg.svd(a.T @ b)
    linear = scale_b / scale_a * (u @ vt).T
    return np.column_stack([linear, goal - linear @ middle]), b[2] - a[2]


EYES, AUTHORS = Eyes(), Authors()


def alignment(kind: Align) -> Alignment:
    """By the name in the configuration."""
    return EYES if kind == "eyes" else AUTHORS
