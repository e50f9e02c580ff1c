"""niqe: naturalness of a clip's crops, as one of three public codes computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

from lipsync_eval.metrics.base import MetricSpec
from lipsync_eval.metrics.quality.meter import NoReference, Scorer
from lipsync_eval.metrics.quality.niqe_score import LEAST, VARIANTS, Variant, niqe
from lipsync_eval.options import Option

if TYPE_CHECKING:
    from lipsync_eval.weights import WeightFile

ROWS: Final[Mapping[Variant, str]] = {"pyiqa": "niqe-live", "basicsr": "niqe-live", "skvideo": "niqe-skvideo"}
VARIANT: Final = Option(
    name="niqe_variant",
    heading="Quality without a reference",
    help="Whose NIQE: IQA-PyTorch's, BasicSR's or scikit-video's.",
    kind="choice",
    choices=VARIANTS,
    default="pyiqa",
    moves=True,
    key="variant",
)
SPEC: Final = MetricSpec(
    name="niqe",
    title="NIQE",
    direction="down",
    unit="1",
    range=(0.0, float("inf")),
    decimals=3,
    needs=frozenset({"gen.crop", "weights"}),
    pooling="clip-mean",
    group="weights",
    weights=("niqe-live",),
    summary="Distance between the statistics of a crop (36 numbers of each 96-px block, two scales) and those of natural photographs; mean "
    "over frames, then over clips. Default: as IQA-PyTorch with the release's parameters.",
    reads="How photograph-like the texture is, without the real frame. A 256-px crop has only 4 blocks, so single values are noisy, and "
    "faces are no landscapes: real crops score 5 to 15. Variants differ up to tenfold. Read it beside the real video's own value.",
    citation="Mittal, Soundararajan, Bovik: Making a 'Completely Blind' Image Quality Analyzer, IEEE Signal Processing Letters 20(3), 2013, "
    "doi:10.1109/LSP.2012.2227726",
    reference="chaofengc/IQA-PyTorch@01ae427",
    tolerance=1e-6,
    version=1,
    real="none",
)


class Niqe(NoReference):
    """niqe of every crop."""

    specs = (SPEC,)
    options = (VARIANT,)

    @property
    def variant(self) -> Variant:
        """Whose code is followed."""
        return cast("Variant", self.option(VARIANT.name))

    @property
    def smallest(self) -> int:
        """One block, or what scikit-video asks for."""
        return LEAST[self.variant]

    def _file(self) -> WeightFile:
        from lipsync_eval.weights import locate

        return locate(self.settings, ROWS[self.variant])

    def check(self) -> None:
        """The parameter set is here and can be read."""
        self.scorer()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the parameter set."""
        return {"feat": self._file().signature}

    def notes(self) -> Sequence[str]:
        """On a parameter set that is not the published one."""
        note = self._file().note
        return (note,) if note else ()

    def scorer(self) -> Scorer:
        """NIQE of one crop."""
        from lipsync_eval.metrics.quality.models import load_niqe

        model, variant = load_niqe(self._file().path), self.variant
        return lambda frame: niqe(frame, model, variant)
