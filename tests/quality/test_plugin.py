"""What docs/metrics/not-here.md promises: a metric on single frames is a scorer and a smallest side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipsync_eval import check_metric
from lipsync_eval.batch import Batch
from lipsync_eval.errors import MetricError
from lipsync_eval.metrics.base import MetricSpec
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.metrics.quality.meter import NoReference, Scorer
from lipsync_eval.options import Option
from lipsync_eval.settings import Settings

SPEC = MetricSpec(
    name="warmth", title="Warmth", direction="up", unit="1", range=(0.0, 1.0), decimals=3, needs=frozenset({"gen.crop"}),
    pooling="clip-mean", group="user-file", weights=(), summary="Mean red, scaled by a file.", reads="Nothing.",
    citation="none", reference="ours", tolerance=0.0, version=1,
)  # fmt: skip
FILE = Option(name="warmth_weights", heading="Warmth", help="A file with one number.", kind="path", moves=True)


class Warmth(NoReference):
    """Scores frames brighter than black only."""

    specs = (SPEC,)
    options = (FILE,)

    @property
    def smallest(self) -> int:
        return 32

    def scorer(self) -> Scorer:
        factor = float(Path(self.option("warmth_weights")).read_text())

        def score(frame: np.ndarray) -> float:
            if frame[0, 0, 0] > 250:
                raise MetricError("too bright")
            return float(frame[..., 0].mean() / 255 * factor)

        return score


@pytest.fixture
def family(tmp_path: Path) -> type[Warmth]:
    (tmp_path / "w.txt").write_text("0.5")

    class Here(Warmth):
        def option(self, name: str) -> str:
            return str(tmp_path / "w.txt")

    return Here


def test_it_passes_the_checks(family: type[Warmth]) -> None:
    assert "frames without a face" in check_metric(family, n_frames=12).passed


def test_sides_are_scored_alone_and_the_real_one_is_cached(family: type[Warmth], tmp_path: Path) -> None:
    """A frame without a real face counts for the generated video; a second run reads the real scores from the cache."""
    settings = Settings(cache_dir=tmp_path / "cache")
    pair = synthetic_pair(6, 64, noise=9, missing=(2,))
    found = []
    for _ in range(2):
        meter = family(settings, frozenset({"warmth"})).start(pair)
        meter.update(Batch(pair, 0, list(pair.gen.clip.frames()), list(pair.gt.clip.frames())))
        found.append(meter.finish())
    first, again = found
    assert first.gt_values == again.gt_values and first.values == again.values
    assert np.isnan(first.frames["warmth"][2]) and first.details["warmth_frames_without_score"] == 1
    swapped = type(pair)(id="x", gen=pair.gt, gt=pair.gen, n_frames=6, protocol="raw.1")
    meter = family(settings, frozenset({"warmth"})).start(swapped)
    meter.update(Batch(swapped, 0, list(swapped.gen.clip.frames()), list(swapped.gt.clip.frames())))
    whole = meter.finish()
    assert np.isfinite(whole.frames["warmth"]).all()
    assert whole.values["warmth"] == pytest.approx(first.gt_values["warmth"])


def test_frames_that_cannot_be_scored_are_counted(family: type[Warmth]) -> None:
    pair = synthetic_pair(4, 64)
    frames = list(pair.gen.clip.frames())
    frames[1] = np.full_like(frames[1], 255)
    meter = family(Settings(), frozenset({"warmth"})).start(pair)
    meter.update(Batch(pair, 0, frames, list(pair.gt.clip.frames())))
    found = meter.finish()
    assert "1 of 4 frames" in found.notes[0] and "too bright" in found.notes[0]
    meter = family(Settings(), frozenset({"warmth"})).start(pair)
    meter.update(Batch(pair, 0, [np.full_like(f, 255) for f in frames], list(pair.gt.clip.frames())))
    with pytest.raises(MetricError, match="none of the 4 frames has a score"):
        meter.finish()
