"""From a layout and 68 points to one matrix a frame. Pure functions on arrays; a frame without points has NaN."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipsync_eval.protocols.ffhq import LEFT_EYE, RIGHT_EYE, ffhq_quad
from lipsync_eval.protocols.layout import LENGTH, UNIT, Layout
from lipsync_eval.types import Float
from lipsync_eval.warp import apply, compose, similarity_from_quad


@dataclass(frozen=True, slots=True)
class Boxes:
    """What to cut out of each frame, in the frame of reference of the base."""

    base: Float
    """(T, 2, 3) source px -> base."""
    centre: Float
    """(T, 2) in base units."""
    half: Float
    """(T, 2) half width and half height in base units."""


def boxes(layout: Layout, points: Float) -> Boxes:
    """The crop of every frame.

    Args:
        layout: any base but `frame`.
        points: (T, 68, 2) source px; NaN where the face is missing.
    """
    if layout.base == "box":
        base, centre, half = _around_points(layout, points)
    else:
        base = {"ffhq": _ffhq, "eyes": _eyes, "upright": _upright}[layout.base](points)
        here = apply(base, points)
        centre = here[:, list(layout.centre)].mean(axis=1)
        longest = np.max([_length(text, here) for text in layout.radius], axis=0)
        half = np.stack([longest, longest], axis=1)
    half = half * layout.scale
    if layout.radius_mode == "clip-median" and np.isfinite(half).any():
        half = np.where(np.isfinite(half), np.nanmedian(half, axis=0), np.nan)
    return Boxes(base, centre + np.asarray(layout.offset) * half, half)


def matrices(cut: Boxes, size: int) -> Float:
    """(T, 2, 3) source pixel -> crop pixel of a crop with `size` px a side; NaN where there is no crop."""
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = size / (2 * cut.half)
        shift = (size - 1) / 2 - cut.centre * factor
    inner = np.zeros((len(factor), 2, 3))
    inner[:, 0, 0], inner[:, 1, 1], inner[:, :, 2] = factor[:, 0], factor[:, 1], shift
    out = compose(inner, cut.base)
    bad = ~(np.isfinite(out).all(axis=(1, 2)) & (cut.half > 0).all(axis=1))
    out[bad] = np.nan
    return out


def _ffhq(points: Float) -> Float:
    """(T, 2, 3) source px -> FFHQ's aligned frame, a unit square with the origin at its upper left corner."""
    unit = similarity_from_quad(ffhq_quad(points), 1.0)
    return _moved(unit, 0.5)


def _eyes(points: Float) -> Float:
    """(T, 2, 3) source px -> axes along and across the line of the eyes, origin between them, unit their distance."""
    left, right = points[:, LEFT_EYE].mean(axis=1), points[:, RIGHT_EYE].mean(axis=1)
    across = right - left
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (across / np.sum(across**2, axis=1, keepdims=True)).T
    linear = np.stack([np.stack([a, b], -1), np.stack([-b, a], -1)], axis=1)
    shift = -(linear @ ((left + right) / 2)[:, :, None])
    return np.concatenate([linear, shift], axis=2)


def _upright(points: Float) -> Float:
    """(T, 2, 3) the source's own pixels."""
    return np.tile(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), (len(points), 1, 1))


def _moved(matrix: Float, by: float) -> Float:
    out = matrix.copy()
    out[:, :, 2] += by
    return out


def _length(text: str, points: Float) -> Float:
    """(T,) one length of the vocabulary."""
    if text == UNIT:
        return np.where(np.isfinite(points).all(axis=(1, 2)), 1.0, np.nan)
    match = LENGTH.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a length like 'ymax - y29'")
    axis1, first, axis2, second = match.groups()
    return _coordinate(axis1, first, points) - _coordinate(axis2, second, points)


def _coordinate(axis: str, which: str, points: Float) -> Float:
    values = points[:, :, "xy".index(axis)]
    if which in ("max", "min"):
        return np.asarray(values.max(axis=1) if which == "max" else values.min(axis=1))
    return values[:, int(which)]


def _around_points(layout: Layout, points: Float) -> tuple[Float, Float, Float]:
    """Base, centre and half sides of the box around the 68 points, widened and smoothed."""
    low, high = points.min(axis=1), points.max(axis=1)
    side = high - low
    left, top, right, bottom = layout.margins
    corners = np.concatenate([low - side * (left, top), high + side * (right, bottom)], axis=1)
    corners = corners + np.array(layout.pads) * (-1, -1, 1, 1)
    corners = _averaged_ahead(corners, layout.smooth)
    centre, half = (corners[:, :2] + corners[:, 2:]) / 2, (corners[:, 2:] - corners[:, :2]) / 2
    if layout.shape == "square":
        half = np.repeat(half.max(axis=1, keepdims=True), 2, axis=1)
    return _upright(points), centre, half


def _averaged_ahead(corners: Float, window: int) -> Float:
    """Each row becomes the mean of itself and the window - 1 rows after it that have a face; at the end of the clip
    the last `window` rows, those already averaged included (as Wav2Lip's inference.py, in place)."""
    out = corners.copy()
    if window < 2:
        return out
    for i in range(len(out)):
        if np.isfinite(out[i]).all():
            ahead = out[max(min(i, len(out) - window), 0) :][:window]
            out[i] = ahead[np.isfinite(ahead).all(axis=1)].mean(axis=0)
    return out
