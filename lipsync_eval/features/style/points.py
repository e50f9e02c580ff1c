"""Expression from 68 points: head pose and the person's own face taken out, so that what moves is left.

Ours; the idea (style = statistics of expression) is PersonaTalk's (Zhang et al., SIGGRAPH Asia 2024), where a 3D face model
separates shape, expression and pose. From 2D points that separation is approximate:

1. Position, size and roll: a similarity puts the rigid points (nose, eye corners) of every frame on those of a mean face
   whose eyes are 1 apart.
2. Yaw and pitch: what is then left of the rigid points' movement is the head turning. A linear map, learned on other
   speakers, says how it moves mouth and chin; that share is taken away.
3. A light smoothing over time (1 4 6 4 1)/16 against the landmarks' jitter.
4. The person: the mean of the calmest tenth of the frames (mouth least open) is taken as the resting face, and
   subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float

RIGID: Final = (*range(27, 36), 36, 39, 42, 45)
"""Nose and eye corners: they move with the skull."""
MOVING: Final = (*range(5, 12), *range(48, 68))
"""Chin and mouth: 27 points."""
DIM: Final = 2 * len(MOVING)
COMPONENTS: Final = 3
"""Ways in which the rigid points move when the head turns (two turns, and what perspective adds)."""
_CALM: Final = 10
"""The calmest 1/10 of the frames are the resting face."""
_KERNEL: Final = np.array([1, 4, 6, 4, 1]) / 16


@dataclass(frozen=True, slots=True)
class PoseModel:
    """What is known about faces in general: learned on speakers, kept with the style constants."""

    mean_face: Float
    """(68, 2), eyes 1 apart, x right, y down."""
    basis: Float
    """(COMPONENTS, 2 * len(RIGID)) orthonormal: how rigid points move when the head turns."""
    response: Float
    """(COMPONENTS, DIM): how mouth and chin move along."""


def expression(points: Float, index: NDArray[np.intp], model: PoseModel) -> Float:
    """Mouth and chin relative to the resting face, without head pose.

    Args:
        points: (T, 68, 2) finite px, of the frames that have a face.
        index: (T,) their numbers, ascending; smoothing does not reach across gaps.
        model: from the style constants.

    Returns:
        (T, 54) in units of the distance between the eyes.

    Raises:
        InputError: wrong shapes or points that are not finite.
    """
    moving, rigid, opening = aligned(points, index, model.mean_face)
    moving = moving - rigid @ model.basis.T @ model.response
    calm = np.argsort(opening, kind="stable")[: max(3, len(opening) // _CALM)]
    out: Float = moving - moving[calm].mean(0)
    return out


def aligned(points: Float, index: NDArray[np.intp], mean_face: Float) -> tuple[Float, Float, Float]:
    """Steps 1 and 3: (T, 54) mouth and chin, (T, 26) rigid points relative to the mean face, (T,) opening of the inner lip."""
    if points.ndim != 3 or points.shape[1:] != (68, 2) or len(points) != len(index) or not len(points):
        raise InputError(
            f"expression takes (T, 68, 2) points and (T,) frame numbers, T >= 1; got {points.shape} and {index.shape}"
        )
    if not np.isfinite(points).all():
        raise InputError("expression takes points of frames that have a face; some are NaN")
    placed = on_mean_face(points, mean_face)
    flat = smooth(placed.reshape(len(placed), -1), index).reshape(placed.shape)
    opening = np.linalg.norm(flat[:, (61, 62, 63)] - flat[:, (67, 66, 65)], axis=-1).mean(-1)
    rigid = (flat[:, RIGID] - mean_face[RIGID,]).reshape(len(flat), -1)
    return flat[:, MOVING].reshape(len(flat), -1), rigid, opening


def on_mean_face(points: Float, mean_face: Float) -> Float:
    """(T, 68, 2) every frame moved by the similarity that puts its rigid points nearest to the mean face's (no mirroring)."""
    z, target = points @ (1, 1j), mean_face[RIGID,] @ (1, 1j)
    centre = z[:, RIGID].mean(1, keepdims=True)
    spread = z[:, RIGID] - centre
    turn = (np.conj(spread) @ (target - target.mean())) / np.maximum((np.abs(spread) ** 2).sum(1), 1e-12)
    moved = turn[:, None] * (z - centre) + target.mean()
    return np.stack([moved.real, moved.imag], -1)


def smooth(sequence: Float, index: NDArray[np.intp]) -> Float:
    """(T, D) binomial mean over 5 frames within each run of consecutive frame numbers; ends are repeated."""
    out = np.empty_like(sequence)
    for run in np.split(np.arange(len(index)), np.flatnonzero(np.diff(index) != 1) + 1):
        padded = np.pad(sequence[run], ((2, 2), (0, 0)), "edge")
        out[run] = sum(weight * padded[k : k + len(run)] for k, weight in enumerate(_KERNEL))
    return out


def learn_mean_face(clips: Sequence[Float]) -> Float:
    """(68, 2): mean of the clips' own mean faces, eyes level and 1 apart, rigid points centred on 0.

    Args:
        clips: (T, 68, 2) px each, finite; every clip counts the same.
    """
    centred = [(p - p[:, RIGID].mean(1, keepdims=True)) / _eyes(p)[..., None, None] for p in clips]
    shapes = [c.mean(0) for c in centred]
    mean = shapes[0]
    for _ in range(10):
        mean = np.mean([on_mean_face(s[None], mean)[0] for s in shapes], 0)
        mean = (mean - mean[RIGID,].mean(0)) / _eyes(mean)
    eyes = mean[42:48].mean(0) - mean[36:42].mean(0)
    turn = np.array([[eyes[0], -eyes[1]], [eyes[1], eyes[0]]]) / float(eyes @ eyes)
    out: Float = mean @ turn
    return out


def learn_pose(clips: Sequence[tuple[Float, NDArray[np.intp]]]) -> PoseModel:
    """Mean face, and how mouth and chin move with the head, from (points, frame numbers) of many clips.

    Every clip counts the same, and only movement within clips is used: whose face it is does not enter.
    """
    mean_face = learn_mean_face([points for points, _ in clips])
    rigids, movings = [], []
    for points, index in clips:
        moving, rigid, _ = aligned(points, index, mean_face)
        weight = 1 / np.sqrt(len(points))
        rigids.append(weight * (rigid - rigid.mean(0)))
        movings.append(weight * (moving - moving.mean(0)))
    rigid, moving = np.concatenate(rigids), np.concatenate(movings)
    basis = np.linalg.svd(rigid, full_matrices=False)[2][:COMPONENTS]
    response = np.linalg.lstsq(rigid @ basis.T, moving, rcond=None)[0]
    return PoseModel(mean_face, basis, response)


def _eyes(points: Float) -> Float:
    """(...,) distance between the eyes' centres."""
    return np.asarray(np.linalg.norm(points[..., 42:48, :].mean(-2) - points[..., 36:42, :].mean(-2), axis=-1))
