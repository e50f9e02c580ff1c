"""MediaPipe's FaceLandmarker: 478 points of a face mesh, of which 68 are taken. Optional; its package is not a dependency.

Every frame is looked at alone (image mode): no smoothing over time, so what happens in one does not move another.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from lipsync_eval.errors import WeightsError
from lipsync_eval.faces.base import MAX_FACES, Detector, Face, Landmarker
from lipsync_eval.faces.points import face_square
from lipsync_eval.types import Float, Frame

MESH_TO_68: Final = (
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 6, 195, 4, 240, 97, 2, 326, 460,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # outer lip
    78, 82, 13, 312, 308, 317, 14, 87,  # inner lip
)  # fmt: skip
"""Mesh vertex of each of the 68 points: the nearest one in the mean on 15 frontal clips that keeps left and right alike.
Mean distance from dlib's points on these clips, in px at 256: all 4.3, mouth 2.6, jaw 7.3."""
AROUND: Final = 1.0
"""Half the side of the square that is looked at, in sides of the detector's box."""


class FaceMesh(Landmarker):
    """68 points of the face in a box."""

    def __init__(self, path: Path, detector: str = "mediapipe") -> None:
        """path: face_landmarker.task. Boxes of any detector are taken: they only say where to look."""
        self._mesh = _Landmarker(path, 1)

    def points(self, frame: Frame, box: Float) -> Float | None:
        """(68, 2) px, or None where MediaPipe sees no face round the box."""
        middle, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).mean())
        size = np.array([frame.shape[1], frame.shape[0]])
        low = np.clip(np.floor(middle - AROUND * side).astype(int), 0, size - 1)
        high = np.clip(np.ceil(middle + AROUND * side).astype(int) + 1, low + 1, size)
        meshes = self._mesh(frame[low[1] : high[1], low[0] : high[0]])
        return meshes[0][list(MESH_TO_68)] + low if meshes else None

    def close(self) -> None:
        """Free what MediaPipe holds: its own destructor fails once the interpreter is going down."""
        self._mesh.close()


class MeshDetector(Detector):
    """Squares on the meshes of the whole frame, in HOG's framing. MediaPipe hands out no score: a face it reports is a sure one."""

    stride = 8
    sure = 0.5

    def __init__(self, path: Path) -> None:
        """path: face_landmarker.task."""
        self._mesh = _Landmarker(path, 2 * MAX_FACES)

    def detect(self, frame: Frame) -> list[Face]:
        """Faces with MediaPipe's own thresholds (0.5); the score is NaN."""
        return [Face(face_square(mesh[list(MESH_TO_68)]), float("nan")) for mesh in self._mesh(frame)]

    def close(self) -> None:
        """Free what MediaPipe holds."""
        self._mesh.close()


class Mesh3D:
    """The mesh of one face with its depth, for whoever fits geometry."""

    def __init__(self, path: Path) -> None:
        """path: face_landmarker.task."""
        self._mesh = _Landmarker(path, 1)

    def __call__(self, frame: Frame) -> Float | None:
        """(478, 3): x, y px in the frame, z in the same scale, larger is farther away; None where there is no face."""
        meshes = self._mesh.in_space(frame)
        return meshes[0] if meshes else None

    def close(self) -> None:
        """Free what MediaPipe holds."""
        self._mesh.close()


class _Landmarker:
    """A frame -> meshes (478, 2) in its pixels."""

    def __init__(self, path: Path, n: int) -> None:
        os.environ.setdefault("GLOG_minloglevel", "2")  # its C++ side writes notices to stderr
        import mediapipe
        from mediapipe.tasks import python as tasks

        base = tasks.BaseOptions(model_asset_buffer=path.read_bytes(), delegate=tasks.BaseOptions.Delegate.CPU)
        mode = tasks.vision.RunningMode.IMAGE
        options = tasks.vision.FaceLandmarkerOptions(base_options=base, running_mode=mode, num_faces=n)
        try:
            landmarker = tasks.vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise WeightsError(f"{path} is no face_landmarker.task that mediapipe reads: {error}") from error
        self._mediapipe: Any = mediapipe
        self._landmarker = landmarker
        self.close = landmarker.close

    def __call__(self, frame: Frame) -> list[Float]:
        return [mesh[:, :2] for mesh in self.in_space(frame)]

    def in_space(self, frame: Frame) -> list[Float]:
        """Meshes (478, 3); z is in px, as x."""
        height, width = frame.shape[:2]
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
        found = self._landmarker.detect(image).face_landmarks
        return [np.array([(p.x * width - 0.5, p.y * height - 0.5, p.z * width) for p in mesh]) for mesh in found]
