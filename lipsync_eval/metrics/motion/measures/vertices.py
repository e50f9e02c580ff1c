"""Lip vertex error (LVE) and upper-face dynamics deviation (FDD), on mesh vertices or landmarks.

LVE: Richard et al., MeshTalk, ICCV 2021 (arXiv:2104.08223): the largest error of all lip vertices in a frame, mean over
frames. Public code differs: CodeTalker (Doubiiu/CodeTalker@1ef925e main/cal_metric.py) takes the largest SQUARED
distance and the mean over all frames of all sequences together; torchmetrics 1.9 squares too.
FDD: Xing et al., CodeTalker, CVPR 2023 (arXiv:2301.02379), the same file: mean over upper-face vertices of the standard
deviation over time of the squared motion from a template, real less generated, signed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float


def lip_vertex_error(gen: Float, real: Float, *, squared: bool = False) -> Float:
    """Per frame the largest distance of corresponding lip points.

    Args:
        gen: (T, K, D) lip vertices or landmarks, K >= 1.
        real: the same shape. Lengths that differ are refused, not cut.
        squared: largest squared distance (CodeTalker, torchmetrics) instead of the largest distance (MeshTalk's text).

    Returns:
        (T,) in the unit of the points (or its square); NaN where a frame has NaN.

    Raises:
        InputError: shapes that differ or have no point.
    """
    _check(gen, real)
    worst: Float = np.square(gen - real).sum(axis=-1).max(axis=1)
    return worst if squared else np.sqrt(worst)


def motion_spread(points: Float, template: Float) -> float:
    """Mean over points of the standard deviation over time of their squared distance from the template.

    Args:
        points: (T, K, D) finite, T >= 1.
        template: (K, D) the face at rest.
    """
    return float(np.square(points - template).sum(axis=-1).std(axis=0).mean())


def fdd(gen: Float, real: Float, template: Float, *, paired: bool = True) -> float:
    """Upper-face dynamics deviation of one sequence: spread of the real motion less that of the generated one.

    Args:
        gen: (T, K, D) upper-face points, finite.
        real: the same shape; where not `paired`, T may differ.
        template: (K, D).
        paired: whether frame i of both shows the same moment.

    Returns:
        in the unit of the points squared; positive: the generated face moves less. Nearest to 0 is best.

    Raises:
        InputError: shapes that differ, or values that are not finite.
    """
    _check(*((gen, real) if paired else (gen[:1], real[:1])))
    if template.shape != real.shape[1:] or not all(np.isfinite(x).all() for x in (gen, real, template)):
        raise InputError(f"fdd takes finite points and a template of {real.shape[1:]}, got {template.shape}")
    return motion_spread(real, template) - motion_spread(gen, template)


def read_indices(text: str, n_vertices: int) -> NDArray[np.intp]:
    """Vertex numbers from a region file: whole numbers apart by commas or white space, as CodeTalker's lve.txt and fdd.txt.

    Raises:
        InputError: not numbers, none, or one outside 0..n_vertices - 1.
    """
    try:
        found = np.array([int(word) for word in text.replace(",", " ").split()], np.intp)
    except ValueError as error:
        raise InputError(f"a region file holds whole numbers apart by commas: {error}") from error
    if not len(found) or found.min() < 0 or found.max() >= n_vertices:
        raise InputError(f"a region file must name vertices 0..{n_vertices - 1}; it holds {len(found)} numbers")
    return found


def _check(gen: Float, real: Float) -> None:
    if gen.shape != real.shape or gen.ndim != 3 or not gen.shape[1]:
        raise InputError(
            f"gen and real must have one shape (T, K, D), got {gen.shape} and {real.shape}; cut both to the same frames first"
        )
