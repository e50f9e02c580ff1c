"""CPBD of one grey frame: the share of edges at which blur is unlikely to be seen. Pure functions on arrays.

Source: Narvekar and Karam, IEEE Transactions on Image Processing 20(9), 2011 (eqs. 3-6), as the PyPI package cpbd==1.0.7
reads it (edge detectors of scikit-image and Octave). The arithmetic is on whole numbers, so it is exact.

    P(w) = 1 - exp(-(w / w_jnb)^3.6)      w: width of an edge in px; w_jnb: 5 px in blocks of contrast <= 50, else 3 px
    CPBD = share of the edges of all edge blocks whose P(w), rounded to 1/100, is at most 0.63

P(w_jnb) = 0.632, so the score is the share of edges that are no wider than w_jnb.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError

BLOCK: Final = 64
"""px, side of a block; the rest beyond the last full block does not count."""
EDGE_SHARE: Final = 0.002
"""A block counts when more than this share of its pixels are Canny edges."""
LONGEST: Final = 100
"""Steps that an edge is followed to either side."""
_SLOPE: Final = float(np.sqrt(2.0) - 1.0)
"""tan(22.5 deg): an edge that leans more than this has no width."""

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def cpbd(grey: Grey) -> float:
    """CPBD of a grey frame.

    Args:
        grey: (H, W) uint8.

    Returns:
        0..1, higher is sharper. 0.0 where no block counts or no edge has a width: a frame without a full block of 64 px,
        or a flat one.

    Raises:
        InputError: another dtype or shape, or smaller than 3 x 3.
    """
    sharp, total = edges(grey)
    return sharp / total if total else 0.0


def edges(grey: Grey) -> tuple[int, int]:
    """Edges that are not wider than just noticeable, and all edges, over the blocks that count. Arguments as `cpbd`."""
    if grey.dtype != np.uint8 or grey.ndim != 2 or min(grey.shape) < 3:
        raise InputError(f"cpbd takes (H, W) uint8 of at least 3 x 3; got {grey.shape} {grey.dtype}")
    rows, columns = grey.shape[0] // BLOCK, grey.shape[1] // BLOCK
    if not rows or not columns:
        return 0, 0
    counted = _blocks(canny_edges(grey), rows, columns).sum((2, 3)) > BLOCK * BLOCK * EDGE_SHARE
    pixels = _blocks(grey, rows, columns)
    contrast = pixels.max((2, 3)).astype(int) - pixels.min((2, 3))
    widths = _blocks(edge_widths(grey), rows, columns)
    sharp = total = 0
    for low, jnb in ((True, 5), (False, 3)):
        chosen = widths[counted & ((contrast <= 50) == low)]
        tally = np.bincount(chosen.ravel(), minlength=2)
        total += int(tally[1:].sum())
        sharp += int(tally[1:][unseen(np.arange(1, len(tally)), jnb)].sum())
    return sharp, total


def unseen(widths: NDArray[np.integer], jnb: int) -> Mask:
    """Which widths (px) are narrow enough: P(w) rounded to 1/100 (half to even) is at most 0.63."""
    probability = 1.0 - np.exp(-((widths / jnb) ** 3.6))
    out: Mask = np.round(probability * 100) <= 63
    return out


def canny_edges(grey: Grey) -> Mask:
    """(H, W) scikit-image's Canny edges at sigma 1 and thresholds 0.1 and 0.2.

    The thresholds are meant for values in 0..1, and the values are in 0..255, as in the package: nearly every slope counts.
    """
    from skimage.feature import canny

    out: Mask = canny(grey.astype(np.float64))  # type: ignore[no-untyped-call]
    return out


def sobel_edges(grey: Grey) -> Mask:
    """(H, W) pixels where the slope across columns is a local maximum along its row or its column.

    The squared Sobel slope is compared with 2 sqrt(mean of the squares), as in the package: a square with a root.
    """
    import cv2

    slope = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3, borderType=cv2.BORDER_REFLECT)
    strength = cv2.multiply(slope, slope)  # 64 times the package's; whole numbers below 2^24, so exact
    strength[strength <= 16.0 * np.sqrt(strength.mean(dtype=np.float64))] = 0
    out = np.zeros(grey.shape, bool)
    for axis in (0, 1):
        s, o = (strength, out) if axis else (strength.T, out.T)
        up = np.ones(s.shape, bool)
        up[:, 1:] = s[:, 1:] > s[:, :-1]
        down = np.ones(s.shape, bool)
        down[:, :-1] = s[:, :-1] > s[:, 1:]
        o |= up & down & (s > 0)
    return out


def edge_widths(grey: Grey) -> NDArray[np.int16]:
    """(H, W) width of each upright edge in px, 2..202; 0 where there is none.

    From a Sobel edge whose gradient points right or left (within 22.5 deg), the grey values are followed to both sides as
    long as they rise, or fall, strictly.
    """
    out = np.zeros(grey.shape, np.int16)
    inner = (slice(1, -1), slice(1, -1))
    wide = grey.astype(np.int16)
    gx, gy = wide[1:-1, 2:] - wide[1:-1, :-2], wide[2:, 1:-1] - wide[:-2, 1:-1]
    if not _leans(gx, gy) and not _any_angle(wide):
        return out
    upright = sobel_edges(grey)[inner] & ((np.abs(gy) < _SLOPE * np.abs(gx)) | (gx == 0))
    for mask, up in ((upright & (gx >= 0), grey), (upright & (gx < 0), 255 - grey)):
        rising = up[:, 1:] > up[:, :-1]
        row, column = np.nonzero(mask)
        left, right = _run_before(rising), _run_after(rising)
        out[row + 1, column + 1] = (
            np.minimum(left[row + 1, column], LONGEST) + np.minimum(right[row + 1, column + 2], LONGEST) + 2
        )
    return out


def _leans(gx: NDArray[np.int16], gy: NDArray[np.int16]) -> bool:
    """Whether any gradient has an angle other than 0."""
    return bool(((gx < 0) | ((gx > 0) & (gy != 0))).any())


def _any_angle(wide: NDArray[np.int16]) -> bool:
    """The same with the frame's borders, where differences are one-sided. The package finds no width at all without one."""
    gy, gx = np.gradient(wide.astype(np.float64))
    return bool(((gx < 0) | ((gx > 0) & (gy != 0))).any())


def _run_before(steps: Mask) -> NDArray[np.int16]:
    """(H, W) from (H, W - 1): how many steps in a row are true just left of each pixel."""
    index = np.arange(1, steps.shape[1] + 1, dtype=np.int16)
    last = np.maximum.accumulate(np.where(steps, np.int16(0), index), axis=1)
    return np.concatenate([np.zeros((len(steps), 1), np.int16), index - last], axis=1)


def _run_after(steps: Mask) -> NDArray[np.int16]:
    """The same to the right of each pixel."""
    return _run_before(steps[:, ::-1])[:, ::-1]


def _blocks(values: NDArray[np.generic], rows: int, columns: int) -> NDArray[np.generic]:
    """(rows, columns, 64, 64) full blocks of (H, W)."""
    whole = values[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return whole.transpose(0, 2, 1, 3)
