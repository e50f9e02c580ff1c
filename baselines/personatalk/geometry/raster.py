"""A z-buffer for meshes of thousands of triangles: numpy alone, the same bytes every time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float

CHUNK = 1 << 21
"""Candidate pixels that are looked at together."""


def rasterise(
    posed: Float, triangles: NDArray[np.intp], values: NDArray[np.floating], size: int
) -> NDArray[np.float32]:
    """Draw a mesh with values at its vertices; the nearest surface wins, 0 where there is none.

    Args:
        posed: (L, 3) x, y px (the centre of the top-left pixel at (0, 0)), and depth, larger is farther away.
        triangles: (F, 3) vertex numbers; both sides are drawn.
        values: (L, C), interpolated linearly in the image.
        size: side of the image.

    Returns:
        (size, size, C) float32.

    Raises:
        InputError: shapes that do not agree.
    """
    if posed.ndim != 2 or posed.shape[1] != 3 or values.shape[:1] != posed.shape[:1] or triangles.shape[1:] != (3,):
        raise InputError(
            f"rasterise takes (L, 3), (F, 3), (L, C); got {posed.shape}, {triangles.shape}, {values.shape}"
        )
    planes, low, spans = _planes(posed[triangles], size)
    counts = np.where(np.isfinite(planes).all(axis=(1, 2)), spans[:, 0] * spans[:, 1], 0)
    nearest = np.full(size * size, np.inf)
    owner = np.full(size * size, -1, np.intp)
    shares = np.zeros((size * size, 2))
    edges = np.searchsorted(np.cumsum(counts), np.arange(0, counts.sum() + CHUNK, CHUNK), side="right")
    for first, last in zip(edges, [*edges[1:], len(counts)], strict=True):
        part = np.arange(first, last)
        part = part[counts[part] > 0]
        if len(part):
            _draw(part, planes, low, spans, counts[part], size, nearest, owner, shares)
    seen = np.flatnonzero(owner >= 0)
    b, c = shares[seen, :1], shares[seen, 1:]
    corner = values[triangles[owner[seen]]]
    out = np.zeros((size * size, values.shape[1]), np.float32)
    out[seen] = (1 - b - c) * corner[:, 0] + b * corner[:, 1] + c * corner[:, 2]
    return out.reshape(size, size, -1)


def _planes(corners: Float, size: int) -> tuple[Float, NDArray[np.intp], NDArray[np.intp]]:
    """Of (F, 3, 3) corners: (F, 3, 3) share of the second and third corner, and depth, each as a x + b y + c; the first
    pixel and the sides of the boxes, (F, 2) each. Triangles without area have planes that are not finite."""
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(np.abs(area) > 1e-12, 1 / area, np.nan)
    planes = np.empty((len(corners), 3, 3))
    planes[:, 0, 0], planes[:, 0, 1] = ac[:, 1] * inverse, -ac[:, 0] * inverse
    planes[:, 1, 0], planes[:, 1, 1] = -ab[:, 1] * inverse, ab[:, 0] * inverse
    planes[:, :2, 2] = -(planes[:, :2, :2] @ a[:, :2, None])[:, :, 0]
    planes[:, 2] = planes[:, 0] * ab[:, 2:] + planes[:, 1] * ac[:, 2:]
    planes[:, 2, 2] += a[:, 2]
    low = np.clip(np.ceil(corners[:, :, :2].min(1)), 0, size).astype(np.intp)
    high = np.clip(np.floor(corners[:, :, :2].max(1)) + 1, 0, size).astype(np.intp)
    return planes, low, np.maximum(high - low, 0)


def _draw(
    part: NDArray[np.intp],
    planes: Float,
    low: NDArray[np.intp],
    spans: NDArray[np.intp],
    many: NDArray[np.intp],
    size: int,
    nearest: Float,
    owner: NDArray[np.intp],
    shares: Float,
) -> None:
    """Enter some triangles into the z-buffer; of equal depths the triangle with the lowest number stays."""
    which = np.repeat(part, many)
    number = np.arange(len(which)) - np.repeat(np.cumsum(many) - many, many)
    rows, columns = np.divmod(number, spans[which, 0])
    x, y = low[which, 0] + columns, low[which, 1] + rows
    b = planes[which, 0, 0] * x + planes[which, 0, 1] * y + planes[which, 0, 2]
    c = planes[which, 1, 0] * x + planes[which, 1, 1] * y + planes[which, 1, 2]
    inside = np.flatnonzero((b >= -1e-9) & (c >= -1e-9) & (b + c <= 1 + 1e-9))
    which, x, y, b, c = which[inside], x[inside], y[inside], b[inside], c[inside]
    depth = planes[which, 2, 0] * x + planes[which, 2, 1] * y + planes[which, 2, 2]
    pixel = y * size + x
    before = nearest[pixel]
    np.minimum.at(nearest, pixel, depth)
    wins = np.flatnonzero((depth == nearest[pixel]) & (depth < before))[::-1]  # of several the last write stays
    at = pixel[wins]
    owner[at] = which[wins]
    shares[at, 0], shares[at, 1] = b[wins], c[wins]
