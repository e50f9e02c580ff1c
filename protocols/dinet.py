"""DINet's crop radius (Zhang et al., AAAI 2023), which RADIO's crop goes back to.

After MRzzm/DINet@3b57fb0 (utils/data_processing.py, compute_crop_radius), written anew from a description of it.
"""

from __future__ import annotations

import numpy as np

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float

_MOST_CHANGE = 1.5


def dinet_radius(points: Float, width: int, height: int, scale: float = 1.05) -> int | None:
    """The radius R of DINet's window for a few consecutive frames.

    Per frame: r = floor(scale * max(largest y - y[29], x[54] - x[48]) / 2), after each of the two lengths was multiplied
    by `scale`; R = the largest r, raised to the next multiple of 4 above it. The window has the rows y[29] - R to
    y[29] + 2R + R//4 and the columns x[33] - R - R//4 to x[33] + R + R//4.

    Args:
        points: (T, 68, 2) px, T = 5 at inference, 9 in training.
        width, height: of the frame in px.
        scale: 1.05 at inference, random in [1.05, 1.15) in training.

    Returns:
        R in px, or None where upstream rejects the frames: the window leaves the frame in one of them, or the radii
        differ by more than 1.5 times.

    Raises:
        InputError: not (T, 68, 2), or not finite.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 3 or points.shape[1:] != (68, 2) or not len(points) or not np.isfinite(points).all():
        raise InputError(f"dinet_radius wants finite landmarks (T, 68, 2), got shape {points.shape}")
    tall = (points[:, :, 1].max(axis=1) - points[:, 29, 1]) * scale
    wide = (points[:, 54, 0] - points[:, 48, 0]) * scale
    radii = np.floor(np.maximum(tall, wide) / 2).astype(int)
    radius = (int(radii.max()) // 4 + 1) * 4
    quarter = radius // 4
    inside = (
        (points[:, 29, 1] - radius >= 0).all()
        and (points[:, 29, 1] + 2 * radius + quarter <= height).all()
        and (points[:, 33, 0] - radius - quarter >= 0).all()
        and (points[:, 33, 0] + radius + quarter <= width).all()
    )
    if not inside or radii.max() > radii.min() * _MOST_CHANGE:
        return None
    return radius
