"""Provider `mediapipe`: the 468 vertices of MediaPipe's FaceLandmarker. Needs no gated file; mediapipe is optional."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipsync_eval.baselines.personatalk.geometry.face import FaceGeometry, filled, unpose
from lipsync_eval.baselines.personatalk.geometry.smoothing import smooth_camera, smooth_runs
from lipsync_eval.baselines.personatalk.geometry.topology import Topology, shipped
from lipsync_eval.errors import MissingWeights
from lipsync_eval.types import Clip, Float, Frame, Settings, Track

if TYPE_CHECKING:
    from lipsync_eval.faces.mediapipe import Mesh3D

COUNT = 468
"""Vertices; the irises' ten are left out."""
RIGID = (10, 151, 9, 8, 168, 6, 197, 195, 5, 33, 133, 362, 263, 127, 356)
"""Forehead, bridge of the nose, corners of the eyes, temples."""
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip
"""Outer and inner lip, in MediaPipe's numbers."""


@lru_cache
def topology() -> Topology:
    """The shipped mean face."""
    return shipped("mediapipe")


@dataclass(frozen=True)
class MediaPipe:
    """FaceLandmarker on every frame alone, un-posed, smoothed over time."""

    landmarker: Path | None = None
    """face_landmarker.task; None: where `lipsync-eval weights` keeps it."""
    smooth: bool = True
    topology_only: bool = False

    def __post_init__(self) -> None:
        from lipsync_eval.features.blendshapes import INSTALL, ROW, installed
        from lipsync_eval.weights import locate

        if self.topology_only:
            return
        if not installed():
            raise MissingWeights(
                "the geometry provider `mediapipe` needs the package mediapipe, which is not installed here; run:\n"
                f"{INSTALL}\nor choose another provider with --provider (points68 needs nothing, and is for tests)"
            )
        if self.landmarker is None:
            object.__setattr__(self, "landmarker", locate(Settings(), ROW).path)
        elif not self.landmarker.is_file():
            raise MissingWeights(f"there is no {self.landmarker}; give face_landmarker.task, or leave the setting out")

    @cached_property
    def topology(self) -> Topology:
        """468 vertices."""
        return topology()

    @property
    def description(self) -> str:
        """See Provider."""
        return f"mediapipe {self.topology.digest}, fit 1{', smoothed' if self.smooth else ''}"

    def fit(self, clip: Clip, track: Track) -> FaceGeometry:
        """See Provider."""
        from lipsync_eval.faces.mediapipe import Mesh3D

        if self.landmarker is None:
            raise MissingWeights("this provider was opened for its topology alone")
        found = np.zeros((clip.n_frames, COUNT, 3))
        valid = np.zeros(clip.n_frames, bool)
        mesh = Mesh3D(self.landmarker)
        try:
            for i, frame in enumerate(clip.frames()):
                points = self._vertices(mesh, frame, track.points[i]) if track.valid[i] else None
                if points is not None:
                    found[i], valid[i] = points, True
        finally:
            mesh.close()
        vertices, camera = unpose(filled(found, valid), self.topology.mean, self.topology.rigid)
        if self.smooth:
            vertices, camera = smooth_runs(vertices, valid), smooth_camera(camera, valid)
        rest = self.topology.template(vertices[valid])
        return FaceGeometry(rest, vertices, camera, valid, "mediapipe", self.topology.digest)

    @staticmethod
    def _vertices(mesh: Mesh3D, frame: Frame, points: Float) -> Float | None:
        """(468, 3) px in the frame of the face around the 68 points; None where MediaPipe sees none."""
        from lipsync_eval.features.blendshapes import square_around

        square = square_around(frame, points)
        if square is None:
            return None
        part, (x, y) = square
        found = mesh(part)
        return None if found is None else found[:COUNT] + np.array([x, y, 0])
