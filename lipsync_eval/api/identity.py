"""Identity and speaking style of faces that you have as arrays: CSIM and StyleSim."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float, Settings


def csim(gen: ArrayLike, gt: ArrayLike, *, settings: Settings | None = None) -> Float:
    """Cosine of ArcFace identity vectors (Deng et al., CVPR 2019) of every pair of aligned faces.

    Args:
        gen: (N, 112, 112, 3) uint8 RGB, generated, aligned as insightface does (features.arcface_align.align).
        gt: the same shape, real.
        settings: weights and device (None: Settings()); `options={'csim_net': ROW}` takes another network.

    Returns:
        (N,) float64 in [-1, 1], higher is more alike.

    Raises:
        InputError: wrong dtype or shape, or shapes that differ.
        MissingWeights: the network is not on this machine.
    """
    from lipsync_eval.metrics.csim import Csim

    a, b = np.asarray(gen), np.asarray(gt)
    if a.shape != b.shape:
        raise InputError(f"gen and gt must have one shape, got {a.shape} and {b.shape}")
    embed = Csim(settings or Settings(), frozenset({"csim"})).embedder()
    x, y = embed(a).astype(np.float64), embed(b).astype(np.float64)
    out: Float = np.clip(np.einsum("nd,nd->n", x, y), -1.0, 1.0)
    return out


def stylesim(gen: ArrayLike, gt: ArrayLike, *, settings: Settings | None = None) -> float:
    """Likeness of two speaking styles from 68 landmarks: `stylesim_points68`, training-free (see docs/metrics/stylesim.md).

    Args:
        gen: (T, 68, 2) landmarks in px at 25 fps, generated; frames without a face are NaN.
        gt: (S, 68, 2), real (or of any other video of a person); another length and size are fine.
        settings: `options={'style_constants.points68': FILE}` takes constants of your own.

    Returns:
        cosine in [-1, 1], higher is more alike.

    Raises:
        InputError: wrong shape, or fewer than 10 frames with a face.
    """
    from lipsync_eval.features.style.code import cosine, statistics
    from lipsync_eval.features.style.constants import load

    constants = load(settings or Settings(), "points68")

    def code(name: str, points: ArrayLike) -> Float:
        placed, index = _seen(name, points)
        return constants.standardise(statistics(constants.sequence(placed, index), index))

    return cosine(code("gen", gen), code("gt", gt))


def _seen(name: str, points: ArrayLike) -> tuple[Float, NDArray[np.intp]]:
    p = np.asarray(points, np.float64)
    if p.ndim != 3 or p.shape[1:] != (68, 2):
        raise InputError(f"{name} must be landmarks (T, 68, 2) in px; got {p.shape}")
    index = np.flatnonzero(np.isfinite(p).all(axis=(1, 2)))
    if len(index) < 10:
        raise InputError(f"{name}: a style needs at least 10 frames with a face; there are {len(index)}")
    return p[index], index
