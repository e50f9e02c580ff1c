"""dlib's HOG face detector and its 68-point shape predictor: the default, with the weights inside installed packages.

Detector: Dalal & Triggs, CVPR 2005, as trained by dlib. Landmarks: Kazemi & Sullivan, "One millisecond face alignment
with an ensemble of regression trees", CVPR 2014, trained on 300-W (whose pictures are for research).
"""

from __future__ import annotations

import importlib.metadata
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import WeightsError
from lipsync_eval.faces.base import Face
from lipsync_eval.files import sha256
from lipsync_eval.types import Float, Frame

PACKAGE: Final = "face-recognition-models"
MODEL: Final = "shape_predictor_68_face_landmarks.dat"
MODEL_SHA256: Final = "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f"
DETECT_SIDE: Final = 640
"""px: longer side of the picture that the detector sees (it finds faces from 80 px on)."""
RETRY_SIDE: Final = 1280
"""px: the same for a second look at a picture in which the first saw nothing."""
WEAKEST: Final = -0.3
"""Lowest HOG score handed over; dlib's own threshold is 0."""
FACE_SIDE: Final = 200
"""px: smaller faces are enlarged to this side before the points are sought, since dlib rounds them to whole pixels."""
SHIFTS: Final = ((0.0, 0.0, 1.0), (-0.04, -0.04, 0.96), (0.04, -0.04, 1.04), (-0.04, 0.04, 1.04), (0.04, 0.04, 0.96))
"""Boxes whose points are averaged: x, y (of the side) and size (factor)."""

Gray = NDArray[np.uint8]


@cache
def _detector() -> Any:
    import dlib

    return dlib.get_frontal_face_detector()


@cache
def _predictor() -> Any:
    import dlib

    path = model_path()
    if sha256(path) != MODEL_SHA256:
        raise WeightsError(
            f"{path} is not the 68-point model of {PACKAGE} 0.3.0 (sha256 differs); pip install --force-reinstall {PACKAGE}==0.3.0"
        )
    return dlib.shape_predictor(str(path))


def model_path() -> Path:
    """Where the 68-point model lies; the package that holds it is never imported (it needs pkg_resources).

    Raises:
        WeightsError: the package is not installed or incomplete.
    """
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if file.name == MODEL and path.is_file():
            return path
    raise WeightsError(f"the landmark model {MODEL} is missing; pip install {PACKAGE}==0.3.0")


def gray(frame: Frame) -> Gray:
    """(H, W) uint8 luma (BT.601) of a uint8 RGB picture."""
    import cv2

    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


class HogDetector:
    """dlib's frontal face detector on a gray picture of a fixed working size."""

    stride = 8
    sure = 0.0

    def detect(self, frame: Frame) -> list[Face]:
        """Faces with a HOG score of at least WEAKEST, strongest first."""
        picture = gray(frame)
        faces = self._look(picture, DETECT_SIDE)
        if not any(face.score >= self.sure for face in faces):
            faces = self._look(picture, RETRY_SIDE) or faces
        return faces

    def _look(self, picture: Gray, side: int) -> list[Face]:
        import cv2

        scale = side / max(picture.shape)
        scale = min(scale, 1.0) if side == DETECT_SIDE and max(picture.shape) > side / 2 else min(scale, 2.0)
        if scale != 1.0:
            way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            height, width = (max(1, round(n * scale)) for n in picture.shape)
            picture = np.asarray(cv2.resize(picture, (width, height), interpolation=way), np.uint8)
        boxes, scores, _ = _detector().run(picture, 0, WEAKEST)
        return [
            Face((np.array([b.left(), b.top(), b.right(), b.bottom()], np.float64) + 0.5) / scale - 0.5, float(score))
            for b, score in zip(boxes, scores, strict=True)
        ]


class ShapePredictor:
    """dlib's 68 points, averaged over slightly moved boxes: a single box gives points that tremble by a pixel."""

    def __init__(self, detector: str = "hog") -> None:
        self.own_boxes = detector == "hog"
        """False: another detector's boxes; they are first brought to HOG's framing by the points themselves."""

    def points(self, frame: Frame, box: Float) -> Float | None:
        """(68, 2) px; never None: any picture gets points."""
        centre, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).mean())
        if not self.own_boxes:
            centre, side = hog_square(self._average(frame, centre, side))
        return self._average(frame, centre, side)

    def _average(self, frame: Frame, centre: Float, side: float) -> Float:
        import dlib

        picture, scale, origin = _enlarged(frame, centre, side)
        middle = (centre - origin + 0.5) * scale - 0.5
        found = np.zeros((68, 2))
        for x, y, size in SHIFTS:
            near = middle + side * scale * np.array([x, y]) - side * scale * size / 2
            corner = [round(float(v)) for v in (*near, *(near + side * scale * size))]
            shape = _predictor()(picture, dlib.rectangle(*corner))
            found += [(p.x, p.y) for p in shape.parts()]
        return np.asarray((found / len(SHIFTS) + 0.5) / scale - 0.5 + origin)


def hog_square(points: Float) -> tuple[Float, float]:
    """Centre (2,) and side in px of the square that the HOG detector would draw round 68 points.

    Measured on frontal faces: the square is centred on the mean of the points without the jaw, moved down a little.
    """
    inner = points[17:]
    eyes, mouth = points[36:48].mean(axis=0), points[48:68].mean(axis=0)
    side = 2.0 * max(float(np.linalg.norm(mouth - eyes)), 0.5 * float(np.linalg.norm(points[45] - points[36])))
    return inner.mean(axis=0), side


def _enlarged(frame: Frame, centre: Float, side: float) -> tuple[Gray, float, Float]:
    """The gray surroundings of a face, enlarged to FACE_SIDE if smaller; scale and origin (2,) of the cut."""
    import cv2

    height, width = frame.shape[:2]
    low = np.clip(np.floor(centre - side).astype(int), 0, [width - 1, height - 1])
    high = np.clip(np.ceil(centre + side).astype(int) + 1, low + 1, [width, height])
    cut = gray(np.ascontiguousarray(frame[low[1] : high[1], low[0] : high[0]]))
    scale = max(1, int(np.ceil(FACE_SIDE / max(side, 1.0))))
    if scale > 1:
        size = (cut.shape[1] * scale, cut.shape[0] * scale)
        cut = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return cut, float(scale), low.astype(np.float64)
