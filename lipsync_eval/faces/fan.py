"""FAN through the package face-alignment, with the S3FD detector it uses by default. Optional; not a dependency.

Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?", ICCV 2017. The weights are
files of this package's registry; nothing is downloaded by face-alignment itself.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.faces.base import Detector, Face, Landmarker
from lipsync_eval.types import Float, Frame

WEAKEST: Final = 0.5
"""face-alignment's own threshold of S3FD scores."""


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().split("\n")[0]
        raise RefusedCheckpoint(f"{path} is refused: no weights that face-alignment reads ({reason})") from error


class Fan(Landmarker):
    """2DFAN-4 on one face; points are the maxima of heat maps of 64x64, also of the mirrored frame."""

    def __init__(self, path: Path, detector: str = "s3fd", device: str = "cpu") -> None:
        """path: 2DFAN4-11f355bf06.pth.tar. Boxes are taken as they are, as face-alignment does."""
        import face_alignment

        class Local(face_alignment.FaceAlignment):  # type: ignore[misc]
            """With the weights of `path`."""

            def _load_native(self, network_name: str, network_size: int, device: str, dtype: Any) -> Any:
                import torch
                from face_alignment.models import FAN

                net = FAN(network_size)
                net.load_state_dict(torch.load(path, map_location=device, weights_only=True))
                return net.to(device, dtype=dtype).eval()

        kind = face_alignment.LandmarksType.TWO_D
        with _refusing(path):  # 'folder' is the one detector that needs no weights; it is never asked
            self._fan = Local(kind, device=device, face_detector="folder", compile=False)

    def points(self, frame: Frame, box: Float) -> Float | None:
        """(68, 2) px."""
        found = self._fan.get_landmarks_from_image(frame, detected_faces=[box])
        return np.asarray(found[0], np.float64) if found else None


class S3fd(Detector):
    """S3FD as face-alignment runs it: the whole frame at its own size."""

    stride = 8
    sure = 0.8

    def __init__(self, path: Path, device: str = "cpu") -> None:
        """path: s3fd-619a316812.pth."""
        from face_alignment.detection.sfd import FaceDetector

        with _refusing(path):
            self._net = FaceDetector(device=device, path_to_detector=str(path), filter_threshold=WEAKEST)

    def detect(self, frame: Frame) -> list[Face]:
        """Faces with a score above WEAKEST, strongest first."""
        rows = [np.asarray(row, np.float64) for row in self._net.detect_from_image(frame.copy())]
        return [Face(row[:4], float(row[4])) for row in sorted(rows, key=lambda row: -row[4])]
