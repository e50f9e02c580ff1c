"""What is fixed about a face of one provider: its mean, triangles, and which vertices mean what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float

Index = NDArray[np.intp]
NOSE_TIP = 30
EYES = (range(36, 42), range(42, 48))
LIPS = range(48, 68)
OPENINGS = ((61, 67), (62, 66), (63, 65))
"""Numbers among the 68 points."""


@dataclass(frozen=True, eq=False)
class Topology:
    """Vertices of one provider. Axes: x right, y down, z away from the camera; the eyes' centres are 1 apart."""

    name: str
    mean: Float
    """(L, 3) the canonical mean face."""
    triangles: Index
    """(F, 3)."""
    keypoints: Index
    """(68,) the vertex of each of the 68 points."""
    rigid: Index
    """Vertices that move with the skull; a frame is un-posed by them."""
    lips: Index
    """Vertices whose hull is the mouth."""

    def __post_init__(self) -> None:
        if self.mean.ndim != 2 or self.mean.shape[1] != 3 or not np.isfinite(self.mean).all():
            raise InputError(f"topology {self.name}: mean must be finite (L, 3), not {self.mean.shape}")
        for which in ("triangles", "keypoints", "rigid", "lips"):
            index = getattr(self, which)
            if not index.size or index.min() < 0 or index.max() >= len(self.mean):
                raise InputError(f"topology {self.name}: {which} must name vertices 0..{len(self.mean) - 1}")

    @property
    def count(self) -> int:
        """L."""
        return len(self.mean)

    @cached_property
    def low(self) -> Index:
        """The lower face: vertices below the tip of the nose, and the lips. Ascending."""
        below = self.mean[:, 1] > self.mean[self.keypoints[NOSE_TIP], 1]
        below[self.lips] = True
        return np.flatnonzero(below)

    @cached_property
    def up(self) -> Index:
        """All others."""
        return np.setdiff1d(np.arange(self.count), self.low)

    @cached_property
    def opening_pairs(self) -> Index:
        """(3, 2) vertices of the inner lips that face each other."""
        pairs: Index = self.keypoints[np.array(OPENINGS)]
        return pairs

    @cached_property
    def digest(self) -> str:
        """First 8 hex digits of the sha256 of everything above."""
        held = hashlib.sha256(self.name.encode())
        held.update(np.ascontiguousarray(self.mean, np.float32).tobytes())
        for index in (self.triangles, self.keypoints, self.rigid, self.lips):
            held.update(np.ascontiguousarray(index, np.int64).tobytes())
        return held.hexdigest()[:8]

    def openings(self, vertices: Float) -> Float:
        """(..., L, 3) un-posed -> (...,) mouth opening: mean distance of the inner lips' pairs."""
        pairs = vertices[..., self.opening_pairs, :]
        found: Float = np.linalg.norm(pairs[..., 0, :] - pairs[..., 1, :], axis=-1).mean(-1)
        return found

    def template(self, vertices: Float) -> Float:
        """(T, L, 3) -> (L, 3) the person at rest: the mean of the calmest tenth of the frames (mouth least open)."""
        openings = self.openings(vertices)
        calm = np.argsort(openings, kind="stable")[: max(3, len(openings) // 10)]
        rest: Float = vertices[calm].mean(0)
        return rest


def normalised(mean: Float, keypoints: Index) -> Float:
    """A mean face moved and scaled: the middle between the eyes at 0, their centres 1 apart."""
    left, right = (mean[keypoints[list(eye)]].mean(0) for eye in EYES)
    out: Float = (mean - (left + right) / 2) / np.linalg.norm(right - left)
    return out


RIGID68: Sequence[int] = (*range(27, 36), 36, 39, 42, 45)
"""Nose and eye corners among the 68 points."""


def of_keypoints(name: str, mean: Float, triangles: Index, keypoints: Index) -> Topology:
    """A topology of which only the 68 points' vertices are known: lips and rigid vertices are taken from them."""
    keypoints = np.asarray(keypoints, np.intp)
    if keypoints.shape != (68,):
        raise InputError(f"topology {name}: keypoints must be (68,), not {keypoints.shape}")
    return Topology(
        name,
        normalised(mean, keypoints),
        np.asarray(triangles, np.intp),
        keypoints,
        keypoints[list(RIGID68)],
        keypoints[list(LIPS)],
    )


def from_json(held: Mapping[str, Any]) -> Topology:
    """What `to_json` wrote."""
    index = {k: np.array(held[k], np.intp) for k in ("triangles", "keypoints", "rigid", "lips")}
    return Topology(str(held["name"]), np.array(held["mean"], np.float64), **index)


def to_json(topology: Topology, provenance: str) -> dict[str, Any]:
    """A topology for a file of package data."""
    index = {k: getattr(topology, k).tolist() for k in ("triangles", "keypoints", "rigid", "lips")}
    mean = [[round(x, 5) for x in row] for row in topology.mean.tolist()]
    return {"name": topology.name, "provenance": provenance, "mean": mean, **index}


def shipped(name: str) -> Topology:
    """A topology that comes with the package."""
    text = files("lipsync_eval.baselines.personatalk.geometry").joinpath(f"{name}.json").read_text("utf-8")
    return from_json(json.loads(text))
