"""Errors of landmarks: `akd`, `lve` and `fdd` on the 68 points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError, MetricError
from lipsync_eval.metrics.base import Failure, Family, Measurement, MetricSpec, mean_of
from lipsync_eval.metrics.lmd import points_at_256
from lipsync_eval.metrics.motion.measures.vertices import fdd, lip_vertex_error
from lipsync_eval.metrics.motion.whole import WholeClipMeter, mean_face_key, placed
from lipsync_eval.types import FOUND, Float, Pair, Track

MOUTH: Final = slice(48, 68)
UPPER: Final = (*range(17, 27), *range(36, 48))
"""Brows and eyes."""

_SIAROHIN: Final = "Siarohin, Lathuiliere, Tulyakov, Ricci, Sebe: First Order Motion Model for Image Animation, NeurIPS 2019, arXiv:2003.00196"
_MESHTALK: Final = "Richard, Zollhoefer, Wen, de la Torre, Sheikh: MeshTalk, ICCV 2021, arXiv:2104.08223"
_CODETALKER: Final = "Xing, Xia, Zhang, Cun, Wang, Wong: CodeTalker, CVPR 2023, arXiv:2301.02379"
_BOTH: Final = "mean over the frames whose landmarks were found in both videos, then over clips."

SPECS: Final = (
    MetricSpec(
        name="akd", title="AKD", direction="down", unit="px", range=(0.0, float("inf")), decimals=3,
        needs=frozenset({"gen.crop", "gt.crop", "gen.points", "gt.points"}), pooling="clip-mean", group="opt-in", weights=(),
        summary=f"Mean absolute difference of the coordinates (x and y alike) of all 68 points in the aligned crop at 256 px; {_BOTH}",
        reads="Pose, face shape and lips together, mostly pose. Papers that print 'AKD' as a mean Euclidean distance mean f_lmd, which is 1.41 to 2 times this (1.57 where errors have no direction).",
        citation=f"{_SIAROHIN} (supplement and AliaksandrSiarohin/pose-evaluation)", reference="AliaksandrSiarohin/pose-evaluation@54e33b4", tolerance=1e-9,
        version=1, real="content",
    ),
    MetricSpec(
        name="lve", title="LVE (68 points)", direction="down", unit="px", range=(0.0, float("inf")), decimals=3,
        needs=frozenset({"gen.crop", "gt.crop", "gen.points", "gt.points"}), pooling="clip-mean", group="opt-in", weights=(),
        summary=f"Largest Euclidean distance of the 20 lip points (48-67) in a frame, in the aligned crop at 256 px; {_BOTH}",
        reads="The worst lip point, so one badly found landmark rules a frame. Not the LVE of papers on 3D meshes, which is in their unit: see lve_vertices.",
        citation=_MESHTALK, reference="ours", tolerance=1e-9, version=1, real="content",
    ),
    MetricSpec(
        name="fdd", title="FDD (68 points)", direction="zero", unit="1", range=(float("-inf"), float("inf")), decimals=6,
        needs=frozenset({"gen.points", "gt.points"}), pooling="clip-mean", group="opt-in", weights=(),
        summary=(
            "How much more brows and eyes (points 17-26, 36-47) move in the real video: mean over points of the standard deviation over time of their squared "
            "distance from the real video's mean face, real less generated, in squares of the eyes' distance; head place, size and roll taken out."
        ),
        reads="Positive: the generated upper face moves less. It compares how much, not how: a face that moves wrongly but as much scores 0. Turns of the head leak in.",
        citation=_CODETALKER, reference="Doubiiu/CodeTalker@1ef925e", tolerance=1e-9, version=1, real="person",
    ),
)  # fmt: skip


def akd(gen: Float, real: Float) -> Float:
    """(T,) mean absolute difference of coordinates.

    Args:
        gen: (T, K, 2) px of the aligned crop.
        real: the same shape.

    Raises:
        InputError: shapes that differ.
    """
    if gen.shape != real.shape or gen.ndim != 3:
        raise InputError(f"gen and real must have one shape (T, K, 2), got {gen.shape} and {real.shape}")
    out: Float = np.abs(gen - real).mean(axis=(1, 2))
    return out


class LandmarkErrors(Family):
    """akd, lve, fdd."""

    specs = SPECS

    def signature(self, metric: str) -> Mapping[str, str]:
        """fdd: the mean face on which frames are put."""
        return mean_face_key() if metric == "fdd" else {}

    def start(self, pair: Pair) -> WholeClipMeter:
        """A meter for one pair; the frames are not looked at."""
        return WholeClipMeter(pair, self._compute)

    def _compute(self, pair: Pair) -> Measurement:
        """Raises MetricError where no frame has landmarks in both videos."""
        n, found = pair.n_frames, Measurement()
        if pair.gen.track is None or pair.real.track is None:
            raise MetricError("landmark errors need landmarks of both videos, but the pair has none")
        gen_track, real_track = pair.gen.track, pair.real.track
        in_gen, in_real = _found(gen_track, n), _found(real_track, pair.gt_frames)
        if pair.paired:
            in_gen = in_real = in_gen & in_real
        for name, measure in _IN_CROP.items():
            if name in self.metrics:
                _in_crop(name, measure, pair, found)
        if "fdd" in self.metrics:
            found.values["fdd"] = None
            if min(in_gen.sum(), in_real.sum()) < 2:
                fewest = int(min(in_gen.sum(), in_real.sum()))
                message = f"{fewest} frames have landmarks{' in both videos' if pair.paired else ''}; fdd needs 2"
                found.failures.append(Failure("fdd", "MetricError", message))
            else:
                gen, real = (
                    placed(t.points[: len(there)][there])[:, UPPER]
                    for t, there in ((gen_track, in_gen), (real_track, in_real))
                )
                found.values["fdd"] = fdd(gen, real, real.mean(axis=0), paired=pair.paired)
        if gone := int((~in_gen).sum()):
            found.details["landmark_errors_frames_skipped"] = gone
            where = " in both videos" if pair.paired else ""
            found.notes.append(f"akd, lve and fdd leave out {gone} of {n} frames without landmarks{where}")
        return found


def _found(track: Track, n: int) -> NDArray[np.bool_]:
    """(n,) frames whose landmarks were found there, not interpolated."""
    return np.asarray((track.status[:n] == FOUND) & np.isfinite(track.points[:n]).all(axis=(1, 2)))


_IN_CROP: Final[Mapping[str, Callable[[Float, Float], Float]]] = {
    "akd": akd,
    "lve": lambda gen, real: lip_vertex_error(gen[:, MOUTH], real[:, MOUTH]),
}


def _in_crop(name: str, measure: Callable[[Float, Float], Float], pair: Pair, found: Measurement) -> None:
    n = pair.n_frames
    (gen, gen_status), (real, real_status) = points_at_256(pair.gen, n), points_at_256(pair.real, n)
    both = (gen_status == FOUND) & (real_status == FOUND)
    frames = np.full(n, np.nan)
    frames[both] = measure(gen[both], real[both])
    found.frames[name] = frames
    found.values[name] = mean_of(frames)
    if found.values[name] is None:
        message = f"none of the {n} frames has landmarks and a crop in both videos"
        found.failures.append(Failure(name, "MetricError", message))
