"""FID of all crops of a run: `fid` (pytorch-fid's resize) and `fid_clean` (clean-fid's)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.cache import Arrays, Cache
from lipsync_eval.errors import MetricError
from lipsync_eval.metrics.base import Failure, Family, Measurement, MetricSpec, Pooled
from lipsync_eval.metrics.helpers.frechet import Moments, frechet_distance
from lipsync_eval.metrics.helpers.real_stats import FID_STATS, crop_facts, opened
from lipsync_eval.types import Pair, Settings, Side

if TYPE_CHECKING:
    from lipsync_eval.features.inception import Pool3
    from lipsync_eval.weights import WeightFile

ROW: Final = "inception-fid"
DIM: Final = 2048
"""Numbers in a feature."""
RESIZE: Final[Mapping[str, str]] = {"fid": "pytorch", "fid_clean": "clean"}
ENOUGH: Final = 2048
"""Frames a side below which the covariance of 2048 numbers is singular."""
KEPT: Final = 2048
"""Up to so many feature vectors of a clip are kept as they are; more become a mean and a scatter (33 MB)."""

_FID: Final = MetricSpec(
    name="fid",
    title="FID",
    direction="down",
    unit="1",
    range=(0.0, float("inf")),
    decimals=2,
    needs=frozenset({"gen.crop", "gt.crop", "weights"}),
    pooling="pooled",
    group="weights",
    weights=(ROW,),
    summary="Frechet distance of Inception pool3 features over all crops of the run, all clips together; bilinear resize to 299 without antialias, as pytorch-fid.",
    reads=(
        "Distance between two clouds of image features: sharpness and artefacts move it, who is shown does too, lip sync hardly. It compares sets, not pairs, "
        "falls with the number of frames (biased upwards below some 10,000), and depends on crop and resize: compare only equal signatures and equal counts."
    ),
    citation=(
        "Heusel et al.: GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, NeurIPS 2017, arXiv:1706.08500; "
        "Parmar, Zhang, Zhu: On Aliased Resizing and Surprising Subtleties in GAN Evaluation, CVPR 2022, arXiv:2104.11222"
    ),
    reference="pytorch-fid==0.3.0",
    tolerance=1e-4,
    version=1,
    real="set",
)
SPECS: Final = (
    _FID,
    replace(
        _FID,
        name="fid_clean",
        title="FID (clean)",
        summary="The same with clean-fid's resize (bicubic with antialias) and scaling, in pytorch-fid's port of the same network.",
        reference="clean-fid==0.1.35",
        version=2,
    ),
)


class Fid(Family):
    """fid and fid_clean over all crops of a run."""

    specs = SPECS
    options = (FID_STATS,)
    has_network = True

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        super().__init__(settings, metrics)
        self.wanted = tuple(sorted(metrics))
        self.stats = opened(FID_STATS, settings, DIM)
        self._network: Pool3 | None = None

    def _file(self) -> WeightFile:
        from lipsync_eval.weights import locate

        return locate(self.settings, ROW)

    def check(self) -> None:
        """The weights are here, and --fid-stats can be read (or written)."""
        self._file()
        if self.stats is not None:
            self.stats.check({metric: self.facts(metric) for metric in self.wanted})

    def needs(self, metric: str) -> frozenset[str]:
        """No real crops where their statistics are read."""
        needs = super().needs(metric)
        return needs - {"gt.crop"} if self.brings_real else needs

    def facts(self, metric: str) -> dict[str, str]:
        """All that the features of real crops hang on."""
        version = next(spec.version for spec in self.specs if spec.name == metric)
        own = {"metric": f"{metric}.{version}", **self.signature(metric)} | self.number_format
        return own | crop_facts(self.settings)

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: weights. resize."""
        return {"feat": self._file().signature, "resize": RESIZE[metric]}

    def start(self, pair: Pair) -> FidMeter:
        """A meter for one pair."""
        return FidMeter(self, pair, self._file())

    def embed(self, crops: NDArray[np.uint8], metric: str) -> NDArray[np.float32]:
        """(N, h, w, 3) uint8 -> (N, 2048) float32, on the run's device."""
        return self.network().embed(crops, resize=RESIZE[metric])

    def network(self) -> Pool3:
        """The network on the run's device."""
        if self._network is None:
            from lipsync_eval.features import inception
            from lipsync_eval.networks import find

            file = self._file()
            self._network = find(
                inception.Pool3,
                f"{inception.__name__}:load",
                file.path,
                file.sha256,
                self.settings.device,
                self.settings.precision,
            )
        return self._network

    def pool(self, metric: str, states: Sequence[tuple[str, Mapping[str, NDArray[np.generic]]]]) -> Pooled:
        """The distance between all generated and all real crops. One clip's state is in memory at a time."""
        gen: Moments | None = None
        real: Moments | None = None
        for _, state in states:
            gen = _grown(gen, state, "gen")
            real = _grown(real, state, "gt")
        notes = []
        if self.stats is not None and self.stats.reading:
            mean, cov, n_real = self.stats.read(metric)
            notes.append(self.stats.told(metric))
        elif real is None or real.n < 2:
            return Pooled(None, ("fewer than 2 real crops in the run: no covariance",), {})
        else:
            mean, cov, n_real = real.mean, real.covariance, real.n
            if self.stats is not None:
                notes.append(self.stats.write(metric, mean, cov, n_real, self.real_facts(metric)))
        if gen is None or gen.n < 2:
            return Pooled(None, (*notes, "fewer than 2 generated crops in the run: no covariance"), {})
        value = max(frechet_distance(gen.mean, gen.covariance, mean, cov), 0.0)
        if min(gen.n, n_real or ENOUGH) < ENOUGH:
            notes.append(
                f"{metric}: fewer than {ENOUGH} frames ({gen.n} generated, {n_real} real); the value is biased upwards and hard to compare"
            )
        return Pooled(value, tuple(notes), {"n_gen_frames": gen.n, "n_gt_frames": n_real})


class FidMeter:
    """One pair: features of its crops, a clip at a time."""

    def __init__(self, family: Fid, pair: Pair, file: WeightFile) -> None:
        self.family, self.file = family, file
        self.pair = pair
        self.real = pair.gt is not None and not family.brings_real
        self.gen = {m: _Pile() for m in family.wanted}
        self.gt = {m: _Pile() for m in family.wanted}
        self.cache = Cache(family.settings.cache_dir)
        keys = {m: _key(pair, pair.gt, m, file.sha256) for m in family.wanted} if self.real and pair.gt else {}
        self.keys = {metric: key | family.number_format for metric, key in keys.items()}
        self.known: dict[str, Arrays] = {m: a for m, k in self.keys.items() if (a := self.cache.get(k)) is not None}
        self.n_frames, self.scored = pair.n_frames, 0

    @property
    def looks_at(self) -> frozenset[str]:
        """The real crops only for features that the cache did not know."""
        return frozenset({"gen.crop", "gt.crop"} if self.unknown else {"gen.crop"})

    @property
    def unknown(self) -> tuple[str, ...]:
        """The metrics that have to see the real crops."""
        return tuple(m for m in self.family.wanted if self.real and m not in self.known)

    def update(self, batch: Batch) -> None:
        """Take the next frames."""
        both = self.pair.paired and self.pair.gt is not None
        gen = batch.gen_crops if both else _stacked(batch.gen_own)
        self.scored += len(gen)
        for metric in self.family.wanted if len(gen) else ():
            self.gen[metric].add(self.family.embed(gen, metric))
        if not self.unknown:
            return
        gt = batch.gt_crops if both else _stacked(batch.gt_own)
        for metric in self.unknown if len(gt) else ():
            self.gt[metric].add(self.family.embed(gt, metric))

    def finish(self) -> Measurement:
        """The clip's features, or their moments where they are many.

        Raises:
            MetricError: no frame has a crop in both videos.
        """
        where = "in both videos" if self.pair.paired and self.pair.gt else "in the generated video"
        if not self.scored:
            raise MetricError(
                f"no frame has a crop {where}, so there is nothing to add to the FID; look at the faces and the protocol"
            )
        skipped = self.n_frames - self.scored
        found = Measurement(notes=[self.file.note] if self.file.note else [])
        if skipped:
            found.details["frames_without_crop_pair"] = skipped
            found.notes.append(
                f"{skipped} of {self.n_frames} frames have no crop {where} and are left out of image metrics"
            )
        for metric in self.family.wanted:
            gt = self.known.get(metric) or self.gt[metric].state("gt")
            if self.real and not gt:
                why = "no frame of the real video has a crop; look at its faces and the protocol"
                found.failures.append(Failure(metric, "MetricError", why))
                continue
            whole = all(np.isfinite(array).all() for array in gt.values())
            if metric in self.keys and metric not in self.known and self.gt[metric].small and whole:
                self.cache.put(self.keys[metric], gt)
            state = self.gen[metric].state("gen") | (gt if self.real else {})
            if not all(np.isfinite(array).all() for array in state.values()):
                why = "the network gave NaN or infinite numbers; look at the weights file and at the crops"
                found.failures.append(Failure(metric, "MetricError", why))
                continue
            found.states[metric] = state
        return found


def _stacked(own: Sequence[tuple[int, NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """The crops of one video, whatever the other has."""
    return np.stack([crop for _, crop in own]) if own else np.empty((0, 0, 0, 3), np.uint8)


class _Pile:
    """Feature vectors of one side, kept while they are few, folded into moments when they are many."""

    def __init__(self) -> None:
        self.rows: list[NDArray[np.float32]] = []
        self.count = 0
        self.folded: Moments | None = None

    def add(self, features: NDArray[np.float32]) -> None:
        self.rows.append(features)
        self.count += len(features)
        if self.count > KEPT:
            moments = Moments.of(np.concatenate(self.rows))
            self.folded = moments if self.folded is None else self.folded + moments
            self.rows, self.count = [], 0

    @property
    def small(self) -> bool:
        """Whether all vectors are still there."""
        return self.folded is None

    def state(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        if self.folded is None:
            return {f"{prefix}_features": np.concatenate(self.rows)} if self.rows else {}
        rest = Moments.of(np.concatenate(self.rows)) if self.rows else None
        return (self.folded + rest if rest is not None else self.folded).arrays(prefix)


def _grown(total: Moments | None, state: Mapping[str, NDArray[np.generic]], prefix: str) -> Moments | None:
    """`total` and one clip's side together."""
    if f"{prefix}_features" in state:
        more = Moments.of(state[f"{prefix}_features"])  # type: ignore[arg-type]
    elif f"{prefix}_n" in state:
        more = Moments.from_arrays(state, prefix)
    else:
        return total
    return more if total is None else total + more


def _key(pair: Pair, side: Side, metric: str, weights: str) -> dict[str, str]:
    """Everything that the real side's features hang on: content, frames, crops, network, resize."""
    return {
        "what": f"fid-features.{next(spec.version for spec in SPECS if spec.name == metric)}",
        "clip": side.clip.digest,
        "crops": _crops_digest(pair, side),
        "weights": weights,
        "resize": RESIZE[metric],
    }


def _crops_digest(pair: Pair, side: Side) -> str:
    digest = hashlib.sha256(str(pair.gt_frames).encode())
    if pair.gen.crop is not None and side.crop is not None:
        used = pair.gen.crop.valid & side.crop.valid if pair.paired else side.crop.valid
        digest.update(
            repr(side.crop.size).encode() + used.tobytes() + np.ascontiguousarray(side.crop.matrix[used]).tobytes()
        )
    return digest.hexdigest()
