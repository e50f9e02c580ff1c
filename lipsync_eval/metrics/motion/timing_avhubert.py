"""`softdtw_avhubert`: AV-HuBERT's features of the two mouths, aligned in time."""

from __future__ import annotations

from typing import Final

import numpy as np

from lipsync_eval.metrics.avs import Avs, AvsMeter
from lipsync_eval.metrics.base import Measurement, MetricSpec
from lipsync_eval.metrics.helpers.avs_specs import ROW
from lipsync_eval.metrics.motion.measures.warping import soft_dtw
from lipsync_eval.metrics.motion.timing import GAMMA, check_gamma
from lipsync_eval.types import Pair

NAME: Final = "softdtw_avhubert"
SPEC: Final = MetricSpec(
    name=NAME, title="Soft-DTW (AV-HuBERT)", direction="down", unit="1", range=(float("-inf"), float("inf")), decimals=2,
    needs=frozenset({"gen.points", "gt.points", "gen.frames", "gt.frames", "weights"}), pooling="clip-mean", group="weights", weights=(ROW,),
    summary=(
        "Soft-DTW of AV-HuBERT's features of the two mouths (frames alone, as avs_v), squared Euclidean, over the number of frames; mean over clips."
    ),
    reads=(
        "As avs_v, but lips that are late by some frames cost little. Its scale is that of the checkpoint's features: compare only equal checkpoints and gamma. "
        "No distance: a video with itself is at 0 or a little below."
    ),
    citation=(
        "Zhang et al.: Temporally-Aligned Evaluation for Audio-Driven Talking Head Generation, arXiv:2606.01031; Yaman et al., arXiv:2405.04327 (features); "
        "Cuturi, Blondel, ICML 2017, arXiv:1703.01541"
    ),
    reference="tslearn==0.10.0", tolerance=1e-3, version=1, real="content",
)  # fmt: skip


class SoftDtwAvhubert(Avs):
    """softdtw_avhubert, on the same networks and mouths as AVS."""

    specs = (SPEC,)
    options = (*Avs.options, GAMMA)

    def check(self) -> None:
        """The checkpoint is read, and gamma looked at."""
        check_gamma(self.option(GAMMA.name))
        super().check()

    def start(self, pair: Pair) -> AvsMeter:
        """A meter for one pair; loads the network."""
        return SoftDtwMeter(self, pair)


class SoftDtwMeter(AvsMeter):
    """Mouths while the frames pass, features and alignment at the end."""

    def finish(self) -> Measurement:
        """The clip's number. Raises MetricError where the real video has no mouth."""
        gen, real = (x.astype(np.float64) for x in self.branches().of("avs_v"))
        gamma = float(self.family.option(GAMMA.name))
        self.found.values[NAME] = soft_dtw(gen, real, gamma) / max(len(gen), len(real))
        return self.found
