"""NIQE of one frame, as three public codes compute it. Pure functions on arrays.

    NIQE = sqrt((m1 - m2)^T ((S1 + S2) / 2)^+ (m1 - m2))

m1, S1: mean and covariance of 36 statistics over blocks of 96 px of natural photographs (the model); m2, S2: of the frame.

Source: Mittal, Soundararajan, Bovik, IEEE Signal Processing Letters 20(3), 2013, eq. 10; basicsr==1.4.2 `metrics/niqe.py`;
chaofengc/IQA-PyTorch@01ae427 `archs/niqe_arch.py`; scikit-video==1.1.11 `measure/niqe.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MetricError
from lipsync_eval.metrics.quality import nss
from lipsync_eval.metrics.quality.grey import check, pillow_l
from lipsync_eval.types import Float

Variant = Literal["pyiqa", "basicsr", "skvideo"]
VARIANTS: Final[tuple[Variant, ...]] = get_args(Variant)
BLOCK: Final = 96
"""px, side of a block; what is left beyond the last full block does not count."""
LEAST: Final[dict[Variant, int]] = {"pyiqa": BLOCK, "basicsr": BLOCK, "skvideo": 2 * BLOCK + 2}
"""px, the smallest side of a frame."""


@dataclass(frozen=True, slots=True)
class Model:
    """What natural photographs look like."""

    mean: Float
    """(36,)"""
    covariance: Float
    """(36, 36)"""


def niqe(frame: NDArray[np.uint8], model: Model, variant: Variant = "pyiqa") -> float:
    """NIQE of a frame.

    Args:
        frame: (H, W, 3) uint8 RGB, or (H, W) uint8 grey.
        model: the parameter set of the same code: sets must not be mixed, their features have other scales.
        variant: 'pyiqa' (luma of YIQ, float64), 'basicsr' (Y of YCbCr, 16..235, float32) or 'skvideo' (Pillow's L,
            float32, frame borders of 0, products without the second diagonal's right side).

    Returns:
        0 or more, lower is more natural.

    Raises:
        InputError: another dtype or shape, or smaller than LEAST[variant].
        MetricError: the frame is so flat that no statistic is defined.
    """
    check(frame, LEAST[variant])
    rows = features(luma(frame, variant), variant)
    good = rows[~np.isnan(rows).any(1)]
    if not len(good) or (variant == "basicsr" and len(good) < 2):
        need = "2 blocks" if variant == "basicsr" else "1 block"
        raise MetricError(
            f"niqe ({variant}) needs {need} of {BLOCK} px with texture; there are {len(good)} of {len(rows)}: "
            "the frame is flat or small"
        )
    covariance = np.cov(good, rowvar=False) if len(good) > 1 else np.zeros((rows.shape[1],) * 2)
    step = model.mean - np.nanmean(rows, axis=0)
    inverse = np.linalg.pinv((model.covariance + covariance) / 2)
    return float(np.sqrt(step @ inverse @ step))


def luma(frame: NDArray[np.uint8], variant: Variant) -> Float:
    """(H, W) float64 whole levels: the grey frame that a variant reads."""
    if variant == "skvideo":
        return pillow_l(frame).astype(np.float64)
    if frame.ndim == 2:
        return frame.astype(np.float64)
    red, green, blue = np.moveaxis(frame, 2, 0).astype(np.float32) / np.float32(255)
    if variant == "basicsr":
        wide = (24.966 * blue.astype(np.float64) + 128.553 * green + 65.481 * red + 16.0) / 255.0
        y = wide.astype(np.float32)
    else:
        y = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    out: Float = np.rint(y * np.float32(255)).astype(np.float64)
    return out


def features(grey: Float, variant: Variant) -> Float:
    """(blocks, 36) statistics, scale 1's 18 then scale 2's; NaN where a block leaves one undefined.

    Args:
        grey: (H, W) whole levels in float64, at least one block.
        variant: see `niqe`. Blocks run along rows.
    """
    height, width = (n // BLOCK * BLOCK for n in grey.shape)
    grey = grey[:height, :width]
    parts = []
    for side in (BLOCK, BLOCK // 2):
        parts.append(_block_features(nss.blocks(_normalised(grey, variant), side), variant))
        if side == BLOCK:
            grey = _halved(grey, variant)
    return np.concatenate(parts, axis=1)


def _normalised(grey: Float, variant: Variant) -> Float:
    if variant == "pyiqa":
        return nss.normalised(grey, nss.gaussian_single(), "replicate", epsilon=float(np.finfo(np.float64).eps))
    if variant == "skvideo":
        return _normalised_skvideo(grey)
    single = grey.astype(np.float32)
    mean = nss.smoothed(grey, nss.gaussian(), "replicate").astype(np.float32)
    square = nss.smoothed(np.square(single).astype(np.float64), nss.gaussian(), "replicate").astype(np.float32)
    spread = np.sqrt(np.abs(square - np.square(mean)))
    return ((single - mean) / (spread + np.float32(1))).astype(np.float64)


def _normalised_skvideo(grey: Float) -> Float:
    """Every pass is stored in float32, and 0 lies outside the frame."""
    import cv2

    one, window, single = np.ones(1), nss.gaussian(), grey.astype(np.float32)

    def smooth(values: NDArray[np.float32]) -> NDArray[np.float32]:
        for across, down in ((one, window), (window, one)):
            wide = cv2.sepFilter2D(values, cv2.CV_64F, across, down, borderType=cv2.BORDER_CONSTANT)
            values = np.asarray(wide, np.float32)
        return values

    mean, square = smooth(single), smooth(single * single)
    spread = np.sqrt(np.abs(square - mean * mean))
    return ((single - mean) / (spread + np.float32(1))).astype(np.float64)


def _halved(grey: Float, variant: Variant) -> Float:
    if variant == "skvideo":
        from PIL import Image

        half = (grey.shape[1] // 2, grey.shape[0] // 2)
        small = Image.fromarray(grey.astype(np.float32)).resize(half, Image.Resampling.BICUBIC)
        return np.asarray(small, np.float64)
    if variant == "basicsr":
        single = nss.halved((grey / 255.0).astype(np.float32))
        return (single * np.float32(255)).astype(np.float64)
    return nss.halved(grey).astype(np.float32).astype(np.float64)


def _block_features(squares: Float, variant: Variant) -> Float:
    """(blocks, 18) from (rows, columns, side, side)."""
    rows = squares.reshape(-1, *squares.shape[2:])
    maps = np.empty((1 + len(nss.SHIFTS), *rows.shape))  # the values, then their products with neighbours
    maps[0] = rows
    for shift, product in zip(nss.SHIFTS, maps[1:], strict=True):
        nss.wrapped_product(rows, shift, product)
    zeros_right, last = variant == "skvideo", 10.0 if variant == "skvideo" else 10.0005
    moments = nss.Moments.of(maps.reshape(len(maps) * len(rows), -1))
    fit = nss.fit_table(moments, zeros_right=zeros_right, last=last)
    width = fit.width
    parts = (fit.alpha, (fit.right - fit.left) * width * fit.lift, fit.left * width, fit.right * width)
    alpha, mean, left, right = (part.reshape(len(maps), -1) for part in parts)
    out = [alpha[0], (left[0] + right[0]) / 2]
    for k, shift in enumerate(nss.SHIFTS, 1):
        diagonal = variant == "skvideo" and shift[0] and shift[1]
        out += [alpha[k], mean[k], left[k], left[k] if diagonal else right[k]]
    return np.stack(out, axis=1)
