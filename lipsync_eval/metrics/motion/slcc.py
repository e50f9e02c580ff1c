"""`slcc`: over the clips of a run, do the lips move more where the speech is louder?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MetricError
from lipsync_eval.metrics.base import Family, Measurement, MetricSpec, Pooled
from lipsync_eval.metrics.motion.measures.intensity import lip_intensity, slcc, speech_intensity
from lipsync_eval.metrics.motion.whole import WholeClipMeter, left_out, lost, mean_face_key, placed, points_of
from lipsync_eval.options import Option
from lipsync_eval.types import Pair

LEAST: Final = 3
"""Clips below which a correlation says nothing."""
IDENTITY: Final = Option(
    name="slcc_identity", heading="Motion", kind="choice", choices=("one", "prefix", "folder"), default="one", moves=True,
    key="identity",
    help="slcc: a person is all clips, ids alike up to '_', or a folder.",
)  # fmt: skip
SPECS: Final = (
    MetricSpec(
        name="slcc", title="SLCC", direction="up", unit="1", range=(-1.0, 1.0), decimals=3, needs=frozenset({"gen.points", "gen.audio"}),
        pooling="pooled", group="opt-in", weights=(),
        summary=(
            "Speech-lip intensity correlation: Pearson, over clips, of the lips' speed (root mean square over time of the mean step of the 20 lip points, head place, "
            "size and roll taken out) and the audio's root mean square, both as z-scores within each identity (option slcc_identity)."
        ),
        reads=(
            "Whether louder clips have livelier lips, not whether lips fit sounds. It needs clips of different loudness by one person (the paper: MEAD's three levels); "
            "over other clips it is mostly chance. Normalised audio destroys it."
        ),
        citation="Chae-Yeon et al.: Perceptually Accurate 3D Talking Head Generation, CVPR 2025, arXiv:2503.20308",
        reference="kaist-ami/Perceptual-3D-Talking-Head@530d075", tolerance=1e-9, version=1, real="none",
    ),
)  # fmt: skip


def identity_of(clip_id: str, rule: str) -> str:
    """Who is seen in a clip, by the option slcc_identity."""
    if rule == "one":
        return ""
    folder, _, name = clip_id.rpartition("/")
    return folder if rule == "folder" else name.partition("_")[0]


class Slcc(Family):
    """slcc."""

    specs = SPECS
    options = (IDENTITY,)

    def signature(self, metric: str) -> Mapping[str, str]:
        """The mean face on which frames are put."""
        return mean_face_key()

    def start(self, pair: Pair) -> WholeClipMeter:
        """A meter for one pair; the frames are not looked at."""
        return WholeClipMeter(pair, self._compute)

    def _compute(self, pair: Pair) -> Measurement:
        """Raises MetricError: no audio, or no two frames in a row with a face."""
        n, side, found = pair.n_frames, pair.gen, Measurement()
        audio = side.heard()
        points = points_of(side, n, "generated")
        lips, speech = lip_intensity(placed(points)[:, 48:68]), speech_intensity(audio.samples)
        if not np.isfinite(lips):
            raise MetricError("no two frames in a row have a face: there is no movement of lips")
        found.notes += left_out("slcc", lost(points), n, "generated")
        found.details["slcc"] = {"lip_intensity": float(f"{lips:.9g}"), "speech_intensity": float(f"{speech:.9g}")}
        found.states["slcc"] = {"lips": np.array(lips), "speech": np.array(speech)}
        return found

    def pool(self, metric: str, states: Sequence[tuple[str, Mapping[str, NDArray[np.generic]]]]) -> Pooled:
        """The correlation over clips."""
        rule = self.option(IDENTITY.name)
        names = [identity_of(clip_id, rule) for clip_id, _ in states]
        lips, speech = (np.array([float(state[key][()]) for _, state in states]) for key in ("lips", "speech"))
        value, used = slcc(names, lips, speech)
        details = {"clips": len(states), "clips_used": used, "identities": len(set(names))}
        if used < LEAST or not np.isfinite(value):
            why = f"slcc: {used} of {len(states)} clips have a z-score within their identity; {LEAST} that differ are needed"
            return Pooled(None, (why,), details)
        left = (
            ()
            if used == len(states)
            else (f"slcc: {len(states) - used} clips without a second one of their identity are left out",)
        )
        return Pooled(value, left, details)
