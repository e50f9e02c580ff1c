"""Provider `flame`: coefficients that the user made with a FLAME tracker, beside each clip, and the user's FLAME.

`<stem>.flame.npz` beside the clip: exp (T, 50), pose (T, 6) axis-angle of the head and the jaw (as `stylesim_diffposetalk` reads),
shape (S,) or (T, S), scale (T,) and translation (T, 2) of the weak-perspective camera into the frame: x = scale X + tx,
y = ty - scale Y, px. FLAME itself is an .npz of plain arrays: v_template (L, 3), shapedirs (L, 3, 400), faces (F, 3),
jaw (3,) the joint's place, jaw_weights (L,) how much a vertex follows it, landmarks (68,) vertices of the 68 points.
Corrective shapes of the jaw (posedirs) are left out. y is up, z towards the camera.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lipsync_eval.baselines.personatalk.config import GeometryConfig
from lipsync_eval.baselines.personatalk.geometry.face import Camera, FaceGeometry
from lipsync_eval.baselines.personatalk.geometry.topology import EYES, Topology, of_keypoints
from lipsync_eval.errors import FaceError, MissingWeights, RefusedCheckpoint
from lipsync_eval.types import Clip, Float, Track

SHAPES, EXPRESSIONS = 300, 50
FLIP = np.array([1.0, -1.0, -1.0])


@dataclass(frozen=True, eq=False)
class Flame:
    """FLAME with the user's coefficients."""

    template: Float
    directions: Float
    faces: Float
    jaw: Float
    jaw_weights: Float
    landmarks: Float

    @cached_property
    def topology(self) -> Topology:
        """See Provider."""
        keypoints = self.landmarks.astype(np.intp)
        return of_keypoints("flame", self.template * FLIP, self.faces.astype(np.intp), keypoints)

    @property
    def description(self) -> str:
        """See Provider."""
        return f"flame {self.topology.digest}, coefficients of <stem>.flame.npz"

    def fit(self, clip: Clip, track: Track) -> FaceGeometry:
        """See Provider. No frame is read.

        Raises:
            FaceError: coefficients are missing or not one row a frame.
        """
        from lipsync_eval.features.style.files import FLAME, beside, read_arrays, read_flame

        path, count = beside(clip.path, FLAME), clip.n_frames
        flame = read_flame(path, count)
        array = read_arrays(path, "exp, pose, shape, scale (T,), translation (T, 2)")
        shape, scale, shift = array("shape"), array("scale"), array("translation")
        shape = shape.reshape(-1, shape.shape[-1]).mean(0)
        if len(shape) > SHAPES or scale.shape != (count,) or shift.shape != (count, 2):
            raise FaceError(
                f"{path.name} should hold shape (S <= {SHAPES}), scale ({count},) and translation ({count}, 2); it holds "
                f"{shape.shape}, {scale.shape}, {shift.shape}"
            )
        rest = self.template + self.directions[:, :, : len(shape)] @ shape
        moving = self.directions[:, :, SHAPES : SHAPES + EXPRESSIONS]
        open_ = rest + np.einsum("lkb,tb->tlk", moving, flame.exp)
        turned = np.einsum("tij,tlj->tli", rotations(flame.pose[:, 3:]), open_ - self.jaw) + self.jaw
        share = self.jaw_weights[:, None]
        vertices = ((1 - share) * open_ + share * turned - self.origin) * FLIP / self.unit
        head, flip = rotations(flame.pose[:, :3]), np.diag(FLIP)
        placed = np.einsum("tij,j->ti", head, self.origin)[:, :2] * scale[:, None] * (1, -1) + shift
        camera = Camera(scale * self.unit, flip @ head @ flip, placed)
        template = (rest - self.origin) * FLIP / self.unit
        return FaceGeometry(template, vertices, camera, np.ones(count, bool), "flame", self.topology.digest)

    @cached_property
    def _eyes(self) -> tuple[Float, Float]:
        points = self.template[self.landmarks.astype(np.intp)]
        return points[list(EYES[0])].mean(0), points[list(EYES[1])].mean(0)

    @property
    def origin(self) -> Float:
        """(3,) the middle between the eyes."""
        middle: Float = (self._eyes[0] + self._eyes[1]) / 2
        return middle

    @property
    def unit(self) -> float:
        """Distance of the eyes."""
        return float(np.linalg.norm(self._eyes[1] - self._eyes[0]))


def rotations(vectors: Float) -> Float:
    """(T, 3) axis-angle, rad -> (T, 3, 3) (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=1)
    axis = vectors / np.maximum(angle, 1e-12)[:, None]
    cross = np.zeros((len(vectors), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    cross -= cross.transpose(0, 2, 1)
    sin, cos = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    out: Float = np.eye(3) + sin * cross + (1 - cos) * (cross @ cross)
    return out


def open_flame(config: GeometryConfig) -> Flame:
    """See `open_provider`."""
    path = config.flame_model
    if path is None or not path.is_file():
        raise MissingWeights(
            "the geometry provider `flame` needs FLAME as an .npz of plain arrays (docs/personatalk-generator.md says which), made from "
            "the model of flame.is.tue.mpg.de, which has to be registered for; give --flame-model FILE, in training --set "
            f"geometry.flame_model=FILE{f' (there is no {path})' if path else ''}"
        )
    return read_model(path)


def read_model(path: Path) -> Flame:
    """Read the .npz.

    Raises:
        RefusedCheckpoint: it does not hold what is needed.
    """
    names = ("v_template", "shapedirs", "faces", "jaw", "jaw_weights", "landmarks")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = [file[name].astype(np.float64) for name in names]
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise RefusedCheckpoint(
            f"{path} is no FLAME of plain arrays ({error}): it should hold {', '.join(names)}"
        ) from error
    count = len(arrays[0])
    shapes = [x.shape for x in arrays]
    if (
        shapes[1][:2] != (count, 3)
        or shapes[1][2] < SHAPES + EXPRESSIONS
        or shapes[4] != (count,)
        or shapes[5] != (68,)
    ):
        raise RefusedCheckpoint(
            f"{path}: arrays of FLAME do not belong together: {dict(zip(names, shapes, strict=True))}"
        )
    return Flame(*arrays)
