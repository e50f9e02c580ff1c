"""brisque: predicted rating of a clip's crops, as one of two public codes computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

from lipsync_eval.metrics.base import MetricSpec
from lipsync_eval.metrics.quality.brisque_score import SMALLEST, VARIANTS, Variant, brisque
from lipsync_eval.metrics.quality.meter import NoReference, Scorer
from lipsync_eval.options import Option

if TYPE_CHECKING:
    from lipsync_eval.metrics.quality.brisque_score import Model
    from lipsync_eval.weights import WeightFile

ROWS: Final[Mapping[Variant, tuple[tuple[str, str], ...]]] = {
    "pyiqa": (("brisque-live", "main"),),
    "pypi": (("brisque-pypi", "main"), ("brisque-pypi", "ranges")),
}
"""Registry row and part of each file of a variant."""
VARIANT: Final = Option(
    name="brisque_variant",
    heading="Quality without a reference",
    help="Whose BRISQUE, with its model: IQA-PyTorch's or the PyPI package's.",
    kind="choice",
    choices=VARIANTS,
    default="pyiqa",
    moves=True,
    key="variant",
)
SPEC: Final = MetricSpec(
    name="brisque",
    title="BRISQUE",
    direction="down",
    unit="1",
    range=(float("-inf"), float("inf")),
    decimals=2,
    needs=frozenset({"gen.crop", "weights"}),
    pooling="clip-mean",
    group="weights",
    weights=("brisque-live",),
    summary="Rating of a crop (about 0 good to 100 bad) that a support vector regression predicts from 36 statistics at two scales; mean over "
    "frames, then over clips. Default: as IQA-PyTorch with the release's model.",
    reads="Fitted to people's ratings of blurred, noisy and compressed photographs (LIVE), not of faces or of generated frames. It may go "
    "below 0, and variants differ by tens of points. Read it beside the real video's own value.",
    citation="Mittal, Moorthy, Bovik: No-Reference Image Quality Assessment in the Spatial Domain, IEEE Transactions on Image Processing "
    "21(12), 2012, doi:10.1109/TIP.2012.2214050",
    reference="chaofengc/IQA-PyTorch@01ae427",
    tolerance=1e-2,
    version=1,
    real="none",
)


class Brisque(NoReference):
    """brisque of every crop."""

    specs = (SPEC,)
    options = (VARIANT,)

    @property
    def variant(self) -> Variant:
        """Whose code is followed."""
        return cast("Variant", self.option(VARIANT.name))

    @property
    def smallest(self) -> int:
        """Room for the window at both scales."""
        return SMALLEST

    def _files(self) -> list[WeightFile]:
        from lipsync_eval.weights import locate

        return [locate(self.settings, row, part=part) for row, part in ROWS[self.variant]]

    def check(self) -> None:
        """The model is here and can be read."""
        self._model()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the model's files."""
        return {"feat": "+".join(file.signature for file in self._files())}

    def notes(self) -> Sequence[str]:
        """On files that are not the published ones."""
        return [file.note for file in self._files() if file.note]

    def _model(self) -> Model:
        from lipsync_eval.metrics.quality.models import load_brisque_live, load_brisque_pypi
        from lipsync_eval.weights import get_row

        files = self._files()
        if self.variant == "pypi":
            return load_brisque_pypi(files[0].path, files[1].path)
        facts = get_row(ROWS["pyiqa"][0][0]).preprocessing
        return load_brisque_live(files[0].path, float(facts["rho"]), float(facts["gamma"]))

    def scorer(self) -> Scorer:
        """BRISQUE of one crop."""
        model, variant = self._model(), self.variant
        return lambda frame: brisque(frame, model, variant)
