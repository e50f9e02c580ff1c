"""Frechet distance of expressions over all frames of a run: `efid_blendshapes` and `efid_deep3d`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.cache import Cache
from lipsync_eval.errors import ClipError, MetricError
from lipsync_eval.features.blendshapes import ROW
from lipsync_eval.metrics.base import Family, Measurement, MetricSpec, Pooled
from lipsync_eval.metrics.helpers.frechet import Moments, frechet_distance
from lipsync_eval.metrics.motion.files import DEEP3D, read_deep3d
from lipsync_eval.metrics.motion.whole import WholeClipMeter
from lipsync_eval.types import Frame, Pair, Side

if TYPE_CHECKING:
    from lipsync_eval.features.blendshapes import Blendshapes
    from lipsync_eval.weights import WeightFile

ENOUGH: Final = 1000
"""Frames a side below which a note says that the value is uncertain."""
_CITATION: Final = "Tian, Wang, Zhang, Bo: EMO, ECCV 2024, arXiv:2402.17485 (E-FID); Ki, Min, Chae: FLOAT, ICCV 2025, arXiv:2412.01064 (64 expression numbers of Deep3D)"
_READS: Final = (
    "Distance of two clouds of facial expressions; which frame shows which does not matter, so it says nothing of sync. Frames of a clip are alike: few clips make it uncertain "
    "whatever the number of frames."
)
_BLEND: Final = MetricSpec(
    name="efid_blendshapes", title="E-FID (blendshapes)", direction="down", unit="1", range=(0.0, float("inf")), decimals=4,
    needs=frozenset({"gen.points", "gt.points", "gen.frames", "gt.frames", "weights"}), pooling="pooled", group="weights", weights=(ROW,),
    summary="Frechet distance of MediaPipe's 52 blendshape scores over all frames of the run, all clips together.",
    reads=f"{_READS} Not the E-FID of papers, which is on Deep3D's 64 numbers (efid_deep3d) and another scale.",
    citation=_CITATION, reference="ours", tolerance=1e-4, version=1, real="set",
)  # fmt: skip
_DEEP3D_SPEC: Final = replace(
    _BLEND, name="efid_deep3d", title="E-FID (Deep3D)", decimals=3, needs=frozenset({"npz"}), group="user-file", weights=(),
    summary="Frechet distance of Deep3DFaceRecon's 64 expression coefficients, from <stem>.deep3d.npz beside the clips, over all frames of the run.",
    reads=f"{_READS} What papers print as E-FID, as far as their code is public; some texts say Inception features instead. Compare only runs with one Deep3D model.",
)  # fmt: skip


class _Efid(Family):
    """Pools the moments of both sides' expressions."""

    def pool(self, metric: str, states: Sequence[tuple[str, Mapping[str, NDArray[np.generic]]]]) -> Pooled:
        """The distance of the moments of all clips; one clip's state is in memory at a time."""
        sides: dict[str, Moments] = {}
        for _, state in states:
            for side in ("gen", "gt"):
                more = Moments.from_arrays(state, side)
                sides[side] = sides[side] + more if side in sides else more
        if len(sides) < 2 or min(m.n for m in sides.values()) < 2:
            return Pooled(None, (f"{metric}: fewer than 2 frames a side: no covariance",), {})
        gen, real = sides["gen"], sides["gt"]
        value = max(frechet_distance(gen.mean, gen.covariance, real.mean, real.covariance), 0.0)
        few = min(gen.n, real.n) < ENOUGH
        notes = (
            (f"{metric}: {gen.n} generated and {real.n} real frames; below {ENOUGH} the value is biased upwards",)
            if few
            else ()
        )
        return Pooled(value, notes, {"n_gen_frames": gen.n, "n_gt_frames": real.n, "n_clips": len(states)})


def _state(gen: NDArray[np.floating], real: NDArray[np.floating]) -> dict[str, NDArray[np.generic]]:
    return Moments.of(gen).arrays("gen") | Moments.of(real).arrays("gt")


class EfidDeep3d(_Efid):
    """efid_deep3d."""

    specs = (_DEEP3D_SPEC,)

    def start(self, pair: Pair) -> WholeClipMeter:
        """A meter for one pair; the frames are not looked at."""
        return WholeClipMeter(pair, self._compute)

    def _compute(self, pair: Pair) -> Measurement:
        """Raises MetricError: a file is missing or malformed."""
        gen = read_deep3d(pair.gen.clip)[: pair.n_frames]
        real = read_deep3d(pair.real.clip)[: pair.gt_frames]
        return Measurement(states={_DEEP3D_SPEC.name: _state(gen, real)}, details={"efid_deep3d_file": DEEP3D})


class EfidBlendshapes(_Efid):
    """efid_blendshapes, where mediapipe is installed."""

    specs = (_BLEND,)

    def _file(self) -> WeightFile:
        from lipsync_eval.weights import locate

        return locate(self.settings, ROW)

    def check(self) -> None:
        """mediapipe and its model are here."""
        from lipsync_eval.features.blendshapes import check_installed

        self._file()
        check_installed()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the model by content, and mediapipe's version, whose graph is part of it."""
        from lipsync_eval.features.blendshapes import feature_name

        return {"feat": feature_name(self._file().signature)}

    def start(self, pair: Pair) -> _BlendshapesMeter:
        """A meter for one pair."""
        return _BlendshapesMeter(
            pair, self._file(), Cache(self.settings.cache_dir), self.signature(_BLEND.name)["feat"]
        )


class _BlendshapesMeter:
    """Scores of both faces, frame by frame; those of the real video are kept in the cache that StyleSim shares."""

    def __init__(self, pair: Pair, file: WeightFile, cache: Cache, feature: str) -> None:
        self.pair, self.file = pair, file
        self.sides = {
            name: _Scores(side, file, cache, feature) for name, side in (("gen", pair.gen), ("gt", pair.real))
        }

    @property
    def looks_at(self) -> frozenset[str]:
        """The videos that the cache did not know."""
        return frozenset(f"{name}.frames" for name, side in self.sides.items() if side.known is None)

    def update(self, batch: Batch) -> None:
        """Take the next frames."""
        self.sides["gen"].take(batch.start, batch.gen)
        self.sides["gt"].take(batch.start, batch.gt)

    def finish(self) -> Measurement:
        """Moments of both sides. Raises MetricError where MediaPipe saw no face."""
        found = Measurement(notes=[self.file.note] if self.file.note else [])
        rows = {}
        for name, which, n in (("gen", "generated", self.pair.n_frames), ("gt", "real", self.pair.gt_frames)):
            try:
                rows[name] = self.sides[name].rows(n)
            except ClipError as error:
                raise MetricError(f"{which} video: {error}") from error
            found.details[f"efid_blendshapes_frames_{name}"] = len(rows[name])
            if gone := n - len(rows[name]):
                found.notes.append(
                    f"efid_blendshapes: {gone} of {n} frames of the {which} video have no face and are left out"
                )
        found.states[_BLEND.name] = _state(rows["gen"], rows["gt"])
        return found


class _Scores:
    """Blendshapes of one video, from the cache or from its frames."""

    def __init__(self, side: Side, file: WeightFile, cache: Cache, feature: str) -> None:
        from lipsync_eval.features.blendshapes import score_key

        self.side, self.file, self.cache = side, file, cache
        self.key = score_key(side.clip, side.track, feature)
        self.known = cache.get(self.key)
        self.landmarker: Blendshapes | None = None
        self.index: list[int] = []
        self.scores: list[NDArray[np.float32]] = []

    def take(self, start: int, frames: Sequence[Frame]) -> None:
        track = self.side.track
        if self.known is not None or track is None:
            return
        if self.landmarker is None:
            from lipsync_eval.features.blendshapes import Blendshapes

            self.landmarker = Blendshapes(self.file.path)
        for i, frame in enumerate(frames, start):
            if i < len(track.points) and track.valid[i]:
                found = self.landmarker(frame, track.points[i])
                if found is not None:
                    self.index.append(i)
                    self.scores.append(found)

    def rows(self, n_frames: int) -> NDArray[np.floating]:
        """(k, 52) of the frames with a face."""
        if self.landmarker is not None:
            self.landmarker.close()
            self.landmarker = None
        if self.known is None:
            if not self.scores:
                raise MetricError("MediaPipe found no face in any frame")
            self.known = {"index": np.array(self.index), "scores": np.stack(self.scores)}
            self.cache.put(self.key, self.known)
        used = self.known["index"].astype(np.intp) < n_frames
        out: NDArray[np.floating] = self.known["scores"][used].astype(np.float64)
        return out
