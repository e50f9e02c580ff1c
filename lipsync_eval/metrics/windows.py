"""The windowed statistics behind SSIM and MS-SSIM, on one pair of pictures.

With s = gen + gt and d = gen - gt, both terms of SSIM follow from four windowed means instead of five:

    luminance = (E[s]^2 - E[d]^2 + 2 C1) / (E[s]^2 + E[d]^2 + 2 C1)
    contrast  = (var s - var d + 2 C2) / (var s + var d + 2 C2)

Equal pictures have d = 0 and give exactly 1. Variances are E[x^2] - E[x]^2 in float32; the cancellation that makes other
float32 codes lose the fifth digit is kept small by taking each strip of the picture relative to its own mean colour,
to which variances are blind.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import Float, Frame

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALLEST = WINDOW
"""px, the smallest side for SSIM."""
SMALLEST_MULTISCALE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1
"""px, the smallest side for MS-SSIM (161)."""

_MARGIN = WINDOW // 2
_STRIP_PIXELS = 24_576
"""Size of a strip: small enough for a processor's cache, large enough that calls cost little."""

Picture = NDArray[np.uint8] | NDArray[np.float32]
"""(H, W, 3)"""
Map = NDArray[np.float32]


def similarity(gen: Frame, gt: Frame, *, single: bool = True, multi: bool = True) -> tuple[float, float]:
    """SSIM and MS-SSIM of one pair; what is not asked for is NaN and costs nothing.

    Args:
        gen: (H, W, 3) uint8 RGB; sides at least SMALLEST, or SMALLEST_MULTISCALE with `multi`.
        gt: the same shape.
        single: whether SSIM is wanted.
        multi: whether MS-SSIM is wanted.

    Returns:
        SSIM in -1..1 and MS-SSIM in 0..1. Neither depends on whether the other is asked for.
    """
    last = len(SCALE_WEIGHTS) - 1 if multi else 0
    ssim, product = np.nan, np.ones(3)
    a: Picture = gen
    b: Picture = gt
    for scale in range(last + 1):
        total, contrast = _terms(a, b, luminance=scale == last or (scale == 0 and single))
        if scale == 0 and single:
            ssim = float(total.mean())
        product *= np.maximum(total if scale == last else contrast, 0.0) ** SCALE_WEIGHTS[scale]
        if scale < last:
            a, b = _halved(a), _halved(b)
    return ssim, float(product.mean()) if multi else np.nan


def _terms(gen: Picture, gt: Picture, *, luminance: bool) -> tuple[Float, Float]:
    """(3,) mean of luminance x contrast (only with `luminance`) and of contrast, per channel, wherever the window fits."""
    import cv2

    height, width = gen.shape[0] - 2 * _MARGIN, gen.shape[1] - 2 * _MARGIN
    sums = np.zeros((2, 3))
    for rows in _strips(height, width):
        for i, values in enumerate(_strip_terms(gen[rows], gt[rows], luminance)):
            sums[i] += cv2.sumElems(values[:, _MARGIN:-_MARGIN])[:3]
    contrast, total = np.clip(sums / (height * width), -1.0, 1.0)
    return total, contrast


def _strips(height: int, width: int) -> Iterator[slice]:
    """Overlapping rows of the picture, such that the windows that fit into each of them cover `height` rows once."""
    count = -(-height // max(32, _STRIP_PIXELS // width))
    edges = [round(i * height / count) for i in range(count + 1)]
    return (slice(top, bottom + 2 * _MARGIN) for top, bottom in pairwise(edges))


def _strip_terms(gen: Picture, gt: Picture, luminance: bool) -> list[Map]:
    """(h - 10, W, 3) contrast and, if wanted, luminance x contrast; the outer 5 columns mean nothing.

    The arithmetic runs in place on whole rows, which is what makes it fast.
    """
    a, a0 = _centred(gen)
    b, b0 = _centred(gt)
    s = a + b
    d = np.subtract(a, b, out=a)
    mean_s, mean_d = _smooth(s), _smooth(d)
    var_s, var_d = _smooth(np.square(s, out=s), 2 * C2), _smooth(np.square(d, out=d))
    var_s -= np.square(mean_s, out=b[: len(mean_s)])
    var_d -= np.square(mean_d, out=b[: len(mean_s)])
    contrast = var_s - var_d
    contrast /= np.add(var_s, var_d, out=var_s)
    terms = [contrast]
    if luminance:
        mean_s += a0 + b0
        mean_d += a0 - b0
        bright, dark = np.square(mean_s, out=mean_s), np.square(mean_d, out=mean_d)
        bright += np.float32(2 * C1)
        total = np.subtract(bright, dark, out=var_s)
        total /= np.add(bright, dark, out=bright)
        total *= contrast
        terms.append(total)
    return [term.reshape(len(term), -1, 3) for term in terms]


def _centred(picture: Picture) -> tuple[Map, Map]:
    """(h, 3W) the picture less its mean colour, which is rounded so that differences are exact, and (3W,) that colour."""
    import cv2

    colour = np.tile(np.rint(cv2.mean(picture)[:3]).astype(np.float32), picture.shape[1])
    return np.subtract(picture.reshape(len(picture), -1), colour, dtype=np.float32), colour


def _smooth(rows: Map, offset: float = 0.0) -> Map:
    """Gaussian mean, plus an offset, of (h, 3W) -> (h - 10, 3W)."""
    import cv2

    kernel = _kernel()
    smooth: NDArray[Any] = cv2.sepFilter2D(rows.reshape(len(rows), -1, 3), cv2.CV_32F, kernel, kernel, delta=offset)
    out: Map = smooth[_MARGIN:-_MARGIN].reshape(-1, rows.shape[1])
    return out


@cache
def _kernel() -> Map:
    x = np.arange(WINDOW) - _MARGIN
    k = np.exp(-(x**2) / (2 * SIGMA**2))
    out: Map = (k / k.sum()).astype(np.float32)
    return out


def _halved(picture: Picture) -> Map:
    """Mean of 2x2 blocks, exact in float32; an odd side gets zeros at both ends first, and they count."""
    import cv2

    height, width = picture.shape[:2]
    x = picture.astype(np.float32, copy=False)
    if height % 2 or width % 2:
        x = np.pad(x, ((height % 2,) * 2, (width % 2,) * 2, (0, 0)))
    height, width = x.shape[0] // 2, x.shape[1] // 2
    half: NDArray[Any] = cv2.resize(x[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return half
