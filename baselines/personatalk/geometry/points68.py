"""Provider `points68`: the 68 points as a flat face. For tests: it needs no file and no package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from lipsync_eval.baselines.personatalk.geometry.face import Camera, FaceGeometry, filled
from lipsync_eval.baselines.personatalk.geometry.smoothing import smooth_camera, smooth_runs
from lipsync_eval.baselines.personatalk.geometry.topology import RIGID68, Topology, of_keypoints
from lipsync_eval.types import Clip, Track


@lru_cache
def topology() -> Topology:
    """The mean face of the style constants, with its Delaunay triangles."""
    from scipy.spatial import Delaunay

    from lipsync_eval.features.style.constants import shipped

    pose = shipped("points68").pose
    if pose is None:
        raise ValueError("the shipped constants of points68 have no pose model")
    mean = np.concatenate([pose.mean_face, np.zeros((68, 1))], axis=1)
    triangles = np.sort(Delaunay(pose.mean_face).simplices, axis=1)
    return of_keypoints("points68", mean, triangles[np.lexsort(triangles.T[::-1])], np.arange(68))


@dataclass(frozen=True)
class Points68:
    """The track's own points; a similarity in the image (no yaw, no pitch) un-poses them."""

    smooth: bool = True

    @cached_property
    def topology(self) -> Topology:
        """68 vertices with z = 0."""
        return topology()

    @property
    def description(self) -> str:
        """See Provider."""
        return f"points68 {self.topology.digest}, fit 1{', smoothed' if self.smooth else ''}"

    def fit(self, clip: Clip, track: Track) -> FaceGeometry:
        """See Provider. No frame is read."""
        valid = track.valid
        found = filled(np.where(valid[:, None, None], track.points, 0.0), valid)
        z, target = found @ (1, 1j), self.topology.mean[:, :2] @ (1, 1j)
        rigid = list(RIGID68)
        there = target[rigid].mean()
        here = z[:, rigid].mean(1, keepdims=True)
        spread = target[rigid] - there
        turn = ((z[:, rigid] - here) @ np.conj(spread) / (np.abs(spread) ** 2).sum())[:, None]  # mean face -> frame
        shift = here - turn * there
        flat = (z - shift) / turn
        vertices = np.stack([flat.real, flat.imag, np.zeros(flat.shape)], axis=2)
        angle, zero, one = np.angle(turn[:, 0]), np.zeros(len(z)), np.ones(len(z))
        cos, sin = np.cos(angle), np.sin(angle)
        rotation = np.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], axis=1).reshape(-1, 3, 3)
        moved = np.concatenate([shift.real, shift.imag], axis=1)
        camera = Camera(np.abs(turn[:, 0]), rotation, moved)
        if self.smooth:
            vertices, camera = smooth_runs(vertices, valid), smooth_camera(camera, valid)
        rest = self.topology.template(vertices[valid])
        return FaceGeometry(rest, vertices, camera, valid, "points68", self.topology.digest)
