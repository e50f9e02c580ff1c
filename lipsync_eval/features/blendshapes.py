"""MediaPipe's 52 blendshape scores of a face. mediapipe is not a dependency: it is used where it is installed.

Every frame is looked at alone (image mode): no smoothing over time, so order and batches do not move a score.
"""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MissingWeights, RefusedCheckpoint
from lipsync_eval.types import Clip, Float, Frame, Track

ROW: Final = "face_landmarker"
INSTALL: Final = "pip install --no-deps mediapipe==1.2.2 absl-py"
"""What to type: mediapipe's own requirements would replace OpenCV."""

NAMES: Final[tuple[str, ...]] = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""MediaPipe's order."""
LIP: Final[tuple[int, ...]] = tuple(i for i, name in enumerate(NAMES) if name.startswith(("jaw", "mouth", "cheek")))
"""What speech moves; brows, eyes and nose are left out of style."""

MARGIN: Final = 2.0
"""Side of the square that is looked at, in sizes of the 68 points' box."""


def installed() -> bool:
    """Whether mediapipe is there (found, not imported)."""
    return find_spec("mediapipe") is not None


def check_installed() -> None:
    """Raise MissingWeights, with what to type, when mediapipe is not there."""
    if not installed():
        raise MissingWeights(
            f"blendshapes need mediapipe, which is not installed here. It is kept out of the dependencies because it brings an OpenCV of its own; run:\n{INSTALL}"
        )


class Blendshapes:
    """A FaceLandmarker at work; opening one takes 20 ms, and it must be closed.

    Args:
        model: face_landmarker.task.

    Raises:
        MissingWeights: mediapipe is not installed.
        RefusedCheckpoint: mediapipe cannot read the model.
    """

    def __init__(self, model: Path) -> None:
        check_installed()
        os.environ.setdefault("GLOG_minloglevel", "2")  # its C++ side writes notices to stderr
        import mediapipe
        from mediapipe.tasks import python as tasks

        options = tasks.vision.FaceLandmarkerOptions(
            base_options=tasks.BaseOptions(
                model_asset_buffer=model.read_bytes(), delegate=tasks.BaseOptions.Delegate.CPU
            ),
            running_mode=tasks.vision.RunningMode.IMAGE,
            output_face_blendshapes=True,
            num_faces=1,
        )
        try:
            self._landmarker = tasks.vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise RefusedCheckpoint(
                f"{model} is refused: mediapipe cannot read it ({error}); use the official face_landmarker.task"
            ) from error
        self._mediapipe: Any = mediapipe

    def __call__(self, frame: Frame, points: Float) -> NDArray[np.float32] | None:
        """Scores of one face.

        Args:
            frame: (H, W, 3) uint8 RGB.
            points: (68, 2) where the face is.

        Returns:
            (52,) float32 in 0..1, in the order of NAMES; None when MediaPipe sees no face there.
        """
        square = square_around(frame, points)
        if square is None:
            return None
        part = np.ascontiguousarray(square[0])
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=part)
        found = self._landmarker.detect(image).face_blendshapes
        if not found:
            return None
        scores = {c.category_name: c.score for c in found[0]}
        return np.array([scores.get(name, 0.0) for name in NAMES], np.float32)

    def close(self) -> None:
        """Free what MediaPipe holds: its own destructor fails once the interpreter is going down."""
        self._landmarker.close()


def feature_name(weights: str) -> str:
    """How scores are named in signatures: the model by hash, and mediapipe's version, whose graph is part of it."""
    from importlib.metadata import version

    return f"{weights},mediapipe{version('mediapipe')}"


def score_key(clip: Clip, track: Track | None, feature: str) -> dict[str, str]:
    """Cache key of a clip's scores ('index' (N,), 'scores' (N, 52)): content, landmarks, model and mediapipe."""
    digest = hashlib.sha256()
    if track is not None:
        digest.update(track.status.tobytes() + np.ascontiguousarray(track.points).tobytes())
    return {"what": "blendshapes.1", "clip": clip.digest, "points": digest.hexdigest(), "feature": feature}


def square_around(frame: Frame, points: Float) -> tuple[Frame, tuple[int, int]] | None:
    """What MediaPipe is shown of a face: a square around its (68, 2) points, as far as it lies in the frame.

    Returns:
        (h, w, 3) a view of the frame, and x, y of its first pixel; None where less than 2 px lie in the frame.
    """
    low, high = points.min(0), points.max(0)
    centre, half = (low + high) / 2, MARGIN * float((high - low).max()) / 2
    x0, y0 = np.maximum(np.floor(centre - half), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(centre + half) + 1, (frame.shape[1], frame.shape[0])).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    return frame[y0:y1, x0:x1], (int(x0), int(y0))
