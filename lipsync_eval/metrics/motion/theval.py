"""THEval's landmark metrics on the 68 points, and its final score over them.

THEval (Newbyl/THEval@cfe23fe) takes MediaPipe's 478 points; here the 68 stand for them: lips 48-67 (20) for its 40, brows
17-21 and 22-26 for its 10 each, eyes 36-41 and 42-47 for its 16 each, inner lip 61-63 over 67-65 for its 8 pairs, and the
eye corners 36, 39, 42, 45 for its 33, 133, 362, 263. Head angles come from a weak-perspective fit, not from FaceXFormer;
the face's place is the middle of the box round the 68 points, not RetinaFace's. So numbers are comparable among runs of
this package, not with the paper's table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError, MetricError
from lipsync_eval.faces.points import face_box
from lipsync_eval.metrics.base import Failure, Family, Measurement, MetricSpec, Pooled
from lipsync_eval.metrics.motion.measures import theval
from lipsync_eval.metrics.motion.measures.pose import head_angles
from lipsync_eval.metrics.motion.whole import WholeClipMeter, left_out, lost, mean_face_key, points_of
from lipsync_eval.types import FPS, RATE, Float, Pair, Side

LEAST: Final = 2
"""Frames with a face below which a video has no dynamics."""
SCORE: Final = "theval_score"
UPPER_LIP, LOWER_LIP = (61, 62, 63), (67, 66, 65)
_HEARD: Final = ("silent_lip_stability", "lip_sync_theval")

_LIPS: Final = MetricSpec(
    name="lip_dynamics", title="Lip dynamics", direction=None, unit="px", range=(0.0, float("inf")), decimals=3,
    needs=frozenset({"gen.points"}), pooling="clip-mean", group="opt-in", weights=(),
    summary=(
        "Mean over all pairs of the 20 lip points of the standard deviation over time of their distance, in px of the whole frame brought to 256x256; mean over clips."
    ),
    reads=(
        "How much the lips move, not whether rightly; it grows with the size of the face in the frame, with landmark jitter and with turns of the head. Read it beside "
        "the real video's own value: THEval scores how near the two are. On 68 points, so not comparable with THEval's table."
    ),
    citation="THEval: Evaluation Framework for Talking Head Video Generation, CVPR 2026 (Newbyl/THEval)", reference="Newbyl/THEval@cfe23fe", tolerance=1e-9,
    version=1, real="none",
)  # fmt: skip
SPECS: Final = (
    _LIPS,
    replace(
        _LIPS, name="eyebrow_dynamics", title="Eyebrow dynamics", unit="1", decimals=4,
        summary="Mean step from frame to frame of the distance of brow and eye (middles of their points), over the distance of the eyes; mean over clips.",
        reads="How lively the brows are, landmark jitter included: for still faces it is mostly jitter. Read it beside the real video's own value.",
    ),
    replace(
        _LIPS, name="head_dynamics", title="Head dynamics", decimals=2,
        summary=(
            "sqrt(mean standard deviation of pitch, yaw and roll x mean variance of their steps + mean variance of the face's place); degrees and px of the frame "
            "are mixed, as there; angles by a weak-perspective fit to the 68 points; mean over clips."
        ),
        reads="How much the head moves. Almost all of it is the face's place in px, so it grows with the size of the frame. Read it beside the real video's own value.",
    ),
    replace(
        _LIPS, name="silent_lip_stability", title="Silent lip stability", direction="down", unit="1", decimals=4,
        needs=frozenset({"gen.points", "gen.audio"}),
        summary=(
            "Median distance of the mouth's opening (inner lips over the outer eye corners) from its mean, over frames in silences of 300 ms or more (silero-vad); "
            "mean over clips."
        ),
        reads="How still the lips are while nobody speaks. All silences of a clip share one mean, so a mouth held at two openings counts as moving. Clips without such silence fail.",
    ),
    replace(
        _LIPS, name="lip_sync_theval", title="Lip sync (THEval)", direction="down", unit="1", range=(0.0, 1.0), decimals=3,
        needs=frozenset({"gen.points", "gen.audio"}),
        summary=(
            "Mean absolute difference of the mouth's opening and the audio's volume (50 ms), each scaled to 0..1 over the speech frames (silero-vad); mean over clips."
        ),
        reads=(
            "Coarse: open when loud. One wide-open frame scales all others. Three real clips score 0.25 to 0.27, frozen ones 0.26 to 0.68; read it beside the real video's own value. "
            "Clips with less than 10 % speech fail. Not LSE: see mouth_mel_corr for a sync score without weights."
        ),
    ),
    replace(
        _LIPS, name=SCORE, real="person", title="THEval score (landmarks)", direction="up", unit="1", range=(float("-inf"), 1.0), decimals=3, pooling="pooled",
        needs=frozenset({"gen.points", "gt.points", "gen.audio", "gt.audio"}),
        summary=(
            "Mean over the five landmark metrics of 1 - |m - GT| / |GT|, where m and GT are means over the clips that have both values; 1 is best, and it may be negative."
        ),
        reads="How near a method's amounts of motion are to real ones, not whether a clip is right. THEval's own score has three quality metrics more: this is no number of its table.",
    ),
)  # fmt: skip
METRICS: Final = tuple(spec.name for spec in SPECS if spec.name != SCORE)


class Theval(Family):
    """lip_dynamics, eyebrow_dynamics, head_dynamics, silent_lip_stability, lip_sync_theval, theval_score."""

    specs = SPECS

    def check(self) -> None:
        """The voice activity network is installed, where it is needed."""
        if any(self._hears(metric) for metric in self.metrics):
            from lipsync_eval.features import voice

            voice.model()

    def _hears(self, metric: str) -> bool:
        return metric in (*_HEARD, SCORE)

    def signature(self, metric: str) -> Mapping[str, str]:
        """vad: the network that tells speech. mean: the face that head angles are measured on."""
        keys = {}
        if self._hears(metric):
            from lipsync_eval.features import voice

            keys["vad"] = voice.signature()
        return keys | (mean_face_key() if metric in ("head_dynamics", SCORE) else {})

    def start(self, pair: Pair) -> WholeClipMeter:
        """A meter for one pair; the frames are not looked at."""
        return WholeClipMeter(pair, self._compute)

    def _compute(self, pair: Pair) -> Measurement:
        """Raises MetricError where the generated video has no face."""
        n, found = pair.n_frames, Measurement()
        wanted = METRICS if SCORE in self.metrics else tuple(m for m in METRICS if m in self.metrics)
        gen, why = side_values(pair.gen, n, "generated", wanted, found)
        real = dict.fromkeys(wanted, float("nan"))
        try:
            if pair.gt is not None:
                real, _ = side_values(pair.gt, pair.gt_frames, "real", wanted, found)
        except MetricError as error:
            found.notes.append(f"theval: the real video has no values of its own: {error}")
        for name in METRICS:
            if name not in self.metrics:
                continue
            found.values[name] = None if np.isnan(gen[name]) else gen[name]
            if np.isnan(gen[name]):
                found.failures.append(Failure(name, "MetricError", why[name]))
            if np.isfinite(real[name]):
                found.gt_values[name] = real[name]
        if SCORE in self.metrics:
            found.states[SCORE] = {
                "gen": np.array([gen[name] for name in METRICS]), "gt": np.array([real[name] for name in METRICS])
            }  # fmt: skip
        return found

    def pool(self, metric: str, states: Sequence[tuple[str, Mapping[str, NDArray[np.generic]]]]) -> Pooled:
        """Closeness of the means over the clips that have both values."""
        gen = (
            np.stack([np.asarray(state["gen"], np.float64) for _, state in states])
            if states
            else np.empty((0, len(METRICS)))
        )
        real = (
            np.stack([np.asarray(state["gt"], np.float64) for _, state in states])
            if states
            else np.empty((0, len(METRICS)))
        )
        both = np.isfinite(gen) & np.isfinite(real)
        clips = {name: int(both[:, i].sum()) for i, name in enumerate(METRICS)}
        if bare := [name for name, count in clips.items() if not count]:
            return Pooled(
                None,
                (f"{SCORE}: no clip has {', '.join(bare)} for both videos, so there is no score over all five",),
                {"clips": clips},
            )
        means = [{name: float(x[both[:, i], i].mean()) for i, name in enumerate(METRICS)} for x in (gen, real)]
        try:
            near = {name: theval.closeness(means[0][name], means[1][name]) for name in METRICS}
        except InputError as error:
            return Pooled(None, (f"{SCORE}: {error}",), {"clips": clips})
        notes = tuple(
            f"{SCORE}: {name} rests on {count} of {len(states)} clips"
            for name, count in clips.items()
            if count < len(states)
        )
        return Pooled(
            theval.final_score(*means), notes, {"clips": clips, "closeness": {k: round(v, 6) for k, v in near.items()}}
        )


def side_values(
    side: Side, n: int, which: str, wanted: Sequence[str], found: Measurement
) -> tuple[dict[str, float], dict[str, str]]:
    """metric -> value (NaN where it cannot be measured), and metric -> why not.

    Raises:
        MetricError: fewer than two frames with a face.
    """
    points = points_of(side, n, which)
    gone = lost(points)
    if n - gone < LEAST:
        raise MetricError(
            f"a face was seen in {n - gone} frames of the {which} video; {LEAST} are needed to see motion"
        )
    found.notes += left_out("theval", gone, n, which)
    height, width = side.clip.size
    square = points * (theval.SIDE / np.array([width, height]))
    values: dict[str, float] = {}
    why: dict[str, str] = {}
    if "lip_dynamics" in wanted:
        values["lip_dynamics"] = theval.lip_dynamics(square[:, 48:68])
    if "eyebrow_dynamics" in wanted:
        values["eyebrow_dynamics"] = theval.eyebrow_dynamics(
            points[:, 22:27], points[:, 42:48], points[:, 17:22], points[:, 36:42]
        )
    if "head_dynamics" in wanted:
        values["head_dynamics"] = _head(points)
    if any(name in wanted for name in _HEARD):
        _heard(side, points, square, n, values, why, found, which)
    return values, why


def _head(points: Float) -> float:
    seen = np.isfinite(points).all(axis=(1, 2))
    angles, boxes = head_angles(points)[seen], face_box(points[seen])
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return theval.head_dynamics(*angles.T, *middle.T)


def _heard(
    side: Side,
    points: Float,
    square: Float,
    n: int,
    values: dict[str, float],
    why: dict[str, str],
    found: Measurement,
    which: str,
) -> None:
    from lipsync_eval.features import voice

    try:
        samples = side.heard().samples
    except MetricError as error:
        values |= dict.fromkeys(_HEARD, float("nan"))
        why |= dict.fromkeys(_HEARD, f"there is no telling speech from silence: {error}")
        return
    spoken = theval.speech_frames(
        voice.segments(voice.probabilities(samples), len(samples)), n, FPS, seconds=len(samples) / RATE
    )
    silent = theval.silent_frames(spoken, FPS)
    share = round(float(spoken.mean()), 4)
    found.details[f"theval_{'gen' if which == 'generated' else 'gt'}"] = {
        "speech_share": share,
        "silent_frames": int(silent.sum()),
    }
    scaled = points / np.array([side.clip.width, side.clip.height])
    shut = theval.opening_silence(square[:, UPPER_LIP], square[:, LOWER_LIP], square[:, 36], square[:, 45])
    open_ = theval.opening_lip_sync(
        scaled[:, UPPER_LIP], scaled[:, LOWER_LIP], scaled[:, (36, 39)], scaled[:, (42, 45)]
    )
    values["silent_lip_stability"] = theval.silent_lip_stability(shut, silent)
    values["lip_sync_theval"] = theval.lip_sync(open_, theval.volume(samples, RATE, np.arange(n) / FPS), spoken)
    why["silent_lip_stability"] = (
        f"{int((silent & np.isfinite(shut)).sum())} frames with a face lie in a silence of 300 ms or more; 2 are needed"
    )
    heard = int((spoken & np.isfinite(open_)).sum())
    why["lip_sync_theval"] = (
        f"{100 * share:.0f} % of the frames are speech (10 % are needed), {heard} with a face (2 are needed)"
    )
