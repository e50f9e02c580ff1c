"""dlib's HOG face detector and its 68-point shape predictor: the default, with the weights inside installed packages.

Detector: Dalal & Triggs, CVPR 2005, as trained by dlib. Landmarks: Kazemi & Sullivan, "One millisecond face alignment
with an ensemble of regression trees", CVPR 2014, trained on 300-W (whose images are for research).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.cache import NO_CACHE, Cache
from lipsync_eval.errors import WeightsError
from lipsync_eval.faces import ready
from lipsync_eval.faces.base import Detector, Face, Landmarker
from lipsync_eval.faces.points import face_square
from lipsync_eval.faces.shape_predictor import Gray, Predictor, read_predictor
from lipsync_eval.files import sha256
from lipsync_eval.types import Float, Frame

PACKAGE: Final = "face-recognition-models"
MODEL: Final = "shape_predictor_68_face_landmarks.dat"
MODEL_SHA256: Final = "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f"
SIDES: Final = (480, 640)
"""px: least and greatest longer side of the frame that the detector sees; it finds faces from 80 px on."""
CLEAR: Final = 0.3
"""HOG score of the best face below which two more looks are taken."""
BORDER: Final = 0.25
"""Width of the border in the second look, of the longer side."""
WEAKEST: Final = -0.3
"""Lowest HOG score handed over; dlib's own threshold is 0."""
FACE_SIDE: Final = 200
"""px: smaller faces are enlarged to this side before the points are sought, since dlib rounds them to whole pixels."""
SHIFTS: Final = ((-0.04, -0.04, 0.96), (0.04, -0.04, 1.04), (-0.04, 0.04, 1.04), (0.04, 0.04, 0.96))
"""Squares whose points are averaged: x, y (of the side) and size (factor)."""
DISAGREE: Final = 0.03
"""Mean spread (standard deviation, of the side) of the four shapes from which they are no face's. Measured: at most
0.011 on frontal faces, 0.03 on faces turned to the side, from 0.07 where such a face was missed, from 0.03 on background."""


_held: Final[dict[str, Any]] = {}
"""The models, once they are loaded: the same ones whatever cache they came from."""


def _detector(cache: Cache = NO_CACHE) -> Any:
    if "hog" not in _held:
        _held["hog"] = ready.hog(cache)
    return _held["hog"]


def _predictor(cache: Cache = NO_CACHE) -> Predictor:
    if "points" not in _held:
        path = model_path()
        _held["points"] = ready.points(cache, lambda: _read(path))
    found: Predictor = _held["points"]
    return found


def _read(path: Path) -> Predictor:
    if sha256(path) != MODEL_SHA256:
        raise WeightsError(
            f"{path} is not the 68-point model of {PACKAGE} 0.3.0 (sha256 differs); pip install --force-reinstall {PACKAGE}==0.3.0"
        )
    return read_predictor(path)


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
    """(H, W) uint8 luma (BT.601) of a uint8 RGB frame."""
    import cv2

    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


class HogDetector(Detector):
    """dlib's frontal face detector on a gray copy of the frame, of a working size.

    The first look is at the whole frame, its longer side brought into SIDES. When that shows no clear face, two more
    follow, and the look with the strongest face counts: with a border of repeated edge pixels (HOG wants surroundings;
    face crops have none) and at twice the size (small faces).
    """

    stride = 8
    sure = 0.0

    def __init__(self, cache: Cache = NO_CACHE) -> None:
        """`cache`: where the model is kept ready."""
        self._cache = cache

    def detect(self, frame: Frame) -> list[Face]:
        """Faces with a HOG score of at least WEAKEST, strongest first."""
        model, image = _detector(self._cache), gray(frame)
        scale = min(max(1.0, SIDES[0] / max(image.shape)), SIDES[1] / max(image.shape))
        faces = _look(model, image, scale, 0)
        if _best(faces) >= CLEAR:
            return faces
        border = round(max(image.shape) * scale * BORDER)
        return max(faces, _look(model, image, scale, border), _look(model, image, 2 * scale, 0), key=_best)


def _best(faces: list[Face]) -> float:
    return max((face.score for face in faces), default=-np.inf)


def _look(model: Any, image: Gray, scale: float, border: int) -> list[Face]:
    import cv2

    height, width = (max(1, round(n * scale)) for n in image.shape)
    factor = np.array([width, height] * 2) / np.array([*image.shape[::-1]] * 2)
    if (height, width) != image.shape:
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)
    if border:
        edges = (border, border, border, border)
        image = np.asarray(cv2.copyMakeBorder(image, *edges, cv2.BORDER_REPLICATE), np.uint8)
    boxes, scores, _ = model.run(image, 0, WEAKEST)
    corners = [np.array([b.left(), b.top(), b.right(), b.bottom()], np.float64) - border for b in boxes]
    return [Face((box + 0.5) / factor - 0.5, float(score)) for box, score in zip(corners, scores, strict=True)]


class ShapePredictor(Landmarker):
    """dlib's 68 points, made steady, and refused where they are none.

    The points of one box tremble by about a pixel (at 256) when the box or the compression changes, and a detector's
    box jumps by whole cells of its grid. So the points of the box only settle a square that hangs on the face, and the
    points of four slightly moved squares are averaged. Where there is no face, or one seen from the side and missed,
    the four disagree.
    """

    def __init__(self, detector: str = "hog", cache: Cache = NO_CACHE) -> None:
        """Boxes of any detector are taken: they only say where to begin. `cache`: where the model is kept ready."""
        self._cache = cache

    def points(self, frame: Frame, box: Float) -> Float | None:
        """(68, 2) px; None where the four squares disagree by more than DISAGREE."""
        return self.points_of([frame], [box])[0]

    def points_of(self, frames: Sequence[Frame], boxes: Sequence[Float]) -> list[Float | None]:
        """The same for one face in each frame; together they cost less than one by one, and the points are the same."""
        if not frames:
            return []
        model = _predictor(self._cache)
        cuts = [_enlarged(frame, box) for frame, box in zip(frames, boxes, strict=True)]
        images = [cut.image for cut in cuts]
        starts = [(box - np.tile(cut.origin, 2) + 0.5) * cut.scale - 0.5 for box, cut in zip(boxes, cuts, strict=True)]
        settling = _predict(model, images, range(len(cuts)), starts)
        squares = [settle(points, start) for points, start in zip(settling, starts, strict=True)]
        shifted = [moved(square, *shift) for square in squares for shift in SHIFTS]
        which = np.repeat(np.arange(len(cuts)), len(SHIFTS))
        four = _predict(model, images, which, shifted).reshape(len(cuts), len(SHIFTS), -1, 2)
        return [_agreed(*each) for each in zip(four, squares, cuts, strict=True)]


def _agreed(found: Float, square: Float, cut: Cut) -> Float | None:
    """The mean of the four shapes (4, 68, 2), in px of the whole frame; None where they disagree."""
    spread = np.sqrt(found.var(axis=0).sum(axis=1)).mean() / (square[2] - square[0])
    return (found.mean(axis=0) + 0.5) / cut.scale - 0.5 + cut.origin if spread <= DISAGREE else None


def settle(points: Float, box: Float) -> Float:
    """(4,) the square on a face with these points; it leaves `box` by at most a quarter of that one's side."""
    square = face_square(points)
    centre, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).mean())
    middle = np.clip((square[:2] + square[2:]) / 2, centre - side / 4, centre + side / 4)
    half = np.clip(square[2] - square[0], 0.75 * side, 1.25 * side) / 2
    return np.concatenate([middle - half, middle + half])


def moved(square: Float, x: float, y: float, size: float) -> Float:
    """(4,) the square moved by x and y of its side and made `size` times as large."""
    middle, side = (square[:2] + square[2:]) / 2, square[2] - square[0]
    middle = middle + side * np.array([x, y])
    return np.concatenate([middle - side * size / 2, middle + side * size / 2])


def _predict(
    model: Predictor, images: Sequence[Gray], which: Sequence[int] | NDArray[np.intp], boxes: Sequence[Float]
) -> Float:
    """(N, 68, 2) whole px: the points of N boxes, each in the image that `which` names."""
    windows = np.array([[round(float(v)) for v in box] for box in boxes], np.int64).reshape(-1, 4)
    return model.points(images, list(which), windows)


@dataclass(frozen=True, slots=True)
class Cut:
    """The gray surroundings of a face."""

    image: Gray
    scale: float
    """Enlarged by this factor."""
    origin: Float
    """(2,) px of its top-left pixel in the frame."""


def _enlarged(frame: Frame, box: Float) -> Cut:
    """The gray surroundings of a face, enlarged to FACE_SIDE if smaller."""
    import cv2

    centre, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).mean())
    height, width = frame.shape[:2]
    low = np.clip(np.floor(centre - side).astype(int), 0, [width - 1, height - 1])
    high = np.clip(np.ceil(centre + side).astype(int) + 1, low + 1, [width, height])
    cut = gray(np.ascontiguousarray(frame[low[1] : high[1], low[0] : high[0]]))
    scale = max(1, int(np.ceil(FACE_SIDE / max(side, 1.0))))
    if scale > 1:
        size = (cut.shape[1] * scale, cut.shape[0] * scale)
        cut = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return Cut(cut, float(scale), low.astype(np.float64))
