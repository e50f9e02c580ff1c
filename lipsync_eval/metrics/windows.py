"""The windowed statistics behind SSIM and MS-SSIM, on one pair of pictures.

With s = gen + gt and d = gen - gt, both terms of SSIM follow from four windowed means instead of five:

    luminance = (E[s]^2 - E[d]^2 + 2 C1) / (E[s]^2 + E[d]^2 + 2 C1)
    contrast  = (var s - var d + 2 C2) / (var s + var d + 2 C2)

Equal pictures have d = 0 and give exactly 1, and both terms stay within -1..1 because no variance is negative.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import Frame

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALLEST = WINDOW
"""px, the smallest side for SSIM."""
SMALLEST_MULTISCALE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1
"""px, the smallest side for MS-SSIM (161)."""

Plane = NDArray[np.float32]


def ssim_of(gen: Frame, gt: Frame) -> float:
    """SSIM of one pair (H, W, 3) uint8, at least 11 px on both sides: -1..1."""
    total, _ = _terms(*_sum_and_difference(gen, gt))
    return float(total.mean())


def ms_ssim_of(gen: Frame, gt: Frame) -> float:
    """MS-SSIM of one pair (H, W, 3) uint8, at least 161 px on both sides: 0..1."""
    s, d = _sum_and_difference(gen, gt)
    product = np.ones(3)
    for i, weight in enumerate(SCALE_WEIGHTS):
        total, contrast = _terms(s, d)
        last = i == len(SCALE_WEIGHTS) - 1
        product *= np.maximum(total if last else contrast, 0.0) ** weight
        if not last:
            s, d = _halved(s), _halved(d)
    return float(product.mean())


def _sum_and_difference(gen: Frame, gt: Frame) -> tuple[Plane, Plane]:
    a, b = gen.astype(np.float32), gt.astype(np.float32)
    return a + b, a - b


def _halved(x: Plane) -> Plane:
    """Mean of 2x2 blocks; an odd side gets a row of zeros on both ends first, and the zeros count."""
    h, w = x.shape[:2]
    if h % 2 or w % 2:
        x = np.pad(x, ((h % 2, h % 2), (w % 2, w % 2), (0, 0)))
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    x = x[:h, :w]
    out: Plane = (x[0::2, 0::2] + x[1::2, 0::2] + x[0::2, 1::2] + x[1::2, 1::2]) * np.float32(0.25)
    return out


def _terms(s: Plane, d: Plane) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(3,) mean over the picture of luminance x contrast, and of contrast alone, per channel."""
    ms, md = _smooth(s), _smooth(d)
    vs, vd = _smooth(s * s), _smooth(d * d)
    ms *= ms
    md *= md
    vs = np.maximum(vs - ms, np.float32(0))
    vd = np.maximum(vd - md, np.float32(0))
    contrast = (vs - vd + 2 * C2) / (vs + vd + 2 * C2)
    total = contrast * (ms - md + 2 * C1) / (ms + md + 2 * C1)
    return total.mean(axis=(0, 1), dtype=np.float64), contrast.mean(axis=(0, 1), dtype=np.float64)


def _smooth(x: Plane) -> Plane:
    """Gaussian mean wherever the window fits: (H, W, 3) -> (H - 10, W - 10, 3)."""
    import cv2

    margin = WINDOW // 2
    out: Plane = cv2.sepFilter2D(x, cv2.CV_32F, _kernel(), _kernel())[margin:-margin, margin:-margin]
    return out


@cache
def _kernel() -> NDArray[np.float32]:
    x = np.arange(WINDOW) - WINDOW // 2
    k = np.exp(-(x**2) / (2 * SIGMA**2))
    out: NDArray[np.float32] = (k / k.sum()).astype(np.float32)
    return out
