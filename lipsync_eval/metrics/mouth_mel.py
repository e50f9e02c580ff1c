"""How well the mouth follows the spectrum of the audio, and by how many frames the two are apart. Ours, no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from lipsync_eval.batch import Batch
from lipsync_eval.errors import MetricError
from lipsync_eval.features.mouth_mel import Found, measure, shipped
from lipsync_eval.metrics.base import NO_FRAMES, Failure, Family, Measurement, MetricSpec
from lipsync_eval.types import FPS, RATE, Pair, Side

CORR: Final = "mouth_mel_corr"
OFFSET: Final = "mouth_mel_offset"

_CORR: Final = MetricSpec(
    name=CORR,
    title="Mouth-mel corr.",
    direction="up",
    unit="1",
    range=(-1.0, 1.0),
    decimals=3,
    summary=(
        "Best correlation, over shifts of -15..15 frames, between 16 mel bands of the audio and those that a linear map, fitted "
        "on real speech and shipped, makes of the mouth's shape in five frames (68 points)."
    ),
    reads=(
        "How much of the audio the mouth shows: real speech gives 0.15 to 0.75, another person's audio 0.33 at 2 s and "
        "0.19 at 5 s in the median. Read it beside the real video's own value. Not comparable with LSE or mouth_audio_corr."
    ),
    needs=frozenset({"gen.points", "gen.audio"}),
    pooling="clip-mean",
    group="core",
    weights=(),
    citation="none: defined by lipsync-eval",
    reference="ours",
    tolerance=1e-6,
    version=1,
    real="none",
)
SPECS: Final = (
    _CORR,
    replace(
        _CORR,
        name=OFFSET,
        title="Mouth-mel offset",
        direction="zero",
        unit="frames",
        range=(-15.0, 15.0),
        decimals=1,
        summary=(
            "The shift at which that correlation peaks, in frames at 25 fps; only where the peak is surely higher than any other shift, "
            "else the clip has no offset. Positive: the audio leads the lips (as av_offset)."
        ),
        reads=(
            "On people the map has not seen, an offset that is given is within one frame of the true one in 93 of 100 windows of 2 s and in "
            "all of 5 s; 79 and 42 of 100 windows get none. A mean over clips is one over those that got an offset: look at n."
        ),
    ),
)


class MouthMel(Family):
    """mouth_mel_corr, mouth_mel_offset."""

    specs = SPECS

    def signature(self, metric: str) -> Mapping[str, str]:
        """map: the shipped constants by content."""
        return {"map": shipped().digest}

    def start(self, pair: Pair) -> MouthMelMeter:
        """A meter for one pair.

        Raises:
            MetricError: no audio or no face in the generated video, or nothing in them changes.
        """
        return MouthMelMeter(pair, self.metrics)


class MouthMelMeter:
    """Both videos of one pair; the frames themselves are not looked at."""

    looks_at = NO_FRAMES

    def __init__(self, pair: Pair, metrics: frozenset[str]) -> None:
        self._pair, self._metrics = pair, metrics
        self._gen = _of(pair.gen, pair.n_frames)

    def update(self, batch: Batch) -> None:
        """Frames are not needed."""

    def finish(self) -> Measurement:
        """The clip's numbers; an offset that is not sure is a failure of its own."""
        gen, found = self._gen, Measurement()
        if CORR in self._metrics:
            found.values[CORR] = gen.corr
        if OFFSET in self._metrics:
            found.values[OFFSET] = None if gen.refusal else float(gen.shift)
            if gen.refusal:
                found.failures.append(Failure(OFFSET, "MetricError", gen.refusal))
        found.arrays["mouth_mel_curve"] = gen.curve
        found.details["mouth_mel"] = _facts(gen)
        if gen.frames < self._pair.n_frames:
            lost = self._pair.n_frames - gen.frames
            found.notes.append(f"mouth_mel: {lost} of {self._pair.n_frames} frames have no face and are left out")
        if self._pair.gt is None:
            return found
        try:
            real = _of(self._pair.gt, self._pair.gt_frames)
        except MetricError as error:
            found.notes.append(f"mouth_mel: the real video has no score of its own: {error}")
            return found
        found.details["mouth_mel_gt"] = _facts(real)
        if CORR in self._metrics:
            found.gt_values[CORR] = real.corr
        if OFFSET in self._metrics and not real.refusal:
            found.gt_values[OFFSET] = float(real.shift)
        elif OFFSET in self._metrics:
            found.notes.append(f"mouth_mel: the real video has no offset of its own: {real.refusal}")
        return found


def _facts(found: Found) -> dict[str, float | int | None]:
    sure = None if np.isnan(found.sure) else round(found.sure, 3)
    return {"frames": found.frames, "best_shift": found.shift, "certainty": sure, "limit": shipped().limit}


def _of(side: Side, n_frames: int) -> Found:
    audio = side.heard()
    if side.track is None:
        raise MetricError("the video has no face track")
    points = np.full((n_frames, 68, 2), np.nan)
    known = side.track.points[:n_frames]
    points[: len(known)] = known
    samples = audio.int16()
    if len(samples) < n_frames * RATE // FPS // 2:
        raise MetricError(
            f"the audio ends after {len(samples) / RATE:.2f} of {n_frames / FPS:.2f} s: too little to compare"
        )
    return measure(points, samples)
