"""fvd_styleganv, fvd_videogpt, fvd_latentsync, fvd_r3d18: the Frechet distance of features of short windows of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import UsageError
from lipsync_eval.metrics.base import Family, MetricSpec, Pooled
from lipsync_eval.metrics.fvd.readings import EXTRAPOLATE, OPTIONS, READINGS, Reading, reading_of
from lipsync_eval.metrics.helpers.real_stats import FVD_STATS, crop_facts, opened
from lipsync_eval.settings import Settings
from lipsync_eval.types import Frame, Pair

if TYPE_CHECKING:
    from lipsync_eval.metrics.fvd.meter import FvdMeter
    from lipsync_eval.metrics.fvd.network import VideoNetwork
    from lipsync_eval.weights import WeightFile

DIM: Final = 400
"""Windows a side below which the covariance is singular (512 for r3d_18)."""
FEWEST_TO_EXTRAPOLATE: Final = 32

_READS: Final = (
    "Distance between two clouds of short videos: motion, sharpness and artefacts move it, lip sync hardly. It compares sets, not pairs. With "
    "few windows it is biased upwards by far; it depends on network, window, region, resize and range: compare only equal signatures and counts."
)
_CITATION: Final = (
    "Unterthiner et al.: FVD: A new Metric for Video Generation, ICLR 2019 workshop, arXiv:1812.01717; "
    "Carreira, Zisserman: Quo Vadis, Action Recognition?, CVPR 2017, arXiv:1705.07750"
)
_NEEDS: Final[Mapping[str, frozenset[str]]] = {
    "crop": frozenset({"gen.crop", "gt.crop", "weights"}),
    "box": frozenset({"gen.frames", "gt.frames", "gen.points", "gt.points", "weights"}),
    "frame": frozenset({"gen.frames", "gt.frames", "weights"}),
}


def _spec(name: str, title: str, summary: str, reference: str) -> MetricSpec:
    return MetricSpec(
        name=name, title=title, direction="down", unit="1", range=(0.0, float("inf")), decimals=1,
        needs=_NEEDS[READINGS[name].region], pooling="pooled", group="weights", weights=(READINGS[name].row,),
        summary=summary, reads=_READS, citation=_CITATION, reference=reference, tolerance=1e-4, version=1, real="set",
    )  # fmt: skip


SPECS: Final = (
    _spec(
        "fvd_styleganv", "FVD (StyleGAN-V)",
        "Frechet distance of 400 I3D logits (StyleGAN-V's port) of the first 16 frames of each clip; crops: short side to 224, centre crop, -1..1.",
        "JunyaoHu/common_metrics_on_video_quality@5f75173",
    ),
    _spec(
        "fvd_videogpt", "FVD (VideoGPT)",
        "The same with VideoGPT's port of I3D and its weights file; fvd_resize=stretch makes it content-debiased-fvd's and TATS's.",
        "JunyaoHu/common_metrics_on_video_quality@5f75173",
    ),
    _spec(
        "fvd_latentsync", "FVD (LatentSync)",
        "StyleGAN-V's port on frames 20-35 of each clip, face box stretched to 224 (area), values left in 0..1 as LatentSync leaves them.",
        "bytedance/LatentSync@a229c39",
    ),
    _spec(
        "fvd_r3d18", "FVD (r3d_18)",
        "Frechet distance of 512 features of torchvision's r3d_18, not I3D, over all windows of 16 frames; crops stretched to 224 (Pillow).",
        "harlanhong/video-evaluation-toolkit@7eb909f",
    ),
)  # fmt: skip


class Fvd(Family):
    """Four readings of FVD; each id is one of them."""

    specs = SPECS
    options = (*OPTIONS, FVD_STATS)
    has_network = True

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        super().__init__(settings, metrics)
        self.wanted = tuple(sorted(metrics))
        self.stats = opened(FVD_STATS, settings, dim=0)
        self._networks: dict[str, VideoNetwork] = {}

    def reading(self, metric: str) -> Reading:
        """A metric's reading with this run's options.

        Raises:
            UsageError: an option that makes no window.
        """
        return reading_of(metric, self.option, least=1 if READINGS[metric].row == "r3d18" else 9)

    def file(self, metric: str) -> WeightFile:
        """The network's file."""
        from lipsync_eval.weights import locate

        return locate(self.settings, READINGS[metric].row)

    def needs(self, metric: str) -> frozenset[str]:
        """Crops, or frames with face boxes, or frames alone, as fvd_region says."""
        needs = _NEEDS[self.reading(metric).region]
        return frozenset(n for n in needs if not n.startswith("gt.")) if self.brings_real else needs

    def facts(self, metric: str) -> dict[str, str]:
        """All that the features of real windows hang on."""
        version, reading = next(spec.version for spec in self.specs if spec.name == metric), self.reading(metric)
        own = (
            {"metric": f"{metric}.{version}", "feat": self.file(metric).signature} | reading.keys() | self.number_format
        )
        return own | crop_facts(self.settings, crop=reading.region == "crop", box=reading.region == "box")

    def check(self) -> None:
        """The weights are here and the options make windows."""
        for metric in self.wanted:
            self.reading(metric)
            self.file(metric)
        if self.extrapolates and (self.stats is not None or self.settings.setting == "cross"):
            raise UsageError(
                "fvd_extrapolate draws the same windows of both videos of a pair: it takes neither --fvd-stats nor --setting cross"
            )
        if self.stats is not None:
            self.stats.check({metric: self.facts(metric) for metric in self.wanted})

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: weights; all that the reading says about windows and input."""
        keys = {"feat": self.file(metric).signature} | self.reading(metric).keys()
        return keys | ({"extrapolated": "1"} if self.extrapolates else {})

    @property
    def extrapolates(self) -> bool:
        """Whether the value for infinitely many windows is wanted."""
        return self.option(EXTRAPOLATE.name) == "1"

    def start(self, pair: Pair) -> FvdMeter:
        """A meter for one pair."""
        from lipsync_eval.metrics.fvd.meter import FvdMeter

        return FvdMeter(self, pair)

    def embed(self, frames: Sequence[Frame], metric: str) -> NDArray[np.float32]:
        """One window of frames (H, W, 3) uint8 RGB -> (D,) float32, on the run's device."""
        from lipsync_eval.metrics.fvd.prepare import prepare

        reading = self.reading(metric)
        out: NDArray[np.float32] = self.network(metric).embed(
            prepare(frames, reading.resize, reading.scale)[None].numpy()
        )[0]
        return out

    def network(self, metric: str) -> VideoNetwork:
        """The network of a reading on the run's device."""
        row = READINGS[metric].row
        if row not in self._networks:
            from lipsync_eval.metrics.fvd import network
            from lipsync_eval.networks import find

            file = self.file(metric)
            self._networks[row] = find(
                network.VideoNetwork,
                f"{network.__name__}:load",
                row,
                file.path,
                file.sha256,
                self.settings.device,
                self.settings.precision,
            )
        return self._networks[row]

    def pool(self, metric: str, states: Sequence[tuple[str, Mapping[str, NDArray[np.generic]]]]) -> Pooled:
        """The distance between all generated and all real windows."""
        from lipsync_eval.metrics.fvd.distance import extrapolated
        from lipsync_eval.metrics.helpers.frechet import Moments, frechet_distance

        kept = [state for _, state in states if "gen_features" in state]
        gen, real = (_all_rows(kept, side) for side in ("gen", "gt"))
        reading = self.stats is not None and self.stats.reading
        facts: dict[str, int | None] = {"n_windows": len(gen), "n_clips": len(kept)}
        fewest = len(gen) if reading else min(len(gen), len(real))
        if fewest < 2:
            return Pooled(
                None, (f"{metric}: {fewest} window in the run, and a covariance needs 2: score more clips",), facts
            )
        notes = []
        n_real: int | None = len(real)
        if self.stats is not None and reading:
            mean, cov, n_real = self.stats.read(metric)
            if len(mean) != gen.shape[1]:
                why = f"{metric}: the statistics hold {len(mean)} numbers a window, the network gives {gen.shape[1]}"
                return Pooled(None, (why,), facts)
            notes.append(self.stats.told(metric))
        else:
            moments = Moments.of(real)
            mean, cov = moments.mean, moments.covariance
            if self.stats is not None:
                notes.append(self.stats.write(metric, mean, cov, len(real), self.real_facts(metric)))
        if n_real != len(gen):
            facts["n_gt_windows"] = n_real
        if self.extrapolates:
            if len(gen) < FEWEST_TO_EXTRAPOLATE:
                why = (
                    f"{metric}: {len(gen)} windows are too few to extrapolate from; {FEWEST_TO_EXTRAPOLATE} are needed"
                )
                return Pooled(None, (why,), facts)
            value = extrapolated(gen, real)
            if value < 0:
                return Pooled(
                    None, (f"{metric}: the extrapolation ends below 0 ({value:.3g}): too few windows",), facts
                )
        else:
            ours = Moments.of(gen)
            value = max(frechet_distance(ours.mean, ours.covariance, mean, cov), 0.0)
            if min(len(gen), n_real or len(gen)) <= gen.shape[1]:
                side = (
                    f"{len(gen)} windows a side"
                    if n_real == len(gen)
                    else f"{len(gen)} generated and {n_real} real windows"
                )
                notes.append(
                    f"{metric}: {side} for {gen.shape[1]} features; the value is biased upwards and hard to compare"
                )
        if len(kept) == 1:
            notes.append(f"{metric}: all windows come from one clip, and FVD compares sets of clips")
        return Pooled(value, tuple(notes), facts)


def _all_rows(states: Sequence[Mapping[str, NDArray[np.generic]]], side: str) -> NDArray[np.floating]:
    """(N, D) features of one side of all clips."""
    rows = [np.asarray(s[f"{side}_features"], np.float32) for s in states if f"{side}_features" in s]
    return np.concatenate(rows) if rows else np.empty((0, 1), np.float32)
