"""Lips that may be early or late: `mtm` (by how many frames) and `softdtw_mouth` (how alike, whatever the timing)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from lipsync_eval.errors import MetricError
from lipsync_eval.metrics.base import Failure, Family, Measurement, MetricSpec
from lipsync_eval.metrics.motion.measures.warping import mtm, soft_dtw
from lipsync_eval.metrics.motion.whole import WholeClipMeter, filled, left_out, mean_face_key, placed, points_of
from lipsync_eval.options import Option
from lipsync_eval.types import Float, Pair, Side

LEAST: Final = 25
"""Frames with a face (1 s) that each video must have."""
GAMMA: Final = Option(
    name="softdtw_gamma", heading="Motion", kind="float", default="0.001", moves=True, key="gamma",
    help="softdtw_*: width of the soft minimum (paper: 0.0001 to 0.05).",
)  # fmt: skip
_PERCEPTUAL: Final = "Chae-Yeon et al.: Perceptually Accurate 3D Talking Head Generation, CVPR 2025, arXiv:2503.20308"
_ALIGNED: Final = "Zhang et al.: Temporally-Aligned Evaluation for Audio-Driven Talking Head Generation, arXiv:2606.01031; Cuturi, Blondel, ICML 2017, arXiv:1703.01541"

SPECS: Final = (
    MetricSpec(
        name="mtm", title="MTM", direction="down", unit="frames", range=(0.0, float("inf")), decimals=2,
        needs=frozenset({"gen.points", "gt.points"}), pooling="clip-mean", group="opt-in", weights=(),
        summary=(
            "Mean temporal misalignment: the openings of the inner lips (62-66), smoothed over 2 frames, are aligned by derivative DTW; mean distance in time of "
            "the extrema that are matched, in frames at 25 fps; mean over clips."
        ),
        reads=(
            "How late or early lips that do the right thing are; the sign is lost. Only matched extrema count, so wrong lips can score well on the few that match: "
            "their number is in the details. The paper's numbers are on 3D meshes at 30 fps."
        ),
        citation=_PERCEPTUAL, reference="kaist-ami/Perceptual-3D-Talking-Head@530d075", tolerance=1e-9, version=1, real="content",
    ),
    MetricSpec(
        name="softdtw_mouth", title="Soft-DTW (mouth)", direction="down", unit="1", range=(float("-inf"), float("inf")), decimals=5,
        needs=frozenset({"gen.points", "gt.points"}), pooling="clip-mean", group="opt-in", weights=(),
        summary=(
            "Soft-DTW of the 20 lip points (48-67, head place, size and roll taken out), squared Euclidean in units of the eyes' distance, over the longer video's "
            "number of frames; mean over clips."
        ),
        reads=(
            "Mouth shapes in the right order, whatever their timing: lips that are late by some frames cost little. No distance: a video with itself is below 0, the "
            "more so the larger gamma. Compare only equal gamma."
        ),
        citation=_ALIGNED, reference="tslearn==0.10.0", tolerance=1e-9, version=1, real="content",
    ),
)  # fmt: skip


class Timing(Family):
    """mtm, softdtw_mouth."""

    specs = SPECS
    options = (GAMMA,)

    def signature(self, metric: str) -> Mapping[str, str]:
        """The mean face on which frames are put."""
        return mean_face_key()

    def keys(self, metric: str) -> dict[str, str]:
        """gamma stands only where it can move the number."""
        keys = super().keys(metric)
        if metric == "mtm":
            keys.pop("gamma")
        return keys

    def check(self) -> None:
        """Raise UsageError where gamma cannot be used."""
        check_gamma(self.option(GAMMA.name))

    def start(self, pair: Pair) -> WholeClipMeter:
        """A meter for one pair; the frames are not looked at."""
        return WholeClipMeter(pair, self._compute)

    def _compute(self, pair: Pair) -> Measurement:
        """Raises MetricError where a video has too few faces."""
        n, found = pair.n_frames, Measurement()
        gen, real = (
            lips(side, n, which, found, "mtm, softdtw_mouth")
            for side, which in ((pair.gen, "generated"), (pair.real, "real"))
        )
        if "mtm" in self.metrics:
            matched = mtm(opening(gen), opening(real))
            found.details["mtm_matched"] = len(matched.deltas)
            found.values["mtm"] = matched.mean
            if matched.mean is None:
                message = "no opening or closing of the generated lips matches one of the real lips: there is no time between them"
                found.failures.append(Failure("mtm", "MetricError", message))
        if "softdtw_mouth" in self.metrics:
            gamma = float(self.option(GAMMA.name))
            a, b = (x.reshape(n, -1) for x in (gen, real))
            found.values["softdtw_mouth"] = soft_dtw(a, b, gamma) / n
        return found


def check_gamma(text: str) -> None:
    """Raise UsageError unless gamma is above 0."""
    from lipsync_eval.errors import UsageError

    if not float(text) > 0:
        raise UsageError(f"{GAMMA.name}={text}: expected a number above 0")


def lips(side: Side, n: int, which: str, found: Measurement, what: str) -> Float:
    """(n, 20, 2) lip points on the mean face; frames without a face are filled by straight lines, which is noted.

    Raises:
        MetricError: fewer than 25 frames with a face.
    """
    points = placed(points_of(side, n, which))[:, 48:68].reshape(n, -1)
    seen = int(np.isfinite(points).all(axis=1).sum())
    if seen < LEAST:
        raise MetricError(f"a mouth was seen in {seen} frames of the {which} video; {LEAST} (1 s) are needed")
    whole, gaps = filled(points)
    found.notes += left_out(what, gaps, n, which, "filled by straight lines")
    return whole.reshape(n, 20, 2)


def opening(mouth: Float) -> Float:
    """(T,) distance of the inner lips in the middle (points 62 and 66) of (T, 20, 2) lip points."""
    return np.asarray(np.linalg.norm(mouth[:, 62 - 48] - mouth[:, 66 - 48], axis=1))
