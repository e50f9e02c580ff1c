"""Landmark distance (LMD): how far the generated lips are from the real ones, in px at 256; lower is better.

    LMD(t) = mean over points p of |gen(t, p) - gt(t, p)|      (Euclidean; points 48-67 of the iBUG 68)

Landmarks are taken to the aligned crop of the protocol, scaled so that its longer side is 256 px, and are not centred
(`lmd_centered` is). A frame counts when both videos have landmarks that were found there: interpolated ones are no
measurement and are left out, counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.errors import InputError, MetricError
from lipsync_eval.metrics.base import NO_FRAMES, Failure, Family, Measurement, MetricSpec, mean_of
from lipsync_eval.types import FILLED, FOUND, Float, Pair, Side

MOUTH = slice(48, 68)
"""The 20 lip points of the iBUG 68 (outer 48-59, inner 60-67)."""
_OUTER_EYE_CORNERS = (36, 45)


def landmark_distance(gen: ArrayLike, gt: ArrayLike, *, centred: bool = False) -> Float | float:
    """Mean Euclidean distance of corresponding points, of any set of points.

    Args:
        gen: (K, 2) or (T, K, 2) x, y.
        gt: the same shape.
        centred: subtract from each frame's points their own mean first, so that a shift of the whole set costs nothing.

    Returns:
        in the unit of the points, lower is better: a float for one frame, (T,) float64 for several; NaN where a
        frame has NaN points (a missing face).

    Raises:
        InputError: shapes that differ or are not (..., K, 2), or infinite values.
    """
    return _single_or_all(gen, gt, lambda a, b: _distances(a, b, centred=centred).mean(axis=1))


def lmd(gen: ArrayLike, gt: ArrayLike) -> Float | float:
    """LMD: mean distance over the lip points 48-67, not centred (Chen et al. 2018, as usually cited).

    Args:
        gen: (68, 2) or (T, 68, 2) landmarks in px of the aligned crop, generated.
        gt: the same shape, real.

    Returns:
        px, lower is better: a float for one frame, (T,) float64 for several; NaN where a frame has NaN points.

    Raises:
        InputError: shapes that differ or are not (..., 68, 2), or infinite values.
    """
    return _single_or_all(gen, gt, lambda a, b: _distances(a[:, MOUTH], b[:, MOUTH]).mean(axis=1), n_points=68)


def lmd_centered(gen: ArrayLike, gt: ArrayLike) -> Float | float:
    """LMD after each frame's 20 lip points had their mean subtracted; as `lmd` otherwise.

    Source: LMDMeter of Fictionarry/ER-NeRF@0cf72d8, M-LMD of yuangan/evaluation_eat@e39b004.
    """
    return _single_or_all(
        gen, gt, lambda a, b: _distances(a[:, MOUTH], b[:, MOUTH], centred=True).mean(axis=1), n_points=68
    )


def lmd_norm(gen: ArrayLike, gt: ArrayLike) -> Float | float:
    """LMD divided by the distance of the real face's outer eye corners (points 36 and 45) in the same frame.

    As `lmd` otherwise; without unit, and independent of the scale of the points. NaN also where the eye corners of the
    real face coincide.
    """
    return _single_or_all(gen, gt, _normalised, n_points=68)


def f_lmd(gen: ArrayLike, gt: ArrayLike) -> Float | float:
    """Mean distance over all 68 points, not centred; as `lmd` otherwise."""
    return _single_or_all(gen, gt, lambda a, b: _distances(a, b).mean(axis=1), n_points=68)


def lmd_atvg_sum(gen: ArrayLike, gt: ArrayLike) -> Float | float:
    """Sum, not mean, over the 20 centred lip points: 20 times `lmd_centered`; as `lmd` otherwise.

    Source: compare_landmarks of lelechen63/ATVGnet@02d8f8f.
    """
    return _single_or_all(
        gen, gt, lambda a, b: _distances(a[:, MOUTH], b[:, MOUTH], centred=True).sum(axis=1), n_points=68
    )


def _distances(gen: Float, gt: Float, *, centred: bool = False) -> Float:
    """(T, K) Euclidean distances."""
    d = gen - gt
    if centred:
        d = d - d.mean(axis=1, keepdims=True)
    out: Float = np.hypot(d[..., 0], d[..., 1])
    return out


def _normalised(gen: Float, gt: Float) -> Float:
    left, right = _OUTER_EYE_CORNERS
    eyes = np.hypot(*(gt[:, right] - gt[:, left]).T)
    distance = _distances(gen[:, MOUTH], gt[:, MOUTH]).mean(axis=1)
    out: Float = distance / np.where(eyes > 0, eyes, np.nan)
    return out


def _single_or_all(
    gen: ArrayLike, gt: ArrayLike, measure: Callable[[Float, Float], Float], n_points: int | None = None
) -> Float | float:
    """Check the points, measure (T, K, 2) float64, and give a float back where single frames came in."""
    a, b = _points("gen", gen, n_points), _points("gt", gt, n_points)
    if a.shape != b.shape:
        raise InputError(
            f"gen and gt must have one shape, got {a.shape} and {b.shape}; cut both to the same frames first"
        )
    if a.ndim == 2:
        return float(measure(a[None], b[None])[0])
    return measure(a, b)


def _points(name: str, points: ArrayLike, n_points: int | None) -> Float:
    try:
        a = np.asarray(points, np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} must be numbers of shape (T, K, 2): {error}") from error
    wanted = f"(T, {n_points or 'K'}, 2) or ({n_points or 'K'}, 2)"
    if a.ndim not in (2, 3) or a.shape[-1] != 2 or a.shape[-2] == 0 or n_points not in (None, a.shape[-2]):
        raise InputError(
            f"{name} must be x, y of landmarks in shape {wanted}, got {a.shape}; for other sets of points use landmark_distance"
        )
    if np.isinf(a).any():
        raise InputError(f"{name} has infinite coordinates; mark missing landmarks with NaN")
    return a


_MEASURES = {
    "lmd": lmd,
    "lmd_centered": lmd_centered,
    "lmd_norm": lmd_norm,
    "f_lmd": f_lmd,
    "lmd_atvg_sum": lmd_atvg_sum,
}
_CHEN_2018 = "Chen, Li, Maddox, Duan, Xu: Lip Movements Generation at a Glance, ECCV 2018, arXiv:1803.10404"
_ATVG = "Chen, Maddox, Duan, Xu: Hierarchical Cross-Modal Talking Face Generation with Dynamic Pixel-Wise Loss, CVPR 2019, arXiv:1905.03820"
_EAT = "Gan, Yang, Yue, Sun, Yang: Efficient Emotional Adaptation for Audio-Driven Talking-Head Generation, ICCV 2023, arXiv:2309.04946"
_ERNERF = "Li, Zhang, Bai, Zhou, Gu: Efficient Region-Aware Neural Radiance Fields for High-Fidelity Talking Portrait Synthesis, ICCV 2023, arXiv:2307.09323"
_300W = "Sagonas, Antonakos, Tzimiropoulos, Zafeiriou, Pantic: 300 Faces In-The-Wild Challenge: Database and Results, IVC 47, 2016, doi:10.1016/j.imavis.2016.01.002"
_FRAMES = "mean over the frames whose landmarks were found in both videos, then over clips."
_LMD: Final = MetricSpec(
    name="lmd",
    title="LMD",
    direction="down",
    unit="px",
    range=(0.0, np.inf),
    decimals=3,
    needs=frozenset({"gen.crop", "gt.crop", "gen.points", "gt.points"}),
    pooling="clip-mean",
    group="core",
    weights=(),
    summary=f"Mean Euclidean distance of the 20 lip points (48-67) in the aligned crop at 256 px; {_FRAMES}",
    reads="How far the lips are from the real ones: place, opening and shape together. The landmark detector's own error is in it, "
    "and lips that move right but late score as badly as wrong ones.",
    citation=_CHEN_2018,
    reference="ours",
    tolerance=0.0,
    version=1,
    real="content",
)
SPECS: Final = (
    _LMD,
    replace(
        _LMD,
        name="lmd_centered",
        title="LMD (centred)",
        summary=f"As lmd after each frame's 20 lip points had their mean subtracted; {_FRAMES}",
        reads="Opening and shape of the lips without their place: a mouth that sits 4 px too low costs nothing. The detector's own error is in it.",
        citation=f"{_ERNERF} (LMD); {_EAT} (M-LMD)",
        reference="Fictionarry/ER-NeRF@0cf72d8",
        tolerance=1e-5,
    ),
    replace(
        _LMD,
        name="lmd_norm",
        title="LMD (normalised)",
        unit="1",
        decimals=4,
        summary=f"lmd divided by the distance of the real face's outer eye corners (36, 45) in the same frame; {_FRAMES}",
        reads="As lmd, but it does not depend on how large the face is in the crop. It grows when the head turns away, because the eyes draw together.",
        citation=f"{_CHEN_2018}; normalised as in {_300W}",
    ),
    replace(
        _LMD,
        name="f_lmd",
        title="F-LMD",
        summary=f"Mean Euclidean distance of all 68 points in the aligned crop at 256 px; {_FRAMES}",
        reads="Pose, face shape and lips together; mostly pose.",
        citation=_EAT + " (F-LMD, there centred)",
    ),
    replace(
        _LMD,
        name="lmd_atvg_sum",
        title="LMD (ATVG sum)",
        group="opt-in",
        summary=f"Sum of the distances of the 20 centred lip points: 20 times lmd_centered; {_FRAMES}",
        reads="Only for comparison with tables made by ATVGnet's code, which does not divide by the number of points.",
        citation=_ATVG + " (its evaluation code)",
        reference="lelechen63/ATVGnet@02d8f8f",
        tolerance=1e-9,
    ),
)


class LMD(Family):
    """lmd, lmd_centered, lmd_norm, f_lmd and lmd_atvg_sum of the landmarks of a clip."""

    specs = SPECS

    def start(self, pair: Pair) -> LMDMeter:
        """A meter for one pair.

        Raises:
            MetricError: the pair has no landmarks or no crops.
        """
        return LMDMeter(pair, self.metrics)


class LMDMeter:
    """Compares the two tracks of one clip; the frames are not looked at."""

    looks_at = NO_FRAMES

    def __init__(self, pair: Pair, metrics: frozenset[str]) -> None:
        self._n = pair.n_frames
        self._metrics = [name for name in _MEASURES if name in metrics]
        gen, gen_status = points_at_256(pair.gen, self._n)
        gt, gt_status = points_at_256(pair.real, self._n)
        self._found = (gen_status == FOUND) & (gt_status == FOUND)
        self._filled = ((gen_status == FILLED) & (gt_status != 0)) | ((gt_status == FILLED) & (gen_status != 0))
        self._points = [np.where(self._found[:, None, None], p, np.nan) for p in (gen, gt)]

    def update(self, batch: Batch) -> None:
        """Frames are not needed."""

    def finish(self) -> Measurement:
        """The clip's numbers.

        Raises:
            MetricError: no frame has landmarks in both videos.
        """
        if not self._found.any():
            raise MetricError(f"none of the {self._n} frames has landmarks in both videos{self._interpolated()}")
        found = Measurement()
        for name in self._metrics:
            found.frames[name] = np.asarray(_MEASURES[name](*self._points))
            found.values[name] = mean_of(found.frames[name])
            if found.values[name] is None:
                message = (
                    "the outer eye corners of the real face coincide in every frame, so there is nothing to divide by"
                )
                found.failures.append(Failure(metric=name, error="MetricError", message=message))
        if skipped := int((~self._found).sum()):
            found.details["lmd_frames_skipped"] = skipped
            found.notes.append(
                f"landmark distances leave out {skipped} of {self._n} frames without landmarks in both videos{self._interpolated()}"
            )
        return found

    def _interpolated(self) -> str:
        filled = int(self._filled.sum())
        return f" ({filled} of them have interpolated ones only)" if filled else ""


def points_at_256(side: Side, n: int) -> tuple[Float, NDArray[np.uint8]]:
    """(n, 68, 2) landmarks in px of the crop at 256, and their status; frames without a crop count as missing."""
    if side.track is None or side.crop is None:
        raise MetricError("landmark distances need landmarks and a crop of both videos, but the pair has none")
    points = side.crop.points(side.track.points)[:n] * side.crop.scale256
    status = np.where(side.crop.valid[:n] & np.isfinite(points).all(axis=(1, 2)), side.track.status[:n], 0).astype(
        np.uint8
    )
    return points, status
