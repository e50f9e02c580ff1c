"""The face of one clip as vertices: un-posed, with the camera of every frame. Its file is what `stylesim_vertices` reads."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.personatalk.geometry.topology import Topology
from lipsync_eval.errors import FaceError, InputError, ParseError
from lipsync_eval.files import atomic
from lipsync_eval.types import Float

SUFFIX = ".vertices.npz"


@dataclass(frozen=True, eq=False)
class Camera:
    """Weak perspective, one row a frame: image = (scale R v)[:2] + translation, px; depth = (scale R v)[2]."""

    scale: Float
    """(T,) px per distance of the eyes."""
    rotation: Float
    """(T, 3, 3)."""
    translation: Float
    """(T, 2) px."""

    def pose(self, vertices: Float) -> Float:
        """(T, L, 3) un-posed -> (T, L, 3): x, y px, and depth in px, larger is farther away."""
        posed: Float = self.scale[:, None, None] * np.einsum("tij,tlj->tli", self.rotation, vertices)
        posed[:, :, :2] += self.translation[:, None, :]
        return posed

    def seen_through(self, matrices: Float) -> Camera:
        """The camera into a crop.

        Args:
            matrices: (T, 2, 3) similarities without mirroring, frame px -> crop px.
        """
        a, b = matrices[:, 0, 0], matrices[:, 1, 0]
        factor = np.hypot(a, b)
        turn = np.zeros((len(matrices), 3, 3))
        turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = a / factor, -b / factor, b / factor, a / factor
        turn[:, 2, 2] = 1
        moved = np.einsum("tij,tj->ti", matrices[:, :, :2], self.translation) + matrices[:, :, 2]
        return Camera(self.scale * factor, turn @ self.rotation, moved)

    def resized(self, stored: int, size: int) -> Camera:
        """The camera into the same crop at another size (pixel centres agree)."""
        ratio = size / stored
        return Camera(self.scale * ratio, self.rotation, (self.translation + 0.5) * ratio - 0.5)

    def rows(self) -> NDArray[np.float32]:
        """(T, 12): scale, rotation row by row, translation."""
        flat = [self.scale[:, None], self.rotation.reshape(-1, 9), self.translation]
        return np.concatenate(flat, axis=1).astype(np.float32)

    def part(self, index: Any) -> Camera:
        """Some of the frames."""
        return Camera(self.scale[index], self.rotation[index], self.translation[index])


def camera_of(rows: NDArray[np.floating]) -> Camera:
    """The inverse of `Camera.rows`."""
    rows64: Float = rows.astype(np.float64)
    return Camera(rows64[:, 0], rows64[:, 1:10].reshape(-1, 3, 3), rows64[:, 10:12])


@dataclass(frozen=True, eq=False)
class FaceGeometry:
    """One face through one clip. Frames without it are filled from their neighbours; `valid` tells them."""

    template: Float
    """(L, 3) the person at rest."""
    vertices: Float
    """(T, L, 3) with expression, without pose; unit: distance of the eyes of the mean face."""
    camera: Camera
    """Into the frames of the clip."""
    valid: NDArray[np.bool_]
    """(T,) frames in which the face was seen."""
    provider: str
    topology: str
    """Digest of the topology."""

    def expression(self, mean: Float) -> Float:
        """(T, L, 3) the mean face with this person's expression: {0, beta, 0} of the paper."""
        return mean + (self.vertices - self.template)

    def with_lower(self, low: NDArray[np.intp], displacement: Float) -> FaceGeometry:
        """The lower face replaced by template + displacement (T, |low|, 3); all other vertices and the pose stay."""
        moved = self.vertices.copy()
        moved[:, low] = self.template[low] + displacement
        return replace(self, vertices=moved)

    def save(self, path: Path) -> None:
        """Write one .npz of plain arrays, whole or not at all."""
        arrays: dict[str, NDArray[Any]] = {
            "template": self.template.astype(np.float32),
            "vertices": self.vertices.astype(np.float32),
            "scale": self.camera.scale,
            "rotation": self.camera.rotation,
            "translation": self.camera.translation,
            "valid": self.valid,
            "provider": np.array(self.provider),
            "topology": np.array(self.topology),
        }
        with atomic(path) as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def load_geometry(path: Path, topology: Topology | None = None) -> FaceGeometry:
    """Read what `FaceGeometry.save` wrote.

    Args:
        path: a .vertices.npz.
        topology: refuse vertices of another one.

    Raises:
        ParseError: it is no such file, or of another topology.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            held: Mapping[str, Any] = {name: file[name] for name in file.files}
        camera = Camera(*(held[k].astype(np.float64) for k in ("scale", "rotation", "translation")))
        template, vertices = held["template"].astype(np.float64), held["vertices"].astype(np.float64)
        found = FaceGeometry(
            template, vertices, camera, held["valid"].astype(bool), str(held["provider"]), str(held["topology"])
        )
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ParseError(
            f"{path} is no geometry of `personatalk fit` ({error}); make it with `lipsync-eval personatalk fit`"
        ) from error
    count = len(found.vertices)
    shapes = (vertices.shape[1:], camera.scale.shape, camera.rotation.shape, camera.translation.shape)
    if shapes != (template.shape, (count,), (count, 3, 3), (count, 2)) or found.valid.shape != (count,):
        raise ParseError(f"{path} is damaged: its arrays do not belong together; fit the clip again")
    if not all(np.isfinite(x).all() for x in (template, vertices, camera.scale, camera.rotation, camera.translation)):
        raise ParseError(f"{path} is damaged: it holds numbers that are not finite; fit the clip again")
    if topology is not None and found.topology != topology.digest:
        raise ParseError(
            f"{path} has vertices of {found.provider} ({found.topology}), {topology.name} ({topology.digest}) is needed; "
            "fit the clip again with that provider"
        )
    return found


def unpose(points: Float, mean: Float, rigid: NDArray[np.intp]) -> tuple[Float, Camera]:
    """Take position, size and rotation out of vertices (similarity with scale, Umeyama 1991, on the rigid ones).

    Args:
        points: (T, L, 3) x, y px, z in the same scale.
        mean: (L, 3) canonical.
        rigid: vertices that move with the skull.

    Returns:
        (T, L, 3) un-posed vertices and the camera that puts them back (but for a constant depth).
    """
    if points.ndim != 3 or points.shape[1:] != mean.shape:
        raise InputError(f"vertices must be (T, {len(mean)}, 3), not {points.shape}")
    target = mean[rigid]
    there, here = target.mean(0), points[:, rigid].mean(1)
    spread = points[:, rigid] - here[:, None]
    cross = np.einsum("tki,kj->tij", spread, target - there) / len(rigid)
    u, s, vt = np.linalg.svd(cross)
    sign = np.ones_like(s)
    sign[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = (u * sign[:, None, :]) @ vt
    variance = ((target - there) ** 2).sum() / len(rigid)
    scale = (s * sign).sum(1) / variance
    shift = here - scale[:, None] * np.einsum("tij,j->ti", rotation, there)
    back: Float = np.einsum("tji,tlj->tli", rotation, points - shift[:, None]) / scale[:, None, None]
    return back, Camera(scale, rotation, shift[:, :2])


def filled(found: Float, valid: NDArray[np.bool_]) -> Float:
    """(T, ...) with rows of frames that are not valid interpolated from the nearest valid ones.

    Raises:
        FaceError: none is valid.
    """
    if not valid.any():
        raise FaceError("no frame shows a face that the geometry could be fitted to")
    known = np.flatnonzero(valid)
    at = np.arange(len(valid))
    flat = found.reshape(len(found), -1)
    right = np.clip(np.searchsorted(known, at), 0, len(known) - 1)
    left = np.clip(np.searchsorted(known, at, side="right") - 1, 0, len(known) - 1)
    a, b = known[left], known[right]
    share = np.where(b > a, (at - a) / np.maximum(b - a, 1), 0.0)[:, None]
    out: Float = ((1 - share) * flat[a] + share * flat[b]).reshape(found.shape)
    return out
