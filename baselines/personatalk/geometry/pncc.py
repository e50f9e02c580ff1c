"""PNCC (Zhu et al., CVPR 2016): posed vertices drawn in the colour of their place on the mean face; and the lip mask."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.personatalk.geometry.raster import rasterise
from lipsync_eval.baselines.personatalk.geometry.topology import Topology
from lipsync_eval.types import Float

DILATION = 4
"""px at 256 by which the lips' hull is widened."""


@lru_cache(maxsize=4)
def colours(topology: Topology) -> NDArray[np.float32]:
    """(L, 3) in [0, 1]: the mean face's coordinates, each axis stretched to that range (a flat axis is 0)."""
    low, high = topology.mean.min(0), topology.mean.max(0)
    found: NDArray[np.float32] = ((topology.mean - low) / np.where(high > low, high - low, 1)).astype(np.float32)
    return found


def pncc(topology: Topology, posed: Float, size: int) -> NDArray[np.float32]:
    """(L, 3) posed into a crop -> (3, size, size) in [0, 1], 0 outside the face."""
    drawn = rasterise(posed, topology.triangles, colours(topology), size)
    return np.ascontiguousarray(drawn.transpose(2, 0, 1))


def lip_mask(lips: list[Float], size: int, grid: int) -> NDArray[np.float32]:
    """Where the lip attention works.

    Args:
        lips: (n, 2) px of the crop each: the lips' vertices of the target, and of the frame that is replaced.
        size: side of the crop.
        grid: side of the mask; the hulls' union, widened by 4 px at 256, is reduced to it by area.

    Returns:
        (grid, grid) float32, 0..1, soft at its border.
    """
    import cv2

    filled: NDArray[np.uint8] = np.zeros((size, size), np.uint8)
    for points in lips:
        hull = cv2.convexHull(np.rint(np.clip(points, -size, 2 * size)).astype(np.int32))
        cv2.fillConvexPoly(filled, hull, 255)
    radius = max(1, round(DILATION * size / 256))
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    wide = cv2.dilate(filled, around).astype(np.float32) / 255
    return np.asarray(cv2.resize(wide, (grid, grid), interpolation=cv2.INTER_AREA), np.float32)
