"""Provider `bfm`: the Basel face model by Deep3DFaceRecon's network, then eqs 1 and 2. Both files are the user's.

BFM_model_front.mat and the checkpoint come with sicxu/Deep3DFaceRecon_pytorch and have terms of their own (Basel Face Model:
registration, not for commerce). Camera: perspective, focal 1015 px, centre 112 of 224 px, 10 units away, y up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipsync_eval.baselines.personatalk.config import GeometryConfig
from lipsync_eval.baselines.personatalk.geometry.face import Camera, FaceGeometry, filled
from lipsync_eval.baselines.personatalk.geometry.fit import Coefficients, optimise
from lipsync_eval.baselines.personatalk.geometry.topology import EYES, Topology, of_keypoints
from lipsync_eval.errors import MissingWeights, RefusedCheckpoint
from lipsync_eval.types import Clip, Float, Track
from lipsync_eval.warp import apply, invert, render

FOCAL, CENTRE, DISTANCE, SIDE, SCALE = 1015.0, 112.0, 10.0, 224, 102.0
FIVE = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47), (30,), (48,), (54,))
"""Eyes, nose, corners of the mouth among the 68 points: what faces are aligned by."""
BATCH = 16


@dataclass(frozen=True, eq=False)
class Model:
    """What is read of BFM_model_front.mat; y up, z towards the camera, mean at 0."""

    mean: Float
    """(L, 3)."""
    identity: Float
    """(L, 3, 80)."""
    expression: Float
    """(L, 3, 64)."""
    triangles: Any
    keypoints: Any

    @cached_property
    def topology(self) -> Topology:
        """In the axes of all providers: y down, z away."""
        return of_keypoints("bfm", self.mean * (1, -1, -1), self.triangles, self.keypoints)

    @cached_property
    def unit(self) -> float:
        """Distance of the eyes in the model's own unit."""
        left, right = (self.mean[self.keypoints[list(eye)]].mean(0) for eye in EYES)
        return float(np.linalg.norm(right - left))

    @cached_property
    def origin(self) -> Float:
        """(3,) the middle between the eyes, in the model's own axes."""
        left, right = (self.mean[self.keypoints[list(eye)]].mean(0) for eye in EYES)
        middle: Float = (left + right) / 2
        return middle

    @cached_property
    def bases68(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean (68, 3), identity (68, 3, 80) and expression (68, 3, 64) of the 68 points, float32."""
        parts = (self.mean, self.identity, self.expression)
        mean, identity, expression = (torch.tensor(x[self.keypoints], dtype=torch.float32) for x in parts)
        return mean, identity, expression

    def vertices(self, alpha: Float, beta: Float) -> Float:
        """(T, 80), (T, 64) -> (T, L, 3) in the topology's axes and unit."""
        moved = self.mean + np.einsum("lka,ta->tlk", self.identity, alpha) + np.einsum(
            "lkb,tb->tlk", self.expression, beta
        )  # fmt: skip
        out: Float = (moved - self.origin) * (1, -1, -1) / self.unit
        return out


def read_model(path: Path) -> Model:
    """Read the .mat file (plain numbers; nothing in it is run).

    Raises:
        RefusedCheckpoint: it does not hold what is needed.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        held = loadmat(path, variable_names=["meanshape", "idBase", "exBase", "tri", "keypoints"])
        mean = np.asarray(held["meanshape"], np.float64).reshape(-1, 3)
        identity = np.asarray(held["idBase"], np.float64).reshape(len(mean), 3, -1)
        expression = np.asarray(held["exBase"], np.float64).reshape(len(mean), 3, -1)
        triangles = np.asarray(held["tri"], np.intp).reshape(-1, 3) - 1
        keypoints = np.asarray(held["keypoints"], np.intp).reshape(-1) - 1
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError, MatReadError) as error:
        raise RefusedCheckpoint(
            f"{path} is no BFM_model_front.mat ({error!r}): it should hold meanshape, idBase, exBase, tri, keypoints"
        ) from error
    if identity.shape[2] != 80 or expression.shape[2] != 64 or keypoints.shape != (68,):
        raise RefusedCheckpoint(
            f"{path}: 80 shapes, 64 expressions and 68 keypoints are expected, not {identity.shape[2]}, "
            f"{expression.shape[2]}, {keypoints.size}"
        )
    return Model(mean - mean.mean(0), identity, expression, triangles, keypoints)


def rotations(angles: Tensor) -> Tensor:
    """(T, 3) rad about x, y, z -> (T, 3, 3): Rz Ry Rx."""
    (sx, sy, sz), (cx, cy, cz) = angles.sin().unbind(1), angles.cos().unbind(1)
    one, zero = torch.ones_like(sx), torch.zeros_like(sx)

    def matrix(*rows: Tensor) -> Tensor:
        """Nine (T,) numbers, row by row -> (T, 3, 3)."""
        return torch.stack(rows, 1).reshape(-1, 3, 3)

    rx = matrix(one, zero, zero, zero, cx, -sx, zero, sx, cx)
    ry = matrix(cy, zero, sy, zero, one, zero, -sy, zero, cy)
    rz = matrix(cz, -sz, zero, sz, cz, zero, zero, zero, one)
    return rz @ ry @ rx


def project(points: Tensor, pose: Tensor) -> Tensor:
    """(T, K, 3) in the model's axes, (T, 6) angles and translation -> (T, K, 2) px of the 224-px image, y down."""
    moved = points @ rotations(pose[:, :3]).transpose(1, 2) + pose[:, None, 3:]
    depth = DISTANCE - moved[..., 2]
    x = FOCAL * moved[..., 0] / depth + CENTRE
    y = FOCAL * moved[..., 1] / depth + CENTRE
    return torch.stack([x, SIDE - 1 - y], -1)


def alignment(points: Float, five: Float) -> Float:
    """(T, 68, 2) px -> (T, 2, 3), frame px -> px of the 224-px image: scale and shift of the five points.

    The scale is that of the best affine map of the model's five points onto the image's (as Deep3DFaceRecon's POS); one
    unit of the model becomes 102 px.
    """
    there = np.stack([points[:, list(which)].mean(1) for which in FIVE], axis=1)
    basis = np.concatenate([five, np.ones((5, 1))], axis=1)
    solved = np.linalg.pinv(basis) @ (there * (1, -1))
    rows = np.linalg.norm(solved[:, :3], axis=1)  # (T, 2): px of the image per unit of the model
    factor = SCALE / rows.mean(1)
    middle = np.stack([solved[:, 3, 0], -solved[:, 3, 1]], axis=1)
    out = np.zeros((len(points), 2, 3))
    out[:, 0, 0] = out[:, 1, 1] = factor
    out[:, :, 2] = CENTRE - factor[:, None] * middle
    return out


@dataclass(frozen=True, eq=False)
class BFM:
    """The network's coefficients, tuned over the whole clip."""

    model: Model
    network: Any
    """resnet50.Regressor; None: opened for the topology alone."""
    tuned: bool = True

    @property
    def topology(self) -> Topology:
        """See Provider."""
        return self.model.topology

    @property
    def description(self) -> str:
        """See Provider."""
        return f"bfm {self.topology.digest}, fit 1{', eqs 1 and 2' if self.tuned else ''}"

    def fit(self, clip: Clip, track: Track) -> FaceGeometry:
        """See Provider. The perspective is replaced by the weak perspective nearest to it for every frame."""
        valid = track.valid
        points = filled(np.where(valid[:, None, None], track.points, 0.0), valid)
        five = np.stack([self.model.mean[self.model.keypoints[list(which)]].mean(0) for which in FIVE])
        maps = alignment(points, five)
        numbers = torch.tensor(filled(self._regress(clip, valid, maps), valid), dtype=torch.float32)
        start = Coefficients(numbers[:, :80], numbers[:, 80:144], torch.cat([numbers[:, 224:227], numbers[:, 254:]], 1))
        if self.tuned:
            start = optimise(start, torch.tensor(apply(maps, points), dtype=torch.float32), self._keypoints)
        else:
            start = start._replace(alpha=start.alpha.mean(0, keepdim=True).expand_as(start.alpha))
        alpha, beta, pose = (x.double().numpy() for x in start)
        vertices = self.model.vertices(alpha, beta)
        template = self.model.vertices(alpha[:1], np.zeros_like(beta[:1]))[0]
        camera = self._camera(pose).seen_through(invert(maps))
        return FaceGeometry(template, vertices, camera, valid, "bfm", self.topology.digest)

    def _keypoints(self, c: Coefficients) -> Tensor:
        """(T, 68, 2) px in the 224-px image."""
        mean, identity, expression = self.model.bases68
        shape = mean + torch.einsum("lka,ta->tlk", identity, c.alpha) + torch.einsum("lkb,tb->tlk", expression, c.beta)
        return project(shape, c.pose)

    def _camera(self, pose: Float) -> Camera:
        """Weak perspective around the middle between the eyes."""
        turn = rotations(torch.tensor(pose[:, :3])).numpy()
        middle = np.einsum("tij,j->ti", turn, self.model.origin) + pose[:, 3:]
        scale = FOCAL / (DISTANCE - middle[:, 2])
        flip = np.diag([1.0, -1.0, -1.0])
        shift = np.stack([scale * middle[:, 0] + CENTRE, SIDE - 1 - (scale * middle[:, 1] + CENTRE)], 1)
        return Camera(scale * self.model.unit, flip @ turn @ flip, shift)

    def _regress(self, clip: Clip, valid: Any, maps: Float) -> Float:
        """(T, 257); rows of frames without a face are 0."""
        found = np.zeros((len(valid), 257))
        waiting: list[tuple[int, Tensor]] = []

        def flush() -> None:
            """Put the waiting crops through the network."""
            if waiting:
                with torch.inference_mode():
                    out = self.network(torch.stack([x for _, x in waiting]))
                found[[i for i, _ in waiting]] = out.double().numpy()
                waiting.clear()

        for i, frame in enumerate(clip.frames()):
            if valid[i]:
                crop = render(frame, maps[i], (SIDE, SIDE))
                waiting.append((i, torch.from_numpy(crop).permute(2, 0, 1).float() / 255))
                if len(waiting) == BATCH:
                    flush()
        flush()
        return found


def open_bfm(config: GeometryConfig, topology_only: bool = False) -> BFM:
    """See `open_provider`."""
    from lipsync_eval.baselines.personatalk.geometry.resnet50 import load

    needed = {"bfm_model": "BFM_model_front.mat"}
    if not topology_only:
        needed["bfm_network"] = "the ResNet-50 checkpoint (epoch_20.pth)"
    for key, what in needed.items():
        path = getattr(config, key)
        if path is None or not path.is_file():
            raise MissingWeights(
                f"the geometry provider `bfm` needs {what} of sicxu/Deep3DFaceRecon_pytorch, which has to be asked for "
                f"(Basel Face Model 2009, not for commerce); give --{key.replace('_', '-')} FILE, in training --set geometry.{key}=FILE"
                + (f" (there is no {path})" if path else "")
            )
    if config.bfm_model is None or (config.bfm_network is None and not topology_only):
        raise MissingWeights("the geometry provider `bfm` needs its files")
    network = None if topology_only or config.bfm_network is None else load(config.bfm_network)
    return BFM(read_model(config.bfm_model), network, config.smooth)
