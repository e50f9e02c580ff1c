"""LPIPS and FID of crops that you have as arrays."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float, Settings


def lpips(
    gen: ArrayLike,
    gt: ArrayLike,
    *,
    net: Literal["alex", "vgg", "squeeze"] = "alex",
    settings: Settings | None = None,
) -> Float | float:
    """LPIPS v0.1 (Zhang et al., CVPR 2018) of every pair of crops; the weights must be here (`lipsync-eval weights pull`).

    Args:
        gen: (H, W, 3) or (N, H, W, 3) uint8 RGB, generated.
        gt: the same shape, real.
        net: trunk; the field's default is alex.
        settings: weights and device; None: Settings().

    Returns:
        distance >= 0, lower is more alike, no unit: a float for one pair, (N,) float64 for stacks.

    Raises:
        InputError: wrong dtype or shape, or too small for the net.
        MissingWeights: the weights are not on this machine.
    """
    from dataclasses import replace

    from lipsync_eval.metrics.helpers.frames import stacks
    from lipsync_eval.metrics.lpips import Lpips
    from lipsync_eval.metrics.lpips import lpips as distances

    a, b, single = stacks(gen, gt)
    settings = settings or Settings()
    family = Lpips(replace(settings, options={**settings.options, "lpips_net": net}), frozenset({"lpips"}))
    values = distances(family.network(), a, b, precision=family.settings.precision)
    return float(values[0]) if single else values


def fid(gen: ArrayLike, gt: ArrayLike, *, clean: bool = False, settings: Settings | None = None) -> float:
    """Frechet Inception distance (Heusel et al., NeurIPS 2017) between two sets of crops.

    With fewer than 2048 crops a side the value is biased upwards; `score` says so, this function does not.

    Args:
        gen: (N, h, w, 3) uint8 RGB, generated; N >= 2.
        gt: (M, h, w, 3) uint8 RGB, real; M >= 2, another N and size are fine.
        clean: resize as clean-fid does (`fid_clean`); False: as pytorch-fid does (`fid`).
        settings: weights and device; None: Settings().

    Returns:
        >= 0, lower is better, no unit.

    Raises:
        InputError: wrong dtype or shape, or fewer than two crops.
        MissingWeights: the Inception weights are not on this machine.
    """
    from lipsync_eval.metrics.fid import Fid
    from lipsync_eval.metrics.helpers.frechet import Moments, frechet_distance

    metric = "fid_clean" if clean else "fid"
    family = Fid(settings or Settings(), frozenset({metric}))
    a, b = (Moments.of(family.embed(_crops(name, x), metric)) for name, x in (("gen", gen), ("gt", gt)))
    return max(frechet_distance(a.mean, a.covariance, b.mean, b.covariance), 0.0)


def _crops(name: str, crops: ArrayLike) -> NDArray[np.uint8]:
    a = np.asarray(crops)
    if a.dtype != np.uint8 or a.ndim != 4 or a.shape[-1] != 3 or len(a) < 2 or 0 in a.shape:
        raise InputError(f"{name} must be at least two crops, (N, h, w, 3) uint8 RGB; got {a.shape} {a.dtype}")
    return a
