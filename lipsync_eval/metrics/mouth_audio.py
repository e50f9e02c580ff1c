"""How well the opening of the mouth follows the level of the audio: coarse, our own, no weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.errors import MetricError
from lipsync_eval.features.mouth_mel import QUIETEST
from lipsync_eval.metrics.base import NO_FRAMES, Family, Measurement, MetricSpec
from lipsync_eval.types import Float, Pair, Side

SHIFT: Final = 15
"""Frames by which the audio is moved either way."""
LEAST: Final = 25
"""Pairs of opening and level (1 s) that a shift needs."""
DEPTH: Final = 40.0
"""dB: the level is cut this far below its loud parts (95th percentile), so that pauses count alike."""
_INNER: Final = ((61, 67), (62, 66), (63, 65))
_NOSE: Final = (27, 33)

_CORR: Final = MetricSpec(
    name="mouth_audio_corr",
    title="Mouth-audio corr.",
    direction="up",
    unit="1",
    range=(-1.0, 1.0),
    decimals=3,
    summary=(
        "Best Pearson correlation, over shifts of -15..15 frames, between the mouth's opening (mean of three inner-lip distances over "
        "the nose's length, from 68 points) and the audio's level under each frame (dB, cut 40 dB below its loud parts)."
    ),
    reads=(
        "Coarse: it knows loud from quiet, not one vowel from another, and real speech seldom exceeds 0.6. Not comparable with LSE. "
        "Use it where SyncNet's weights are not available, beside the real video's own value."
    ),
    needs=frozenset({"gen.points", "gen.audio"}),
    pooling="clip-mean",
    group="opt-in",
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
        name="mouth_audio_offset",
        title="Mouth-audio offset",
        direction="zero",
        unit="frames",
        range=(-15.0, 15.0),
        decimals=1,
        summary="The shift at which that correlation peaks, in frames at 25 fps. Positive: the audio leads the lips (as av_offset).",
        reads=(
            "Read it as a difference: when the audio of a clip is moved, it moves along (within 2 frames where mouth_audio_corr is 0.4 or "
            "more). Its absolute value is coarse: pauses and the rhythm of syllables give side peaks, so single clips may be off by 10."
        ),
    ),
)


def opening(points: Float) -> Float:
    """Opening of the mouth in units of the nose's length (points 27 to 33: not changed by turning the head aside).

    Args:
        points: (T, 68, 2) iBUG points in px; NaN where missing.

    Returns:
        (T,) mean of the inner-lip distances 61-67, 62-66, 63-65; NaN where missing.
    """
    lips = np.mean([np.linalg.norm(points[:, a] - points[:, b], axis=1) for a, b in _INNER], axis=0)
    nose = np.linalg.norm(points[:, _NOSE[0]] - points[:, _NOSE[1]], axis=1)
    out: Float = np.divide(lips, nose, out=np.full(len(points), np.nan), where=nose > 0)
    return out


def speech_level(samples: NDArray[np.int16], n_frames: int) -> Float:
    """(n_frames,) level of the audio under each frame in dBFS, cut 40 dB below its 95th percentile.

    Raises:
        MetricError: the audio is silent or shorter than 0.2 s.
    """
    from lipsync_eval.features.mfcc import loudness
    from lipsync_eval.types import RATE

    if len(samples) < RATE // 5:
        raise MetricError(f"the audio lasts {len(samples) / RATE:.2f} s: too little to compare with the mouth")
    level = loudness(samples, n_frames)
    if level.max(initial=-np.inf) < QUIETEST:
        raise MetricError(f"the audio is silent (nowhere above {QUIETEST:g} dBFS): the mouth has nothing to follow")
    return np.maximum(level, max(float(np.percentile(level, 95)) - DEPTH, QUIETEST))


def correlations(mouth: Float, level: Float) -> Float:
    """Pearson correlation at every shift.

    Args:
        mouth: (T,) NaN where missing.
        level: (T,).

    Returns:
        (31,) index k pairs mouth[t] with level[t - (k - 15)]: at offset k - 15 > 0 the audio leads. NaN where fewer than
        25 pairs are left or one side does not move.
    """
    out = np.full(2 * SHIFT + 1, np.nan)
    n = min(len(mouth), len(level))
    for k in range(len(out)):
        late = k - SHIFT
        if n - abs(late) < LEAST:
            continue
        a, b = mouth[max(late, 0) : n + min(late, 0)], level[max(-late, 0) : n - max(late, 0)]
        good = np.isfinite(a) & np.isfinite(b)
        if good.sum() < LEAST:
            continue
        x, y = a[good] - a[good].mean(), b[good] - b[good].mean()
        power = float(np.sqrt((x @ x) * (y @ y)))
        if power > 1e-12:
            out[k] = np.clip((x @ y) / power, -1.0, 1.0)
    return out


class MouthAudio(Family):
    """mouth_audio_corr, mouth_audio_offset."""

    specs = SPECS

    def start(self, pair: Pair) -> MouthAudioMeter:
        """A meter for one pair.

        Raises:
            MetricError: no audio or no face in the generated video, or nothing in them moves.
        """
        return MouthAudioMeter(pair, self.metrics)


class MouthAudioMeter:
    """Both videos of one pair; the frames themselves are not looked at."""

    looks_at = NO_FRAMES

    def __init__(self, pair: Pair, metrics: frozenset[str]) -> None:
        self._pair, self._metrics = pair, metrics
        self._mouth, self._level, self._curve = _measure(pair.gen, pair.n_frames)

    def update(self, batch: Batch) -> None:
        """Frames are not needed."""

    def finish(self) -> Measurement:
        """The clip's numbers."""
        values = _peak(self._curve)
        found = Measurement(values={m: values[m] for m in self._metrics})
        found.arrays = {"mouth_audio_curve": self._curve, "mouth_opening": self._mouth, "speech_level": self._level}
        usable = int(np.isfinite(self._curve).sum())
        found.details["mouth_audio"] = {"frames": int(np.isfinite(self._mouth).sum()), "shifts": usable}
        if usable < len(self._curve):
            found.notes.append(
                f"mouth_audio: {usable} of {len(self._curve)} shifts leave {LEAST} frames to compare; the others are left out"
            )
        if self._pair.gt is None:
            return found
        try:
            real = _peak(_measure(self._pair.gt, self._pair.gt_frames)[2])
            found.gt_values = {m: real[m] for m in self._metrics}
        except MetricError as error:
            found.notes.append(f"mouth_audio: the real video has no score of its own: {error}")
        return found


def _measure(side: Side, n_frames: int) -> tuple[Float, Float, Float]:
    """Opening (n,), level (n,) and correlations (31,) of one video."""
    audio = side.heard()
    if side.track is None:
        raise MetricError("the video has no face track")
    mouth = np.full(n_frames, np.nan)
    known = opening(side.track.points[:n_frames])
    mouth[: len(known)] = known
    level = speech_level(audio.int16(), n_frames)
    curve = correlations(mouth, level)
    if not np.isfinite(curve).any():
        seen = int(np.isfinite(mouth).sum())
        if seen < LEAST:
            raise MetricError(f"a mouth was seen in {seen} frames; {LEAST} are needed to compare it with the audio")
        raise MetricError("the mouth or the audio does not change at all: there is no correlation")
    return mouth, level, curve


def _peak(curve: Float) -> dict[str, float]:
    best = int(np.nanargmax(curve))
    return {"mouth_audio_corr": float(curve[best]), "mouth_audio_offset": float(best - SHIFT)}
