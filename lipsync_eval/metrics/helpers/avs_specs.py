"""What the AVS metrics declare: three scores in four readings, and their options."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from lipsync_eval.metrics.base import MetricSpec
from lipsync_eval.options import Option

AvsScore = Literal["avs_u", "avs_m", "avs_v"]
SCORES: Final[tuple[AvsScore, ...]] = ("avs_u", "avs_m", "avs_v")
READINGS: Final = ("", "_flat", "_timepool", "_frameweighted")
ROW: Final = "avhubert-base-vox-433h"

ROI: Final = Option(
    name="roi",
    heading="AV-HuBERT",
    help="The mouth region that the network sees.",
    kind="choice",
    choices=("align", "center88", "resize"),
    default="align",
    moves=True,
    flag=True,
)
DTYPE: Final = Option(
    name="avhubert_dtype",
    heading="AV-HuBERT",
    help="Number format of this network alone; not given: as --precision.",
    kind="choice",
    choices=("float32", "bfloat16"),
    moves=True,
    key="",
)

_TITLE: Final = {"avs_u": "AVS_u", "avs_m": "AVS_m", "avs_v": "AVS_v"}
_WHAT: Final = {
    "avs_u": "the generated video without audio and of the scored audio without video",
    "avs_m": "the generated video with the scored audio and of the real video with the same audio",
    "avs_v": "the generated video and of the real video, both without audio",
}
_NEEDS: Final = {
    "avs_u": frozenset({"gen.frames", "gen.points", "gen.audio", "weights"}),
    "avs_m": frozenset({"gen.frames", "gt.frames", "gen.points", "gt.points", "gen.audio", "weights"}),
    "avs_v": frozenset({"gen.frames", "gt.frames", "gen.points", "gt.points", "weights"}),
}
_HOW: Final = {
    "": "cosine per frame, mean over frames",
    "_flat": "one cosine of the flattened (T x D) features",
    "_timepool": "cosine of the features' means over time (loses synchrony; higher than the others)",
    "_frameweighted": "cosine per frame, mean over all frames of all clips",
}
_TITLES: Final = {"": "", "_flat": " (flattened)", "_timepool": " (time-pooled)", "_frameweighted": " (frame-weighted)"}
_READS: Final = {
    "avs_u": (
        "How well what a lip reader sees agrees with what it hears; needs no real video. The real video's own score is far from 1: read it beside gt_value. "
        "A model that was trained against AV-HuBERT features scores high on it."
    ),
    "avs_m": "Whether lips and audio together mean the same to a lip reader as in the real video. The audio that both share lifts it: 0.6 is a low score.",
    "avs_v": "Whether the lips are shaped like the real ones, to a lip reader; audio plays no part. Another sentence, or lips out of step, lower it.",
}
_SUMMARY: Final = "Cosine similarity of AV-HuBERT's final features of {}: {}."
_LICENCE: Final = (
    " Scores of different checkpoints must not be compared. The weights are for non-commercial research only and not for biometric processing "
    "(Meta's AV-HuBERT licence)."
)


_AVS_U: Final = MetricSpec(
    name="avs_u",
    title=_TITLE["avs_u"],
    direction="up",
    unit="1",
    range=(-1.0, 1.0),
    decimals=3,
    needs=_NEEDS["avs_u"],
    pooling="clip-mean",
    group="weights",
    weights=(ROW,),
    summary=_SUMMARY.format(_WHAT["avs_u"], _HOW[""]),
    reads=_READS["avs_u"] + _LICENCE,
    citation=(
        "Yaman, Eyiokur, Bärmann, Aktı, Ekenel, Waibel: Audio-Visual Speech Representation Expert for Enhanced Talking Face Video Generation and "
        "Evaluation, CVPR Workshops 2024, arXiv:2405.04327; features: Shi et al., ICLR 2022, arXiv:2201.02184"
    ),
    reference="facebookresearch/av_hubert@258fb50 (features); the metric's own code was not published",
    tolerance=1e-4,
    version=2,
    real="none",
)
SPECS: Final = tuple(
    replace(
        _AVS_U,
        name=score + reading,
        title=_TITLE[score] + _TITLES[reading],
        needs=_NEEDS[score],
        real="none" if score == "avs_u" else "content",
        pooling="pooled" if reading == "_frameweighted" else "clip-mean",
        group="opt-in" if reading else "weights",
        summary=_SUMMARY.format(_WHAT[score], _HOW[reading]),
        reads=_READS[score] + _LICENCE,
    )
    for reading in READINGS
    for score in SCORES
)
