"""LSE-C, LSE-D and offset by SyncNet, of the generated video and, beside it, of the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from lipsync_eval.batch import Batch
from lipsync_eval.errors import ClipError, UsageError
from lipsync_eval.metrics.base import Family, Measurement, MetricSpec
from lipsync_eval.options import Option
from lipsync_eval.protocol import SyncDetector, SyncRules
from lipsync_eval.types import Pair, Settings, Side

if TYPE_CHECKING:
    from lipsync_eval.features.syncnet.side_scorer import TrackDistances
    from lipsync_eval.features.syncnet.summary import SyncScore
    from lipsync_eval.features.syncnet.video_scorer import VideoScorer
    from lipsync_eval.weights import WeightFile

MOST_ROWS: Final = 10_000
DETECTOR: Final = Option(
    name="sync_detector",
    heading="SyncNet",
    help="Source of SyncNet's boxes; track: the run's; not given: the protocol's.",
    kind="choice",
    choices=("track", "s3fd"),
    moves=True,
    key="",
    flag=True,
)
COMPAT: Final = Option(
    name="compat",
    heading="SyncNet",
    help="jpeg: SyncNet's official lossy steps; not given: lossless frames.",
    kind="choice",
    choices=("jpeg",),
    moves=True,
    flag=True,
)
_CITATION: Final = (
    "Chung, Zisserman: Out of time: automated lip sync in the wild, ACCV Workshops 2016; as LSE in Prajwal et al.: A Lip Sync Expert Is All "
    "You Need for Speech to Lip Generation In The Wild, ACM MM 2020, arXiv:2008.10010"
)
_LSE_C: Final = MetricSpec(
    name="lse_c",
    title="LSE-C",
    direction="up",
    unit="1",
    range=(0.0, float("inf")),
    decimals=3,
    summary=(
        "SyncNet's confidence: median minus minimum of the mean distances between lip and audio embeddings over 31 shifts of the audio "
        "(-15..15 frames). 224 px crops, lossless frames, no JPEG on the way unless --compat jpeg."
    ),
    reads=(
        "High when one shift fits much better than the others. Compare it with the real video's own value beside it: a generator can "
        "exceed reality by training on SyncNet. It depends on crop, codec and length; compare signatures."
    ),
    needs=frozenset({"gen.points", "gen.audio", "gen.frames", "weights"}),
    pooling="clip-mean",
    group="weights",
    weights=("syncnet",),
    citation=_CITATION,
    reference="joonson/syncnet_python@6efbb1c",
    tolerance=1e-3,
    version=2,
    real="none",
)
SPECS: Final = (
    _LSE_C,
    replace(
        _LSE_C,
        name="lse_d",
        title="LSE-D",
        direction="down",
        summary="SyncNet's distance: the smallest of the mean distances between lip and audio embeddings over 31 shifts of the audio.",
        reads=(
            "Low when lips and audio fit at the best shift, wherever that is: a video that is late as a whole still scores well, "
            "so read av_offset too."
        ),
    ),
    replace(
        _LSE_C,
        name="av_offset",
        title="AV offset",
        direction="zero",
        unit="frames",
        range=(-15.0, 15.0),
        decimals=1,
        summary="The shift at which SyncNet's mean distance is smallest, in frames at 25 fps. Positive: the audio leads the lips (it comes too early).",
        reads="Within one frame of 0 is in sync. Meaningless where lse_c is near 0. Values at +-15 mean that no shift fits.",
    ),
)


class SyncNet(Family):
    """lse_c, lse_d, av_offset."""

    specs = SPECS
    options = (DETECTOR, COMPAT)
    has_network = True

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        """Cheap: reads settings and the protocol's rules only.

        Raises:
            UsageError: --sync-detector under a protocol that takes whole frames.
        """
        from lipsync_eval.protocols import get

        super().__init__(settings, metrics)
        self.rules = get(settings.protocol, settings.protocol_options).spec.sync
        self.detector = _detector(self.rules, self.option(DETECTOR.name), settings.protocol)
        self.lossy = self.option(COMPAT.name) == "jpeg"

    def needs(self, metric: str) -> frozenset[str]:
        """What this run's way of finding faces needs: the landmarks only when the run's own track is used."""
        needs = super().needs(metric)
        return needs if self.detector == "track" else needs - {"gen.points"}

    def check(self) -> None:
        """Raise MissingWeights when SyncNet, or S3FD where it is used, is not here."""
        self._weights()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: SyncNet's file. sync: where the crops come from, and what becomes of several tracks (the protocol's rules).

        The crop of the protocol is not looked at, so its name is in no signature of these metrics.
        """
        net, detector = (file.signature if file else "" for file in self._weights())
        rules = self.rules
        if self.detector == "none":
            return {"feat": net, "sync": "whole-frame"}
        where = f"{detector},shots{rules.shots}" if self.detector == "s3fd" else "own-track"
        return {"feat": net, "sync": f"{where},min{rules.min_track},{rules.tracks}"}

    def start(self, pair: Pair) -> SyncNetMeter:
        """Find the regions of both videos (S3FD looks through them here).

        Raises:
            MetricError: no audio, silence, or no track that is long enough in the generated video.
        """
        return SyncNetMeter(self, pair)

    def notes(self) -> list[str]:
        """Which of the weights are not the published files."""
        return [file.note for file in self._weights() if file and file.note]

    def _weights(self) -> tuple[WeightFile, WeightFile | None]:
        """SyncNet's file and S3FD's (None where it is not used)."""
        from lipsync_eval.weights import locate

        net = locate(self.settings, "syncnet", role="syncnet")
        return net, locate(self.settings, "s3fd", role="s3fd") if self.detector == "s3fd" else None


def _detector(rules: SyncRules, asked: str, protocol: str) -> SyncDetector:
    """Where this run's crops come from: as asked, else as the protocol says."""
    if not asked:
        return rules.detector
    if rules.detector == "none":
        raise UsageError(
            f"--sync-detector has no use under the protocol {protocol}, which takes whole frames; leave it out"
        )
    return "s3fd" if asked == "s3fd" else "track"


class SyncNetMeter:
    """SyncNet at work on one pair."""

    def __init__(self, family: SyncNet, pair: Pair) -> None:
        from lipsync_eval.features.syncnet.video_scorer import How, VideoScorer

        self._family, self._pair = family, pair
        how = How(family.detector, family.rules.min_track, family.lossy, family.rules.shots)

        def open_side(side: Side, n_frames: int, *, keep: bool) -> VideoScorer:
            return VideoScorer(family.settings, how, side.clip, side.heard(), side.track, n_frames, keep=keep)

        self._gen = open_side(pair.gen, pair.n_frames, keep=False)
        self._gt: VideoScorer | None = None
        self._lost = ""
        try:
            if pair.gt is not None:
                self._gt = open_side(pair.gt, pair.gt_frames, keep=True)
        except ClipError as error:
            self._lost = str(error)

    @property
    def looks_at(self) -> frozenset[str]:
        """The real frames only where the cache did not know their distances."""
        sides = (("gen.frames", self._gen), ("gt.frames", self._gt))
        return frozenset(name for name, scorer in sides if scorer is not None and scorer.needs_frames)

    def update(self, batch: Batch) -> None:
        """Take the next frames of both videos."""
        self._gen.update(batch.start, batch.gen)
        if self._gt is not None:
            self._gt.update(batch.start, batch.gt)

    def finish(self) -> Measurement:
        """Scores of the track that counts, of all tracks in the details, and the real video's own."""
        from lipsync_eval.features.syncnet.summary import describe, remarks, summarise

        tracks = self._gen.finish()
        mean = self._family.rules.tracks == "mean"
        score = summarise(tracks, mean=mean)
        found = Measurement({m: score.values[m] for m in self._family.metrics}, notes=self._family.notes())
        found.notes += [
            f"SyncNet: {text}" for text in remarks(tracks, self._gen.speech, self._pair.n_frames, mean=mean)
        ]
        details = describe(tracks, score, self._pair.n_frames) | {
            "speech_share": round(self._gen.speech, 3),
            "weights": self._gen.weights,
        }
        self._keep(found, score, tracks)
        if self._gt is not None:
            real_tracks = self._gt.finish()
            real = summarise(real_tracks, mean=mean)
            found.gt_values = {m: real.values[m] for m in self._family.metrics}
            details["real"] = describe(real_tracks, real, self._pair.gt_frames)
            details["minus_real"] = {
                m: round(score.values[m] - real.values[m], 6) for m in ("lse_c", "lse_d", "av_offset")
            }
            found.arrays["syncnet_distance_real"] = real.reading.mean
        elif self._pair.gt is not None:
            found.notes.append(f"SyncNet: the real video has no score of its own: {self._lost}")
        found.details["syncnet"] = details
        return found

    def _keep(self, found: Measurement, score: SyncScore, tracks: Sequence[TrackDistances]) -> None:
        """Curves over the frames (a row counts for the middle of its five) and over the shifts."""
        found.arrays["syncnet_distance"] = score.reading.mean
        rows = sum(len(t.distances) for t in tracks)
        if rows <= MOST_ROWS:
            found.arrays["syncnet_distances"] = np.concatenate([t.distances for t in tracks])
        else:
            found.details["syncnet_distances"] = f"left out of frames.npz: {rows} rows"
        confidence, distance = np.full(self._pair.n_frames, np.nan), np.full(self._pair.n_frames, np.nan)
        for track in score.used:
            at = slice(track.first + 2, track.first + 2 + len(track.distances))
            confidence[at] = score.middle - track.distances[:, score.best]
            distance[at] = track.distances[:, score.best]
        curves = {"lse_c": confidence, "lse_d": distance}
        found.frames = {m: curve for m, curve in curves.items() if m in self._family.metrics}
