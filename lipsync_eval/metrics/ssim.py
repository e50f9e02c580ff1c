"""Structural similarity (SSIM) and its multi-scale form (MS-SSIM) of uint8 RGB frames; higher is better, 1 is equal.

SSIM is the definition of Wang et al. 2004: an 11x11 Gaussian window of sigma 1.5, population covariance, K = (0.01,
0.03), range 255, mean over the region in which the window fits, then over the three channels. It equals scikit-image's
`structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)`.
MS-SSIM is Wang et al. 2003 as pytorch-msssim computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from lipsync_eval.batch import Batch
from lipsync_eval.errors import InputError
from lipsync_eval.metrics.base import Failure, Family, Measurement, MetricSpec, mean_of
from lipsync_eval.metrics.helpers.frames import PairFrames, Stack, stacks
from lipsync_eval.metrics.helpers.ssim_windows import SMALLEST, SMALLEST_MULTISCALE, similarity
from lipsync_eval.types import Float, Pair


def ssim(gen: ArrayLike, gt: ArrayLike) -> Float | float:
    """SSIM of every pair of frames.

    Args:
        gen: (H, W, 3) or (N, H, W, 3) uint8 RGB, generated; both sides at least 11 px.
        gt: the same shape, real.

    Returns:
        -1..1, higher is better, exactly 1 for equal frames: a float for one pair, (N,) float64 for stacks.

    Raises:
        InputError: other dtypes, shapes that differ or are not RGB, or frames that are too small.
    """
    a, b, single = stacks(gen, gt)
    _require("SSIM", a, SMALLEST)
    values = np.array([similarity(x, y, multi=False)[0] for x, y in zip(a, b)])
    return float(values[0]) if single else values


def ms_ssim(gen: ArrayLike, gt: ArrayLike) -> Float | float:
    """MS-SSIM of every pair of frames; arguments as `ssim`, both sides at least 161 px.

    Returns:
        0..1, higher is better, exactly 1 for equal frames: a float for one pair, (N,) float64 for stacks.

    Raises:
        InputError: other dtypes, shapes that differ or are not RGB, or frames that are too small.
    """
    a, b, single = stacks(gen, gt)
    _require("MS-SSIM", a, SMALLEST_MULTISCALE)
    values = np.array([similarity(x, y, single=False)[1] for x, y in zip(a, b)])
    return float(values[0]) if single else values


def _require(name: str, frames: Stack, smallest: int) -> None:
    if min(frames.shape[1:3]) < smallest:
        raise InputError(_too_small(name, frames.shape[1:3], smallest))


def _too_small(name: str, size: Sequence[int], smallest: int) -> str:
    return f"{name} needs frames of at least {smallest} px on both sides, got {size[0]}x{size[1]} (height x width)"


_SSIM: Final = MetricSpec(
    name="ssim",
    title="SSIM",
    direction="up",
    unit="1",
    range=(-1.0, 1.0),
    decimals=4,
    needs=frozenset({"gen.crop", "gt.crop"}),
    pooling="clip-mean",
    group="core",
    weights=(),
    summary="Structural similarity of each crop pair: 11x11 Gaussian window of sigma 1.5, population covariance, range 255, RGB; mean over frames, then over clips.",
    reads="How alike local contrast and structure are. It depends on the size of the crop, favours blur over a shift of one "
    "pixel, and says nothing about whether the lips fit the audio.",
    citation="Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment: From Error Visibility to Structural Similarity, IEEE TIP 13(4), 2004, doi:10.1109/TIP.2003.819861",
    reference="scikit-image==0.26.0",
    tolerance=1e-5,
    version=1,
    real="content",
)
SPECS: Final = (
    _SSIM,
    replace(
        _SSIM,
        name="ms_ssim",
        title="MS-SSIM",
        range=(0.0, 1.0),
        summary="SSIM over five scales, each half the size of the one before, of each crop pair; mean over frames, then over clips. Crops of at least 161 px.",
        reads="As ssim, but coarse structure counts most, so it is kinder to small shifts and blur. It depends on the size of the crop.",
        citation="Wang, Simoncelli, Bovik: Multi-Scale Structural Similarity for Image Quality Assessment, Asilomar 2003, doi:10.1109/ACSSC.2003.1292216",
        reference="pytorch-msssim==1.0.0",
    ),
)


class SSIM(Family):
    """ssim and ms_ssim over the crop pairs of a clip."""

    specs = SPECS

    def start(self, pair: Pair) -> SSIMMeter:
        """A meter for one pair.

        Raises:
            MetricError: the pair has no crops, or crops of two sizes.
        """
        return SSIMMeter(pair, self.metrics)


_LIMITS = {"ssim": ("SSIM", SMALLEST), "ms_ssim": ("MS-SSIM", SMALLEST_MULTISCALE)}


class SSIMMeter:
    """Measures the crop pairs of one clip, frame by frame."""

    looks_at = frozenset({"gen.crop", "gt.crop"})

    def __init__(self, pair: Pair, metrics: frozenset[str]) -> None:
        names = [name for name in _LIMITS if name in metrics]
        self._kept = PairFrames(pair, names)
        self._small = {name for name in names if min(self._kept.size) < _LIMITS[name][1]}
        self._names = [name for name in names if name not in self._small]

    def update(self, batch: Batch) -> None:
        """Take the next frames."""
        if not self._names:
            return
        wanted = {"single": "ssim" in self._names, "multi": "ms_ssim" in self._names}
        values = np.array([similarity(x, y, **wanted) for x, y in zip(batch.gen_crops, batch.gt_crops)]).reshape(-1, 2)
        for name, column in zip(_LIMITS, values.T):
            if name in self._names:
                self._kept.put(batch, name, column)

    def finish(self) -> Measurement:
        """The clip's numbers; crops that are too small for a metric fail that metric alone.

        Raises:
            MetricError: no frame has a crop in both videos.
        """
        found = self._kept.measurement()
        for name in self._names:
            found.frames[name] = self._kept.frames[name]
            found.values[name] = mean_of(found.frames[name])
        for name in sorted(self._small):
            label, smallest = _LIMITS[name]
            message = _too_small(label, self._kept.size, smallest) + "; choose a protocol with larger crops"
            found.values[name] = None
            found.failures.append(Failure(metric=name, error="MetricError", message=message))
        return found
