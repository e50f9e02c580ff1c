"""What a detector and a landmark finder are, and what they hand over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from lipsync_eval.types import Float, Frame

Locate = Callable[[str], Path]
"""Name of a weights row -> the file on this machine; raises MissingWeights."""

MAX_FACES: Final = 4
"""Faces followed in one frame: the largest. All that a detector saw are counted."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one frame."""

    box: Float
    """(4,) x1, y1, x2, y2 px, as the detector frames a face."""
    score: float
    """The detector's own confidence; its scale differs from detector to detector. NaN where it gives none."""

    def reaches(self, bound: float) -> bool:
        """Whether the score is at least `bound`; a detector without scores vouches for every face it reports."""
        return not self.score < bound

    @property
    def side(self) -> float:
        """Mean of width and height in px."""
        return float(self.box[2] - self.box[0] + self.box[3] - self.box[1]) / 2

    @property
    def centre(self) -> Float:
        """(2,) px."""
        return (self.box[:2] + self.box[2:]) / 2


class Detector(Protocol):
    """Finds faces in one frame. The same frame gives the same faces, whatever was seen before."""

    stride: int
    """Frames from one planned detection to the next."""
    sure: float
    """Score from which a face may start a track and is counted in n_faces; weaker ones only continue a track."""

    def detect(self, frame: Frame) -> list[Face]:
        """Faces of a uint8 RGB frame, strongest first; empty when there is none."""
        ...

    def close(self) -> None:
        """Free what it holds; called once, after the last frame."""


class Landmarker(Protocol):
    """Finds the 68 points of one face, knowing its box."""

    def points(self, frame: Frame, box: Float) -> Float | None:
        """(68, 2) px in the frame, or None where there is no face in the box."""
        ...

    def points_of(self, frames: Sequence[Frame], boxes: Sequence[Float]) -> list[Float | None]:
        """The same for one face in each of several frames; one by one unless a backend gains by taking them together."""
        return [self.points(frame, box) for frame, box in zip(frames, boxes, strict=True)]

    def close(self) -> None:
        """Free what it holds; called once, after the last frame."""


def iou(a: Float, b: Float) -> float:
    """Overlap of two boxes (4,): intersection over union, 0..1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return float(both / (area(a) + area(b) - both))


def area(box: Float) -> float:
    """px^2 of a box (4,)."""
    return float((box[2] - box[0]) * (box[3] - box[1]))


def largest(faces: list[Face], n: int = MAX_FACES) -> list[Face]:
    """The n faces of greatest area; of equals the one further left, then higher."""
    return sorted(faces, key=lambda f: (-area(f.box), f.box[0], f.box[1]))[:n]


def match(a: list[Float], b: list[Float], least: float) -> list[tuple[int, int]]:
    """Pairs (index in a, index in b) of boxes that overlap by at least `least`, greedily, greatest overlap first."""
    pairs = sorted((-iou(p, q), i, j) for i, p in enumerate(a) for j, q in enumerate(b))
    chosen: list[tuple[int, int]] = []
    for negative, i, j in pairs:
        if -negative < least:
            break
        if all(i != k and j != m for k, m in chosen):
            chosen.append((i, j))
    return chosen


def interpolate(first: Float, last: Float, n: int) -> Float:
    """(n, ...) values on the straight line strictly between `first` and `last`."""
    share = (np.arange(1, n + 1) / (n + 1)).reshape(-1, *([1] * first.ndim))
    return np.asarray(first * (1 - share) + last * share)
