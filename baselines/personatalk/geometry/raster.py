"""A z-buffer for meshes of thousands of triangles: numpy alone, the same bytes every time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float

CHUNK = 1 << 21
"""Candidate pixels that are looked at together."""


def rasterise(posed: Float, triangles: NDArray[np.intp], values: NDArray[np.floating], size: int) -> NDArray[np.float32]:
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
        raise InputError(f"rasterise takes (L, 3), (F, 3), (L, C); got {posed.shape}, {triangles.shape}, {values.shape}")
    corners = posed[triangles]
    out = np.zeros((size * size, values.shape[1]), np.float32)
    a, b, c = corners[:, 0, :2], corners[:, 1, :2], corners[:, 2, :2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    low = np.clip(np.ceil(corners[:, :, :2].min(1)), 0, size).astype(np.intp)
    high = np.clip(np.floor(corners[:, :, :2].max(1)) + 1, 0, size).astype(np.intp)
    spans = np.maximum(high - low, 0)
    counts = np.where(np.abs(area) > 1e-12, spans[:, 0] * spans[:, 1], 0)
    nearest = np.full(size * size, np.inf)
    owner = np.full(size * size, -1, np.intp)
    weights = np.zeros((size * size, 3))
    edges = np.searchsorted(np.cumsum(counts), np.arange(0, counts.sum() + CHUNK, CHUNK), side="right")
    for first, last in zip(edges, [*edges[1:], len(counts)], strict=True):
        part = np.arange(first, last)
        part = part[counts[part] > 0]
        if len(part):
            _draw(part, corners, area, low, spans, counts, size, nearest, owner, weights)
    seen = np.flatnonzero(owner >= 0)
    out[seen] = np.einsum("nk,nkc->nc", weights[seen], values[triangles[owner[seen]]])
    return out.reshape(size, size, -1)


def _draw(
    part: NDArray[np.intp],
    corners: Float,
    area: Float,
    low: NDArray[np.intp],
    spans: NDArray[np.intp],
    counts: NDArray[np.intp],
    size: int,
    nearest: Float,
    owner: NDArray[np.intp],
    weights: Float,
) -> None:
    """Enter some triangles into the z-buffer; of equal depths the triangle with the lowest number stays."""
    many = counts[part]
    which = np.repeat(part, many)
    number = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    rows, columns = np.divmod(number, spans[which, 0])
    x, y = low[which, 0] + columns, low[which, 1] + rows
    p = corners[which]
    wb = ((x - p[:, 0, 0]) * (p[:, 2, 1] - p[:, 0, 1]) - (y - p[:, 0, 1]) * (p[:, 2, 0] - p[:, 0, 0])) / area[which]
    wc = ((p[:, 1, 0] - p[:, 0, 0]) * (y - p[:, 0, 1]) - (p[:, 1, 1] - p[:, 0, 1]) * (x - p[:, 0, 0])) / area[which]
    wa = 1 - wb - wc
    inside = np.flatnonzero((wa >= -1e-9) & (wb >= -1e-9) & (wc >= -1e-9))
    wa, wb, wc, which = wa[inside], wb[inside], wc[inside], which[inside]
    pixel = (y * size + x)[inside]
    p = p[inside]
    depth = wa * p[:, 0, 2] + wb * p[:, 1, 2] + wc * p[:, 2, 2]
    order = np.lexsort((which, depth, pixel))
    first = order[np.flatnonzero(np.diff(pixel[order], prepend=-1))]
    closer = first[depth[first] < nearest[pixel[first]]]
    at = pixel[closer]
    nearest[at], owner[at] = depth[closer], which[closer]
    weights[at] = np.stack([wa[closer], wb[closer], wc[closer]], axis=1)
