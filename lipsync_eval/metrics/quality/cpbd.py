"""cpbd: sharpness of a clip's crops by the cumulative probability of blur detection."""

from __future__ import annotations

from typing import Final

from lipsync_eval.metrics.base import MetricSpec
from lipsync_eval.metrics.quality.meter import NoReference, Scorer

SPEC: Final = MetricSpec(
    name="cpbd",
    title="CPBD",
    direction="up",
    unit="1",
    range=(0.0, 1.0),
    decimals=3,
    needs=frozenset({"gen.crop"}),
    pooling="clip-mean",
    group="opt-in",
    weights=(),
    summary="Share of upright edges that are no wider than just noticeable (5 px in blocks of contrast <= 50, else 3 px), over the "
    "64-px blocks of each crop that hold edges; mean over frames, then over clips.",
    reads="Sharpness alone, without the real frame: noise and block edges of codecs count as sharp. It depends on the size of the "
    "crop, and a flat frame counts 0. Read it beside the real video's own value.",
    citation="Narvekar, Karam: A No-Reference Image Blur Metric Based on the Cumulative Probability of Blur Detection (CPBD), "
    "IEEE Transactions on Image Processing 20(9), 2011, doi:10.1109/TIP.2011.2131660",
    reference="cpbd==1.0.7",
    tolerance=1e-12,
    version=1,
    real="none",
)


class Cpbd(NoReference):
    """cpbd of every crop."""

    specs = (SPEC,)

    @property
    def smallest(self) -> int:
        """One block."""
        from lipsync_eval.metrics.quality.cpbd_score import BLOCK

        return BLOCK

    def scorer(self) -> Scorer:
        """CPBD of the crop in Pillow's grey."""
        from lipsync_eval.metrics.quality.cpbd_score import cpbd
        from lipsync_eval.metrics.quality.grey import pillow_l

        return lambda frame: cpbd(pillow_l(frame))
