"""CSIM: is it still the same face? Cosine of ArcFace vectors, frame by frame, or against a reference."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.cache import Cache
from lipsync_eval.errors import ClipError, LipsyncError, UsageError
from lipsync_eval.metrics.base import Failure, Family, Measurement, MetricSpec, mean_of
from lipsync_eval.options import Option
from lipsync_eval.types import Float, Frame, Pair, Settings, Side

if TYPE_CHECKING:
    from lipsync_eval.features.arcface import FaceEmbedder
    from lipsync_eval.weights import WeightFile

ROW: Final = "w600k_r50"
NET: Final = Option(
    name="csim_net",
    heading="CSIM",
    help=f"Network: a weights row of the role arcface; not given: {ROW}.",
    kind="text",
    moves=True,
    key="",
)
REFERENCE_STEP: Final = 5
"""Every 5th frame of a reference video enters its template."""
_CACHED_FRAMES: Final = 15_000
"""Real videos up to 10 minutes have their vectors cached."""

_READS: Final = (
    "Same person near 1 (0.6 to 0.9 across poses), different people near 0 to 0.3; where the line lies depends on the network, so numbers of different networks "
    "cannot be compared. Blur, occlusion and head turns lower it too. Against the real video of the same frames a real clip scores exactly 1."
)


_CSIM: Final = MetricSpec(
    name="csim",
    title="CSIM",
    direction="up",
    unit="1",
    range=(-1.0, 1.0),
    decimals=3,
    needs=frozenset({"gen.points", "gt.points", "gen.frames", "gt.frames", "weights"}),
    pooling="clip-mean",
    group="weights",
    weights=(ROW,),
    summary="Cosine of ArcFace vectors of the generated and the real face in the same frame, five-point alignment at 112 x 112; mean over frames with both faces.",
    reads=_READS,
    citation="Deng, Guo, Xue, Zafeiriou: ArcFace: Additive Angular Margin Loss for Deep Face Recognition, CVPR 2019, arXiv:1801.07698",
    reference="deepinsight/insightface@7fadd42",
    tolerance=1e-3,
    version=1,
    real="person",
)
SPECS: Final = (
    _CSIM,
    replace(
        _CSIM,
        name="csim_p5",
        title="CSIM (5th percentile)",
        summary="5th percentile over the frames of a clip of the same cosines (linear between ranks); mean over clips.",
        reads="How bad the worst moments are: a face that slips for a second moves this and hardly the mean. " + _READS,
    ),
    replace(
        _CSIM,
        name="csim_ref",
        title="CSIM (reference)",
        needs=frozenset({"gen.points", "gen.frames", "reference", "weights"}),
        group="user-file",
        real="none",
        summary="Cosine of the ArcFace vectors of each generated face and of the reference (an image, or the mean vector of every 5th frame of a video); mean over frames.",
        reads="Identity against another recording of the person, so the real video itself stays below 1: its own value is given beside. "
        + _READS,
    ),
)


class Csim(Family):
    """csim, csim_p5 and csim_ref."""

    specs = SPECS
    options = (NET,)

    @property
    def has_network(self) -> bool:  # type: ignore[override]
        """An ONNX file runs as it is, in float32."""
        return self._file().path.suffix.lower() != ".onnx"

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        super().__init__(settings, metrics)
        self._embedder: FaceEmbedder | None = None
        self._template: tuple[Path, Float] | None = None

    def _file(self) -> WeightFile:
        from lipsync_eval.weights import get_row, locate

        named = self.option(NET.name)
        if not named:
            return locate(self.settings, ROW, role="arcface")
        if get_row(named).role != "arcface":
            raise UsageError(
                f"csim_net={named}: these weights are no face recognition; `lipsync-eval weights list` names those of the role arcface"
            )
        return locate(self.settings, named)

    def check(self) -> None:
        """The weights are here, and the reference where one is needed."""
        from lipsync_eval.features import reference

        if "csim_ref" in self.metrics:
            reference.check(self.settings)
        self._file()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the network. ref: how a reference is used."""
        keys = {"feat": self._file().signature}
        return keys | {"ref": f"template{REFERENCE_STEP}"} if metric == "csim_ref" else keys

    def start(self, pair: Pair) -> CsimMeter:
        """A meter for one pair; loads the network, and the vectors of the real video where the cache has them."""
        return CsimMeter(self, pair)

    def embedder(self) -> FaceEmbedder:
        """The loaded network."""
        if self._embedder is None:
            from lipsync_eval.features.arcface import FaceEmbedder

            self._embedder = FaceEmbedder(self._file(), self.settings.device, self.settings.precision)
        return self._embedder

    def template(self, clip_id: str) -> Float:
        """(D,) unit vector of the clip's reference.

        Raises:
            ClipError: no reference for this clip, or no face in it.
        """
        from lipsync_eval.features import reference

        path = reference.find(self.settings, clip_id)
        if self._template is None or self._template[0] != path:
            clip = reference.open_reference(path)
            track = reference.track_reference(self.settings, clip)
            chosen = set(np.flatnonzero(track.valid)[::REFERENCE_STEP].tolist())
            total = np.zeros(0)
            for i, frame in enumerate(clip.frames()):
                if i in chosen:
                    vector = self.embedder().embed([frame], track.points[i][None])[0].astype(np.float64)
                    total = vector if not len(total) else total + vector
            if not len(total):
                raise ClipError(f"no face was found in the reference {path.name}; give one that shows the person")
            self._template = path, total / max(float(np.linalg.norm(total)), 1e-12)
        return self._template[1]


class CsimMeter:
    """Keeps the cosine of every frame of one clip, and of both videos with the reference."""

    def __init__(self, family: Csim, pair: Pair) -> None:
        self.family, self.pair = family, pair
        self.embedder = family.embedder()
        n = pair.n_frames
        self.paired = bool(family.metrics & {"csim", "csim_p5"})
        self.cosines, self.gen_ref, self.gt_ref = (np.full(k, np.nan) for k in (n, n, pair.gt_frames))
        self.template: Float | None = None
        self.template_error: LipsyncError | None = None
        if "csim_ref" in family.metrics:
            try:
                self.template = family.template(pair.id)
            except ClipError as error:
                self.template_error = error
        self.cache = Cache(family.settings.cache_dir if 0 < pair.gt_frames <= _CACHED_FRAMES else None)
        self.key = _key(pair, self.embedder)
        if self.key:
            self.key |= family.number_format
        stored = self.cache.get(self.key) if self.key else None
        self.known = None if stored is None else stored["vectors"]
        self.fresh: list[NDArray[np.float32]] = []

    @property
    def looks_at(self) -> frozenset[str]:
        """The real frames only where their vectors are needed and the cache did not know them."""
        real = self.known is None and (self.paired or self.template is not None) and self.pair.gt is not None
        return frozenset({"gen.frames", "gt.frames"} if real else {"gen.frames"})

    def update(self, batch: Batch) -> None:
        """Take the next frames."""
        gen_at, gen = self._vectors(self.pair.gen, batch.index, batch.gen)
        if self.template is not None and len(gen_at):
            self.gen_ref[gen_at] = _with(gen, self.template)
        side = self.pair.gt
        if not (self.paired or self.template is not None) or side is None or side.track is None:
            return
        gt_at, gt = self._real(batch, side)
        if self.template is not None and len(gt_at):
            self.gt_ref[gt_at] = _with(gt, self.template)
        both, i, j = np.intersect1d(gen_at, gt_at, return_indices=True)
        if len(both):
            self.cosines[both] = np.clip(np.einsum("nd,nd->n", gen[i], gt[j]), -1.0, 1.0)

    def _vectors(self, side: Side, index: NDArray[np.intp], frames: Sequence[Frame]) -> tuple[NDArray[np.intp], Float]:
        """Frame numbers that have a face, and their unit vectors (n, D)."""
        if side.track is None:
            return np.empty(0, np.intp), np.empty((0, 0))
        has = np.flatnonzero(side.track.valid[index])
        vectors = self.embedder.embed([frames[int(k)] for k in has], side.track.points[index[has]])
        return index[has], vectors.astype(np.float64)

    def _real(self, batch: Batch, side: Side) -> tuple[NDArray[np.intp], Float]:
        """The same for the real side, from the cache where it has them."""
        track = side.track
        if self.known is not None and track is not None:
            rows = np.cumsum(track.valid) - 1
            index = np.arange(batch.start, min(batch.start + len(batch.gen), len(track.valid)))
            at = index[track.valid[index]]
            return at, self.known[rows[at]].astype(np.float64)
        at, vectors = self._vectors(side, batch.gt_index, batch.gt)
        if self.cache.folder is not None and len(at):
            self.fresh.append(vectors.astype(np.float32))
        return at, vectors

    def finish(self) -> Measurement:
        """The clip's numbers; a metric without any face is a failure of its own."""
        if self.key and self.known is None and self.fresh:
            self.cache.put(self.key, {"vectors": np.concatenate(self.fresh)})
        found = Measurement(notes=[self.embedder.file.note] if self.embedder.file.note else [])
        if self.paired:
            self._pairs(found)
        if "csim_ref" in self.family.metrics:
            self._reference(found)
        return found

    def _pairs(self, found: Measurement) -> None:
        good, n = np.isfinite(self.cosines), self.pair.n_frames
        if not self.pair.paired:
            found.notes.append(
                f"csim: frame by frame, over the {min(n, self.pair.gt_frames)} frames that both videos have; they show other speech"
            )
        wanted = sorted(self.family.metrics & {"csim", "csim_p5"})
        if not good.any():
            message = f"none of the {n} frames has a face in both videos"
            found.failures += [Failure(name, "FaceError", message) for name in wanted]
            return
        scores = {"csim": mean_of(self.cosines), "csim_p5": float(np.percentile(self.cosines[good], 5))}
        found.values |= {name: scores[name] for name in wanted}
        if "csim" in wanted:
            found.frames["csim"] = self.cosines
        if skipped := n - int(good.sum()):
            found.details["csim_frames_without_both_faces"] = skipped
            found.notes.append(f"csim: {skipped} of {n} frames have no face in both videos and are left out")

    def _reference(self, found: Measurement) -> None:
        n, side = self.pair.n_frames, self.pair.gt
        if self.known is not None and self.template is not None and side is not None and side.track is not None:
            self.gt_ref[side.track.valid] = _with(self.known.astype(np.float64), self.template)
        value = mean_of(np.clip(self.gen_ref, -1.0, 1.0))
        if self.template_error is not None:
            found.failures.append(Failure("csim_ref", type(self.template_error).__name__, str(self.template_error)))
        elif value is None:
            found.failures.append(Failure("csim_ref", "FaceError", f"none of the {n} generated frames has a face"))
        else:
            found.values["csim_ref"] = value
            found.frames["csim_ref"] = self.gen_ref
            if (own := mean_of(np.clip(self.gt_ref, -1.0, 1.0))) is not None:
                found.gt_values["csim_ref"] = own
            if skipped := int(np.isnan(self.gen_ref).sum()):
                found.details["csim_ref_frames_without_face"] = skipped
                found.notes.append(f"csim_ref: {skipped} of {n} generated frames have no face and are left out")


def _with(vectors: Float, template: Float) -> Float:
    """(n,) cosines, each of its own row alone, so that batches do not move a bit."""
    out: Float = np.einsum("nd,d->n", vectors, template)
    return out


def _key(pair: Pair, embedder: FaceEmbedder) -> dict[str, str]:
    """Everything that the real side's vectors hang on: content, landmarks, network, and its preprocessing, which is the row's.

    Empty where there is no real video.
    """
    if pair.gt is None:
        return {}
    track = pair.gt.track
    digest = hashlib.sha256(str(pair.gt_frames).encode())
    if track is not None:
        digest.update(track.status.tobytes() + np.ascontiguousarray(track.points).tobytes())
    return {
        "what": "arcface.2",
        "clip": pair.gt.clip.digest,
        "points": digest.hexdigest(),
        "weights": embedder.file.sha256,
        "preprocessing": embedder.preprocessing,
    }
