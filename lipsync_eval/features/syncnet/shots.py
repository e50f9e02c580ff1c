"""Where shots begin, by the ContentDetector of PySceneDetect in the two releases that the official pipelines pin.

Both compare the mean change of hue, saturation and value between neighbouring frames with a limit. Sources:
PySceneDetect 0.5.1 (joonson/syncnet_python@6efbb1c, requirements.txt) and 0.6.1 (bytedance/LatentSync@a229c39).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lipsync_eval.protocol import ShotRule
from lipsync_eval.types import Frame

_LEAST: Final[dict[ShotRule, float]] = {"0.5.1": 30.0, "0.6.1": 27.0}
_SHORTEST: Final = 15
"""Frames between two cuts."""
_SKIPS: Final = ((3200, 12), (2100, 8), (1700, 6), (1200, 5), (900, 4), (600, 3), (400, 2))
"""0.5.1: width from which on only every so manieth pixel is looked at."""
_WIDTH: Final = 256
"""0.6.1: px; wider frames are shrunk by how many times this fits in."""


class Shots:
    """Hard cuts of one video; frames come in order."""

    def __init__(self, release: ShotRule = "0.5.1") -> None:
        self.cuts: list[int] = []
        """Numbers of the frames at which a new shot begins (without 0)."""
        self._release: ShotRule = release
        self._last: Frame | None = None
        self._count = 0
        self._from = 0 if release == "0.6.1" else -_SHORTEST

    def add(self, frame: Frame) -> None:
        """Take the next frame, (H, W, 3) uint8 RGB."""
        import cv2

        small = _every(frame) if self._release == "0.5.1" else _shrunk(frame)
        hsv = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2HSV), np.uint8)
        if self._last is not None:
            change = float(cv2.absdiff(hsv, self._last).mean())
            if change >= _LEAST[self._release] and self._count - self._from >= _SHORTEST:
                self.cuts.append(self._count)
                self._from = self._count
        self._last = hsv
        self._count += 1


def _every(frame: Frame) -> Frame:
    step = next((skip for width, skip in _SKIPS if frame.shape[1] >= width), 1)
    return np.ascontiguousarray(frame[::step, ::step])


def _shrunk(frame: Frame) -> Frame:
    import cv2

    height, width = frame.shape[:2]
    factor = width // _WIDTH
    if factor < 2:
        return np.ascontiguousarray(frame)
    return np.asarray(cv2.resize(frame, (round(width / factor), round(height / factor))), np.uint8)
