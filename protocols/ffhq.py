"""FFHQ alignment (Karras et al. 2019): where the square lies, and the aligned picture itself.

After NVlabs/ffhq-dataset@4826aa6 (download_ffhq.py, recreate_aligned_images), written anew from a description of it.
"""

from __future__ import annotations

import numpy as np

from lipsync_eval.types import Float

LEFT_EYE = slice(36, 42)
RIGHT_EYE = slice(42, 48)
"""iBUG 68 points; left and right as seen in the picture."""


def ffhq_quad(points: Float) -> Float:
    """The square that FFHQ cuts out, from 68 landmarks.

    With e the vector between the eye centres and m the one from their midpoint to that of the mouth corners (48, 54),
    the half axis x points along e - rot90(m) and has the length max(2 |e|, 1.8 |m|); the centre is the midpoint of the
    eyes + 0.1 m.

    Args:
        points: (..., 68, 2) px.

    Returns:
        (..., 4, 2) px: upper left, lower left, lower right, upper right corner; NaN where points are.
    """
    points = np.asarray(points, np.float64)
    left = points[..., LEFT_EYE, :].mean(axis=-2)
    right = points[..., RIGHT_EYE, :].mean(axis=-2)
    eyes = (left + right) / 2
    across = right - left
    down = (points[..., 48, :] + points[..., 54, :]) / 2 - eyes
    axis = across - _quarter_turn(down)
    length = np.maximum(2.0 * _norm(across), 1.8 * _norm(down))
    with np.errstate(invalid="ignore", divide="ignore"):
        x = axis / _norm(axis) * length
    y = _quarter_turn(x)
    centre = eyes + 0.1 * down
    quad: Float = np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y], axis=-2)
    return quad


def _quarter_turn(v: Float) -> Float:
    """(a, b) -> (-b, a): clockwise on the screen."""
    return np.stack([-v[..., 1], v[..., 0]], axis=-1)


def _norm(v: Float) -> Float:
    out: Float = np.sqrt(np.sum(v * v, axis=-1, keepdims=True))
    return out
