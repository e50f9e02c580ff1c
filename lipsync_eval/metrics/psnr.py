"""Peak signal-to-noise ratio of uint8 RGB frames, in dB; higher is better.

    PSNR = 10 log10(255^2 / mse), mse = mean of (gen - gt)^2 over pixels and channels, in float64

A pair that differs by nothing has no finite PSNR; it gets 100 dB, as the field prints it, and so does every pair whose
PSNR would be above 100 dB (in 256x256 pixels: one value that is off by one level).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from lipsync_eval.batch import Batch
from lipsync_eval.metrics.base import Family, Measurement, MetricSpec, mean_of
from lipsync_eval.metrics.helpers.frames import PairFrames, Stack, stacks
from lipsync_eval.types import Float, Pair

CAP = 100.0
"""dB, for frames that do not differ."""


def psnr(gen: ArrayLike, gt: ArrayLike) -> Float | float:
    """PSNR of every pair of frames.

    Args:
        gen: (H, W, 3) or (N, H, W, 3) uint8 RGB, generated.
        gt: the same shape, real.

    Returns:
        dB in 0..100, higher is better: a float for one pair, (N,) float64 for stacks. 100 where the frames are equal.

    Raises:
        InputError: other dtypes, shapes that differ or are not RGB.
    """
    a, b, single = stacks(gen, gt)
    values = decibel(mean_squared_errors(a, b))
    return float(values[0]) if single else values


def psnr_pooled(gen: ArrayLike, gt: ArrayLike) -> float:
    """PSNR of the mean squared error over all frames together, in dB (0..100); arguments and errors as `psnr`.

    One equal frame does not lift it, unlike the mean of PSNRs.
    """
    a, b, _ = stacks(gen, gt)
    return float(decibel(mean_squared_errors(a, b).mean()))


def psnr_uint8wrap(gen: ArrayLike, gt: ArrayLike) -> Float | float:
    """Legacy: PSNR with the difference and its square wrapped modulo 256, in dB; arguments and errors as `psnr`.

    It is what `np.mean((a - b) ** 2)` gives on uint8 arrays (lelechen63/ATVGnet@02d8f8f psnr_f, Sxjdwang/TalkLip@7ed53ee
    PSNR): never below 24.2 dB, near 28 dB for unrelated frames, and not monotone in the error. 100 where the wrapped
    error is 0, which holds for frames that differ by multiples of 16 everywhere, too.

    Returns:
        a float for one pair, (N,) float64 for stacks.
    """
    a, b, single = stacks(gen, gt)
    values = decibel(wrapped_errors(a, b), cap=np.inf)
    return float(values[0]) if single else values


def mean_squared_errors(gen: Stack, gt: Stack) -> Float:
    """(N,) mean squared error (levels^2) of each pair; the sums are whole numbers below 2^53, so they are exact."""
    import cv2

    return np.array([cv2.norm(x, y, cv2.NORM_L2SQR) / x.size for x, y in zip(gen, gt)])


def wrapped_errors(gen: Stack, gt: Stack) -> Float:
    """(N,) mean of ((gen - gt) mod 256)^2 mod 256 of each pair."""
    out = np.empty(len(gen))
    for i, (x, y) in enumerate(zip(gen, gt)):
        d = x - y
        out[i] = np.mean(d * d, dtype=np.float64)
    return out


def decibel(mse: ArrayLike, cap: float = CAP) -> Float:
    """Mean squared errors (levels^2) -> dB, at most `cap`, and 100 where the error is 0."""
    mse = np.asarray(mse, np.float64)
    different = mse > 0
    values = 10.0 * np.log10(255.0**2 / np.where(different, mse, 1.0))
    out: Float = np.where(different, np.minimum(values, cap), CAP)
    return out


_HUYNH_THU = "Huynh-Thu, Ghanbari: Scope of validity of PSNR in image/video quality assessment, Electronics Letters 44(13), 2008, doi:10.1049/el:20080522"
_PSNR: Final = MetricSpec(
    name="psnr",
    title="PSNR",
    direction="up",
    unit="dB",
    range=(0.0, CAP),
    decimals=3,
    needs=frozenset({"gen.crop", "gt.crop"}),
    pooling="clip-mean",
    group="core",
    weights=(),
    summary="10 log10(255^2 / mse) of each crop pair, mse over RGB in float64, at most 100 dB; mean over frames, then over clips.",
    reads="How near the pixels are. A shift of one pixel costs more than a visible blur, and equal frames count 100 dB each: "
    "details name how many there were. It says nothing about whether the lips fit the audio.",
    citation=_HUYNH_THU,
    reference="scikit-image==0.26.0",
    tolerance=1e-9,
    version=1,
    real="content",
)
SPECS: Final = (
    _PSNR,
    replace(
        _PSNR,
        name="psnr_pooled",
        title="PSNR (pooled)",
        summary="PSNR of the mean squared error over all frames of a clip, at most 100 dB; mean over clips.",
        reads="As psnr, but single equal or nearly equal frames do not lift it: the worst frames decide.",
    ),
    replace(
        _PSNR,
        name="psnr_uint8wrap",
        title="PSNR (uint8 wrap, legacy)",
        range=(24.0, np.inf),
        group="opt-in",
        summary="PSNR whose difference and square wrap modulo 256, as two public evaluation codes compute it on uint8 arrays; mean over frames, then over clips.",
        reads="Only for comparison with tables made by such code. An arithmetic overflow: it never falls below 24.2 dB, bad results "
        "crowd between 28 and 34 dB, and a brightness change of 16 levels counts as none. Do not report it as PSNR.",
        citation="Chen, Maddox, Duan, Xu: Hierarchical Cross-Modal Talking Face Generation with Dynamic Pixel-Wise Loss, CVPR 2019, arXiv:1905.03820 (its evaluation code)",
        reference="lelechen63/ATVGnet@02d8f8f",
    ),
)


class PSNR(Family):
    """psnr, psnr_pooled and psnr_uint8wrap over the crop pairs of a clip."""

    specs = SPECS

    def start(self, pair: Pair) -> PSNRMeter:
        """A meter for one pair.

        Raises:
            MetricError: the pair has no crops, or crops of two sizes.
        """
        return PSNRMeter(pair, self.metrics)


class PSNRMeter:
    """Keeps the mean squared error of every frame of one clip."""

    looks_at = frozenset({"gen.crop", "gt.crop"})

    def __init__(self, pair: Pair, metrics: frozenset[str]) -> None:
        self._metrics = metrics
        self._kept = PairFrames(pair, ("mse", "wrapped"))

    def update(self, batch: Batch) -> None:
        """Take the next frames."""
        if self._metrics & {"psnr", "psnr_pooled"}:
            self._kept.put(batch, "mse", mean_squared_errors(batch.gen_crops, batch.gt_crops))
        if "psnr_uint8wrap" in self._metrics:
            self._kept.put(batch, "wrapped", wrapped_errors(batch.gen_crops, batch.gt_crops))

    def finish(self) -> Measurement:
        """The clip's numbers.

        Raises:
            MetricError: no frame has a crop in both videos.
        """
        found = self._kept.measurement()
        mse, wrapped = self._kept.frames["mse"], self._kept.frames["wrapped"]
        if "psnr" in self._metrics:
            found.frames["psnr"] = _per_frame(mse)
            found.values["psnr"] = mean_of(found.frames["psnr"])
            if identical := int((mse == 0).sum()):
                found.details["psnr_identical_frames"] = identical
        if "psnr_pooled" in self._metrics:
            found.values["psnr_pooled"] = float(decibel(np.nanmean(mse)))
        if "psnr_uint8wrap" in self._metrics:
            found.frames["psnr_uint8wrap"] = _per_frame(wrapped, cap=np.inf)
            found.values["psnr_uint8wrap"] = mean_of(found.frames["psnr_uint8wrap"])
        return found


def _per_frame(mse: Float, cap: float = CAP) -> Float:
    """Decibels, NaN where a frame has no error because it has no crop."""
    out: Float = np.where(np.isnan(mse), np.nan, decibel(mse, cap))
    return out
