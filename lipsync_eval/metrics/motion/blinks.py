"""Does the face blink as often as the real one? `blink_rate` and `blink_error`."""

from __future__ import annotations

from typing import Final

import numpy as np

from lipsync_eval.errors import MetricError
from lipsync_eval.metrics.base import Failure, Family, Measurement, MetricSpec
from lipsync_eval.metrics.motion.measures.eyes import blinks, eye_aspect_ratio
from lipsync_eval.metrics.motion.whole import WholeClipMeter, left_out, points_of
from lipsync_eval.types import FPS, Pair, Side

LEAST: Final = 2 * FPS
"""Frames with eyes (2 s) below which no rate is given."""
_CITATION: Final = "Soukupova, Cech: Real-Time Eye Blink Detection using Facial Landmarks, CVWW 2016 (eye aspect ratio); the rule for a blink is ours"
_RULE: Final = "eye aspect ratio at least 25 % below its median over the second before and after, for 2 to 12 frames"

SPECS: Final = (
    MetricSpec(
        name="blink_rate", title="Blinks", direction=None, unit="1/min", range=(0.0, 60.0 * FPS), decimals=1,
        needs=frozenset({"gen.points"}), pooling="clip-mean", group="opt-in", weights=(),
        summary=f"Blinks a minute of frames with a face: {_RULE}; mean over clips.",
        reads=(
            "No rate is best in itself (people blink 5 to 30 times a minute while they talk): read it beside the real video's own. A clip of 3 s knows the rate in "
            "steps of 20. Landmarks (dlib's above all) often miss that eyes are closed, so rates come out low for both."
        ),
        citation=_CITATION, reference="ours", tolerance=1e-9, version=1, real="none",
    ),
    MetricSpec(
        name="blink_error", title="Blink error", direction="down", unit="1/min", range=(0.0, 60.0 * FPS), decimals=1,
        needs=frozenset({"gen.points", "gt.points"}), pooling="clip-mean", group="opt-in", weights=(),
        summary=f"Absolute difference of the blinks a minute of the generated and the real video ({_RULE}); mean over clips.",
        reads="Whether the face blinks as often, not at the same moments. 0 also where neither video blinks, as in most short clips.",
        citation=_CITATION, reference="ours", tolerance=1e-9, version=1, real="person",
    ),
)  # fmt: skip


class Blinks(Family):
    """blink_rate, blink_error."""

    specs = SPECS

    def start(self, pair: Pair) -> WholeClipMeter:
        """A meter for one pair; the frames are not looked at."""
        return WholeClipMeter(pair, self._compute)

    def _compute(self, pair: Pair) -> Measurement:
        """Raises MetricError where the generated video has too few eyes."""
        n, found = pair.n_frames, Measurement()
        rate = _rate(pair.gen, n, "generated", found)
        if "blink_rate" in self.metrics:
            found.values["blink_rate"] = rate
        if pair.gt is None and "blink_error" not in self.metrics:
            return found
        try:
            real = _rate(pair.real, pair.gt_frames, "real", found)
        except MetricError as error:
            found.notes.append(f"blinks: {error}")
            if "blink_error" in self.metrics:
                found.values["blink_error"] = None
                found.failures.append(Failure("blink_error", "MetricError", str(error)))
            return found
        if "blink_rate" in self.metrics:
            found.gt_values["blink_rate"] = real
        if "blink_error" in self.metrics:
            found.values["blink_error"] = abs(rate - real)
        return found


def _rate(side: Side, n: int, which: str, found: Measurement) -> float:
    """Blinks a minute; counts and gaps go into the details and notes."""
    ratio = eye_aspect_ratio(points_of(side, n, which))
    seen = int(np.isfinite(ratio).sum())
    if seen < LEAST:
        raise MetricError(f"eyes were seen in {seen} frames of the {which} video; {LEAST} (2 s) are needed for a rate")
    starts = blinks(ratio)
    side_key = "gen" if which == "generated" else "gt"
    found.details[f"blinks_{side_key}"] = {"blinks": len(starts), "frames": seen}
    found.arrays[f"eye_aspect_ratio_{side_key}"] = ratio
    found.notes += left_out("blinks", n - seen, n, which)
    return len(starts) * 60.0 * FPS / seen
