"""What metrics on pairs of frames share: checking stacks of frames, and keeping one number per frame."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.errors import InputError, MetricError
from lipsync_eval.metrics.base import Measurement
from lipsync_eval.types import Float, Pair

Stack = NDArray[np.uint8]
"""(N, H, W, 3) RGB."""


def stacks(gen: ArrayLike, gt: ArrayLike) -> tuple[Stack, Stack, bool]:
    """Check two frames or two stacks of frames.

    Args:
        gen: (H, W, 3) or (N, H, W, 3) uint8 RGB.
        gt: the same shape.

    Returns:
        both as (N, H, W, 3), and whether single frames were given.

    Raises:
        InputError: wrong dtype, wrong shape, nothing in it, or shapes that differ.
    """
    a, b = _stack("gen", gen), _stack("gt", gt)
    if a.shape != b.shape:
        raise InputError(
            f"gen and gt must have one shape, got {a.shape} and {b.shape}; bring both to one size and length first"
        )
    if a.ndim == 3:
        return a[None], b[None], True
    return a, b, False


def _stack(name: str, frames: ArrayLike) -> Stack:
    try:
        a = np.asarray(frames)
    except ValueError as error:
        raise InputError(f"{name} must be one array (N, H, W, 3); its frames differ in size: {error}") from error
    if a.dtype != np.uint8:
        raise InputError(f"{name} must be uint8 RGB in 0..255, got {a.dtype}{_remedy(a)}")
    if a.ndim not in (3, 4) or a.shape[-1] != 3:
        raise InputError(f"{name} must be (H, W, 3) or (N, H, W, 3), got {a.shape}{_layout(a)}")
    if 0 in a.shape:
        raise InputError(f"{name} is empty: {a.shape}")
    return a


def _remedy(a: NDArray[np.generic]) -> str:
    """What to do about an array that is not uint8."""
    if a.dtype.kind == "f" and a.size:
        if not np.isfinite(a).all():
            return " with NaN or infinite values: find out where they come from, then round to uint8"
        low, high = float(a.min()), float(a.max())
        if low >= -1.001 and high <= 1.001:
            how = "x * 255" if low >= 0 else "(x + 1) * 127.5"
            return f" in {low:.3g}..{high:.3g}: write ({how}).round().clip(0, 255).astype(np.uint8)"
        return f" in {low:.4g}..{high:.4g}: bring it to 0..255, then write x.round().clip(0, 255).astype(np.uint8)"
    if a.dtype.kind in "iu" and a.size:
        low, high = int(a.min()), int(a.max())
        if low >= 0 and high <= 255:
            return ": write x.astype(np.uint8)"
        return f" in {low}..{high}: bring it to 0..255, then write x.astype(np.uint8)"
    return ""


def _layout(a: NDArray[np.generic]) -> str:
    if a.ndim in (3, 4) and a.shape[-3] == 3:
        return ": channels come last, write np.moveaxis(x, -3, -1)"
    if a.ndim == 2 or (a.ndim in (3, 4) and a.shape[-1] == 1):
        return ": a grey frame, repeat it to three channels if that is what is meant"
    if a.ndim in (3, 4) and a.shape[-1] == 4:
        return ": drop the alpha channel, write x[..., :3]"
    return ""


class PairFrames:
    """One number per frame of the crop pairs of one clip, for any number of quantities."""

    def __init__(self, pair: Pair, names: Iterable[str]) -> None:
        """Set up for a pair.

        Raises:
            MetricError: the pair has no crops, or crops of two sizes.
        """
        gen, gt = pair.gen.crop, pair.real.crop
        if gen is None or gt is None:
            raise MetricError("this metric compares crops, but the pair has none")
        if gen.size != gt.size:
            raise MetricError(
                f"the crops differ in size: {gen.size} and {gt.size} (height, width); use a protocol that brings both to one size"
            )
        self.size = gen.size
        self.frames = {name: np.full(pair.n_frames, np.nan) for name in names}
        n = pair.n_frames
        self._missing = n - int((gen.valid[:n] & gt.valid[:n]).sum())
        self._n = n

    def put(self, batch: Batch, name: str, values: Float) -> None:
        """Keep the values of a batch: one for every frame that has a crop in both videos."""
        self.frames[name][batch.index[batch.both]] = values

    def measurement(self) -> Measurement:
        """An empty measurement that names the frames left out.

        Raises:
            MetricError: no frame has a crop in both videos.
        """
        if self._missing == self._n:
            raise MetricError(f"none of the {self._n} frames has a crop in both videos")
        found = Measurement()
        if self._missing:
            found.details["frames_without_crop_pair"] = self._missing
            found.notes.append(
                f"{self._missing} of {self._n} frames have no crop in both videos and are left out of image metrics"
            )
        return found
