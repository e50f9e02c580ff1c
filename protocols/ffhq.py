"""FFHQ alignment (Karras et al. 2019): where the square lies, and the aligned image itself.

After NVlabs/ffhq-dataset@4826aa6 (download_ffhq.py, recreate_aligned_images), written anew from a description of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float, Frame

if TYPE_CHECKING:
    from PIL import Image

LEFT_EYE = slice(36, 42)
RIGHT_EYE = slice(42, 48)
"""iBUG 68 points; left and right as seen in the image."""


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
    return _square(np.asarray(points, np.float64))[0]


def _square(points: Float) -> tuple[Float, Float]:
    """The quad (..., 4, 2) and its side (..., 1), which upstream takes from the half axis: read off the corners it would
    differ by rounding, and a side that is a whole multiple of the output would then be shrunk by another factor."""
    left = points[..., LEFT_EYE, :].mean(axis=-2)
    right = points[..., RIGHT_EYE, :].mean(axis=-2)
    eyes = (left + right) / 2
    across = right - left
    down = (points[..., 48, :] + points[..., 54, :]) / 2 - eyes
    axis = across - _quarter_turn(down)
    length = np.maximum(_norm(across) * 2.0, _norm(down) * 1.8)
    with np.errstate(invalid="ignore", divide="ignore"):
        x = axis / _norm(axis) * length
    y = _quarter_turn(x)
    centre = eyes + down * 0.1
    quad: Float = np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y], axis=-2)
    return quad, _norm(x) * 2


def _quarter_turn(v: Float) -> Float:
    """(a, b) -> (-b, a): clockwise on the screen."""
    return np.stack([-v[..., 1], v[..., 0]], axis=-1)


def _norm(v: Float) -> Float:
    out: Float = np.hypot(v[..., :1], v[..., 1:])
    return out


@dataclass(frozen=True, slots=True)
class Alignment:
    """The steps of one alignment, as upstream takes them."""

    quad: Float
    """(4, 2) px in the given image."""
    qsize: float
    """Side of the quad in px."""
    shrink: int
    """The image was reduced by this factor first; 0 or 1: it was not."""
    border: int
    """Margin kept around the quad, px."""
    crop: tuple[int, int, int, int]
    """x0, y0, x1, y1 in the reduced image."""
    pad: tuple[int, int, int, int]
    """left, top, right, bottom in px."""
    padded: bool
    quad_final: Float
    """(4, 2) px in the reduced, cropped and padded image."""
    image: Frame
    """(output_size, output_size, 3) uint8 RGB."""


def ffhq_align(
    image: Frame, points: Float, output_size: int = 1024, transform_size: int = 4096, enable_padding: bool = True
) -> Frame:
    """FFHQ's aligned image: shrunk, cropped, padded (mirrored and blurred) and sampled in two steps, as upstream does.

    For evaluation the crop protocols sample once instead; this is for training data that must look like FFHQ.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: (68, 2) px.
        output_size: side of the result.
        transform_size: side of the image before the last, antialiased reduction.
        enable_padding: mirror and blur what lies outside the image; False: black.

    Returns:
        (output_size, output_size, 3) uint8 RGB.

    Raises:
        InputError: wrong shape or dtype, or landmarks that are not finite.
    """
    return ffhq_alignment(image, points, output_size, transform_size, enable_padding).image


def ffhq_alignment(
    image: Frame, points: Float, output_size: int = 1024, transform_size: int = 4096, enable_padding: bool = True
) -> Alignment:
    """As ffhq_align, with every intermediate number."""
    from PIL import Image

    points = np.asarray(points, np.float64)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"ffhq_align wants an image (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}")
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise InputError(f"ffhq_align wants 68 finite landmarks (68, 2), got shape {points.shape}")
    first, side = _square(points)
    qsize = float(side[0])
    quad, size, aligned = first, qsize, Image.fromarray(image)
    shrink = int(np.floor(qsize / output_size * 0.5))
    if shrink > 1:
        small = (int(np.rint(aligned.width / shrink)), int(np.rint(aligned.height / shrink)))
        aligned = aligned.resize(small, Image.Resampling.LANCZOS)
        quad, size = quad / shrink, size / shrink
    border = max(int(np.rint(size * 0.1)), 3)
    x0, y0, x1, y1 = _bounds(quad, border)
    crop = (max(x0, 0), max(y0, 0), min(x1, aligned.width), min(y1, aligned.height))
    if crop[2] - crop[0] < aligned.width or crop[3] - crop[1] < aligned.height:
        aligned = aligned.crop(crop)
        quad = quad - crop[:2]
    x0, y0, x1, y1 = _bounds(quad, border)
    pad = (max(-x0, 0), max(-y0, 0), max(x1 - aligned.width, 0), max(y1 - aligned.height, 0))
    padded = enable_padding and max(pad) > border - 4
    if padded:
        least = int(np.rint(size * 0.3))
        pad = (max(pad[0], least), max(pad[1], least), max(pad[2], least), max(pad[3], least))
        aligned = Image.fromarray(_padded(np.asarray(aligned), pad, size))
        quad = quad + pad[:2]
    result = _turned(aligned, quad, output_size, transform_size)
    return Alignment(first, qsize, shrink, border, crop, pad, padded, quad, result)


def _bounds(quad: Float, border: int) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the whole pixels around a quad, and a border around them."""
    low, high = np.floor(quad.min(axis=0)).astype(int) - border, np.ceil(quad.max(axis=0)).astype(int) + border
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _turned(image: Image.Image, quad: Float, output_size: int, transform_size: int) -> Frame:
    from PIL import Image

    corners = tuple((quad + 0.5).flatten().tolist())
    side = (transform_size, transform_size)
    turned = image.transform(side, Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
    if output_size < transform_size:
        turned = turned.resize((output_size, output_size), Image.Resampling.LANCZOS)
    return np.asarray(turned).copy()


def _padded(image: Frame, pad: tuple[int, int, int, int], size: float) -> Frame:
    """Mirror outside, fading into a blur and then into the median colour with the distance from the image."""
    import cv2

    left, top, right, bottom = pad
    wide: NDArray[np.float32] = np.pad(image.astype(np.float32), ((top, bottom), (left, right), (0, 0)), mode="reflect")
    height, width = wide.shape[:2]
    y, x = np.ogrid[:height, :width]
    with np.errstate(divide="ignore", invalid="ignore"):
        across = np.minimum(np.float32(x) / left, np.float32(width - 1 - x) / right)
        down = np.minimum(np.float32(y) / top, np.float32(height - 1 - y) / bottom)
    mask = np.maximum(1.0 - across, 1.0 - down)[..., None]
    line = _gaussian(size * 0.02)
    soft = np.asarray(cv2.sepFilter2D(wide, -1, line, line, borderType=cv2.BORDER_REFLECT), np.float32)
    wide = wide + (soft - wide) * np.clip(mask * 3.0 + 1.0, 0.0, 1.0)
    wide = wide + (np.median(wide, axis=(0, 1)) - wide) * np.clip(mask, 0.0, 1.0)
    out: Frame = np.uint8(np.clip(np.rint(wide), 0, 255))  # type: ignore[assignment]
    return out


def _gaussian(sigma: float) -> Float:
    """Weights of a Gaussian cut at 4 sigma, as scipy's gaussian_filter (upstream's) has them; OpenCV applies them 4 times faster."""
    radius = int(4.0 * sigma + 0.5)
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    out: Float = line / line.sum()
    return out
