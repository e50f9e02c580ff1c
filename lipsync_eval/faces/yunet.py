"""YuNet through OpenCV: a small neural detector that also sees turned faces. Used only when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from lipsync_eval.errors import WeightsError
from lipsync_eval.faces.base import Detector, Face
from lipsync_eval.types import Float, Frame

SIDE: Final = 640
"""px: frames whose longer side is greater are reduced to this."""
WEAKEST: Final = 0.5
"""Lowest score handed over, of 0..1."""
NMS: Final = 0.3
"""Overlap from which the weaker of two boxes goes."""


class YuNet(Detector):
    """cv2.FaceDetectorYN on the whole frame."""

    stride = 8
    sure = 0.7

    def __init__(self, path: Path) -> None:
        import cv2

        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (32, 32), WEAKEST, NMS, 50)
        except cv2.error as error:
            raise WeightsError(f"{path} is no YuNet model that OpenCV reads: {error.err}") from error
        self._size = (32, 32)

    def detect(self, frame: Frame) -> list[Face]:
        """Faces with a score of at least WEAKEST; boxes are squares in HOG's framing, made of YuNet's five points."""
        import cv2

        scale = min(1.0, SIDE / max(frame.shape[:2]))
        size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
        image = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        if scale < 1:
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if size != self._size:
            self._net.setInputSize(size)
            self._size = size
        _, found = self._net.detect(image)
        rows = np.zeros((0, 15)) if found is None else np.asarray(found, np.float64)
        return [Face(square(row[4:14].reshape(5, 2)) / scale, float(row[14])) for row in rows]


def square(five: Float) -> Float:
    """(4,) x1, y1, x2, y2 from (5, 2) eyes, nose, mouth corners: where the HOG detector would draw its square, in the mean.

    YuNet's own boxes hold the whole head; on a turned one dlib's points would start at the ear. Centred 0.01 sides above
    the mean of the points, side 3.8 times their r.m.s. distance from it (measured on 19 clips).
    """
    middle = five.mean(axis=0)
    side = 3.8 * np.sqrt(((five - middle) ** 2).sum(axis=1).mean())
    middle = middle - [0.0, 0.01 * side]
    return np.concatenate([middle - side / 2, middle + side / 2])
