"""The windowed statistics behind SSIM and MS-SSIM, on one pair of images.

With s = gen + gt and d = gen - gt, both terms of SSIM follow from four windowed means instead of five:

    luminance = (E[s]^2 - E[d]^2 + 2 C1) / (E[s]^2 + E[d]^2 + 2 C1)
    contrast  = (var s - var d + 2 C2) / (var s + var d + 2 C2)

Equal images have d = 0 and give exactly 1. Variances are E[x^2] - E[x]^2 in float32; the cancellation that makes other
float32 codes lose the fifth digit is kept small by taking each strip of the image relative to its own mean colour,
to which variances are blind.
"""

from __future__ import annotations

import threading
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

Image = NDArray[np.uint8] | NDArray[np.float32]
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
    a: Image = gen
    b: Image = gt
    for scale in range(last + 1):
        total, contrast = _terms(a, b, luminance=scale == last or (scale == 0 and single))
        if scale == 0 and single:
            ssim = float(total.mean())
        product *= np.maximum(total if scale == last else contrast, 0.0) ** SCALE_WEIGHTS[scale]
        if scale < last:
            a, b = _halved(a), _halved(b)
    return ssim, float(product.mean()) if multi else np.nan


def _terms(gen: Image, gt: Image, *, luminance: bool) -> tuple[Float, Float]:
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
    """Overlapping rows of the image, such that the windows that fit into each of them cover `height` rows once."""
    count = -(-height // max(32, _STRIP_PIXELS // width))
    edges = [round(i * height / count) for i in range(count + 1)]
    return (slice(top, bottom + 2 * _MARGIN) for top, bottom in pairwise(edges))


def _strip_terms(gen: Image, gt: Image, luminance: bool) -> list[Map]:
    """(h - 10, W, 3) contrast and, if wanted, luminance x contrast; the outer 5 columns mean nothing.

    The arithmetic runs in place on whole rows of kept memory, which is what makes it fast. The maps are overwritten by
    the next call in the same thread.
    """
    a, b, s, *smooth = _scratch.rows(7, len(gen), 3 * gen.shape[1])
    a0, b0 = _centred(gen, a), _centred(gt, b)
    np.add(a, b, out=s)
    d = np.subtract(a, b, out=a)
    mean_s, mean_d = _smooth(s, smooth[0]), _smooth(d, smooth[1])
    var_s, var_d = _smooth(np.square(s, out=s), smooth[2], 2 * C2), _smooth(np.square(d, out=d), smooth[3])
    contrast, total = b[: len(mean_s)], a[: len(mean_s)]
    var_s -= np.square(mean_s, out=contrast)
    var_d -= np.square(mean_d, out=contrast)
    np.subtract(var_s, var_d, out=contrast)
    contrast /= np.add(var_s, var_d, out=var_s)
    if luminance:
        mean_s += a0 + b0
        mean_d += a0 - b0
        bright, dark = np.square(mean_s, out=mean_s), np.square(mean_d, out=mean_d)
        bright += np.float32(2 * C1)
        np.subtract(bright, dark, out=total)
        total /= np.add(bright, dark, out=bright)
        total *= contrast
    return [x.reshape(len(x), -1, 3) for x in ((contrast, total) if luminance else (contrast,))]


class _Scratch(threading.local):
    """Memory that is kept between strips and calls, for each thread: fresh pages would cost as much as the arithmetic."""

    kept: Map = np.empty(0, np.float32)

    def rows(self, count: int, height: int, width: int) -> list[Map]:
        """`count` arrays (height, width) float32, unset."""
        if self.kept.size < count * height * width:
            self.kept = np.empty(count * height * width, np.float32)
        return list(self.kept[: count * height * width].reshape(count, height, width))


_scratch = _Scratch()


def _centred(image: Image, out: Map) -> Map:
    """Write the image less a colour to `out` (h, 3W); return that colour (3W,).

    It is the mean colour, roughly, in whole levels so that the differences are exact.
    """
    import cv2

    colour = np.empty((image.shape[1], 3), np.float32)
    colour[:] = np.rint(cv2.mean(image[::8])[:3])
    row = colour.ravel()
    np.copyto(out, image.reshape(out.shape))
    out -= row
    return row


def _smooth(rows: Map, out: Map, offset: float = 0.0) -> Map:
    """Gaussian mean, plus an offset, of (h, 3W); returns the h - 10 rows of `out` in which the window fits."""
    import cv2

    kernel, shape = _kernel(), (len(rows), -1, 3)
    cv2.sepFilter2D(rows.reshape(shape), cv2.CV_32F, kernel, kernel, dst=out.reshape(shape), delta=offset)
    return out[_MARGIN:-_MARGIN]


@cache
def _kernel() -> Map:
    x = np.arange(WINDOW) - _MARGIN
    k = np.exp(-(x**2) / (2 * SIGMA**2))
    out: Map = (k / k.sum()).astype(np.float32)
    return out


def _halved(image: Image) -> Map:
    """Mean of 2x2 blocks, exact in float32; an odd side gets zeros at both ends first, and they count."""
    import cv2

    odd = image.shape[0] % 2, image.shape[1] % 2
    even: NDArray[Any] = np.pad(image, ((odd[0], odd[0]), (odd[1], odd[1]), (0, 0))) if any(odd) else image
    height, width = even.shape[0] // 2, even.shape[1] // 2
    out = np.empty((height, width, 3), np.float32)
    step = max(16, _STRIP_PIXELS // (2 * width))
    for top in range(0, height, step):
        part = even[2 * top : 2 * min(top + step, height), : 2 * width]
        (x,) = _scratch.rows(1, len(part), 6 * width)
        x = x.reshape(part.shape)
        np.copyto(x, part)
        cv2.resize(x, (width, len(part) // 2), dst=out[top : top + step])
    return out
