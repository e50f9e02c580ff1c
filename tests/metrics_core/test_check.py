"""check_metric passes a sound metric and finds every planted defect."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from lipsync_eval import check_metric
from lipsync_eval.errors import MetricError, UsageError
from lipsync_eval.metrics.base import Failure, Family, Measurement, MetricSpec, Pooled
from lipsync_eval.types import Batch, Pair

SPEC = MetricSpec(
    name="toy_mad", title="Toy", direction="down", unit="levels", range=(0.0, 255.0), decimals=2, needs=frozenset({"gen.crop", "gt.crop"}),
    pooling="clip-mean", group="core", weights=(), summary="Mean absolute difference.", reads="A toy.", citation="none", reference="ours",
    tolerance=0.0, version=1,
)  # fmt: skip


class Toy(Family):
    """Mean absolute difference of the crops: a sound metric, until a defect is planted."""

    specs: ClassVar[tuple[MetricSpec, ...]] = (SPEC,)
    name = "toy_mad"

    def start(self, pair: Pair) -> Toy.Meter:
        return self.Meter(pair)

    def pool(self, metric: str, states: Sequence[tuple[str, Mapping[str, Any]]]) -> Pooled:
        return Pooled(float(np.mean([np.mean(state["values"]) for _, state in states])), (), {})

    class Meter:
        def __init__(self, pair: Pair) -> None:
            self.frames = np.full(pair.n_frames, np.nan)

        def update(self, batch: Batch) -> None:
            for i, a, b in zip(batch.index[batch.both], batch.gen_crops, batch.gt_crops):
                self.frames[i] = self.distance(a, b)

        def distance(self, a: np.ndarray, b: np.ndarray) -> float:
            return float(np.mean(np.abs(np.subtract(a, b, dtype=np.int16))))

        def finish(self) -> Measurement:
            good = np.isfinite(self.frames)
            if not good.any():
                raise MetricError("no crops")
            found = Measurement(values={"toy_mad": float(self.frames[good].mean())}, frames={"toy_mad": self.frames})
            if not good.all():
                found.notes.append("some frames have no crop")
                found.details["toy_skipped"] = int((~good).sum())
            return found


def spoiled(spec: dict[str, Any] | None = None, meter: dict[str, Any] | None = None, **family: Any) -> type[Family]:
    """Toy with other spec fields, methods of the meter, or methods of the family."""
    namespace: dict[str, Any] = {
        "specs": (replace(SPEC, **(spec or {})),),
        "Meter": type("Meter", (Toy.Meter,), meter or {}),
    }
    made: type[Family] = type("Spoiled", (Toy,), namespace | family)
    return made


def changed(**changes: Any) -> dict[str, Any]:
    """A finish() whose measurement has some fields replaced."""

    def finish(self: Any) -> Measurement:
        return replace(Toy.Meter.finish(self), **changes)

    return {"finish": finish}


def test_a_sound_metric_passes() -> None:
    report = check_metric(Toy, n_frames=10)
    assert report.metrics == ("toy_mad",)
    assert set(report.passed) == {
        "spec", "a clip against itself", "any batching, and again", "each metric alone", "frames without a face", "nothing to measure",
        "signature", "worse with more noise",
    }  # fmt: skip
    assert not report.skipped
    assert "toy_mad: 8 checks passed" in str(report) and "ok       worse with more noise" in str(report)


def test_a_pooled_metric_passes() -> None:
    def finish(self: Any) -> Measurement:
        found = Toy.Meter.finish(self)
        return replace(found, values={}, states={"toy_mad": {"values": self.frames[np.isfinite(self.frames)]}})

    assert (
        "worse with more noise" in check_metric(spoiled({"pooling": "pooled"}, {"finish": finish}), n_frames=10).passed
    )


def test_what_does_not_apply_is_named() -> None:
    assert check_metric(Toy, monotone=False, n_frames=10).skipped == {"worse with more noise": "declared not to hold"}
    loudness = spoiled(
        {"needs": frozenset({"gen.audio"}), "direction": "up", "range": (0.0, 1.0)},
        {"finish": lambda self: Measurement(values={"toy_mad": 0.3}, gt_values={"toy_mad": 0.3})},
    )
    assert "compares with the real video" in check_metric(loudness, n_frames=10).skipped["worse with more noise"]


def test_names() -> None:
    assert check_metric("psnr", n_frames=5).metrics == ("psnr",)
    with pytest.raises(UsageError, match="there is no metric 'psnrr'"):
        check_metric("psnrr")
    with pytest.raises(MetricError, match="declares no metric"):
        check_metric(type("Empty", (Toy,), {"specs": ()}))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "Toy-MAD", "lower case"), ("title", "", "title is ''"), ("unit", " ", "unit is ' '"), ("citation", "", "citation"),
        ("reference", "", "reference"), ("reads", "", "reads"), ("summary", "  x", "summary"), ("direction", "best", "choose from up, down, zero"),
        ("pooling", "mean", "clip-mean"), ("group", "all", "opt-in"), ("needs", frozenset({"gen.crop", "gen.smell"}), "gen.smell"),
        ("needs", frozenset({"gt.crop"}), "nothing of the generated"), ("needs", frozenset({"gen.crop", "weights"}), "group core"),
        ("weights", ("net",), "does not say so in needs"), ("range", (1.0, 0.0), "is not (low, high)"), ("range", (np.nan, 1.0), "is not (low, high)"),
        ("decimals", -1, "decimals"), ("tolerance", np.nan, "tolerance"), ("tolerance", -1.0, "tolerance"), ("version", 0, "count from 1"),
    ],
)  # fmt: skip
def test_incomplete_specs(field: str, value: object, says: str) -> None:
    with pytest.raises(MetricError) as caught:
        check_metric(spoiled({field: value}), n_frames=5)
    assert says in str(caught.value)


def test_zero_must_be_in_range_when_zero_is_best() -> None:
    with pytest.raises(MetricError, match="0 is outside the range"):
        check_metric(spoiled({"direction": "zero", "range": (1.0, 2.0)}), n_frames=5)


counter = itertools.count()

DEFECTS: dict[str, tuple[type[Family], str]] = {
    "wrong direction": (spoiled({"direction": "up"}), "equal videos should give the best value, 255.0"),
    "offset": (spoiled(meter={"distance": lambda self, a, b: Toy.Meter.distance(self, a, b) + 1}), "1.0, but equal videos"),
    "out of range": (spoiled({"range": (0.0, 5.0)}), "is no float in (0.0, 5.0)"),
    "never the same": (spoiled(meter={"distance": lambda self, a, b: Toy.Meter.distance(self, a, b) + 1e-3 * next(counter)}), "when measured again"),
    "depends on the batch": (
        spoiled(meter={"update": lambda self, batch: self.frames.__setitem__(batch.index, len(batch) * abs(int(batch.gen[0][0, 0, 0]) - int(batch.gt[0][0, 0, 0])))}),
        "when measured one by one",
    ),
    "saturates": (spoiled(meter={"distance": lambda self, a, b: min(Toy.Meter.distance(self, a, b), 5.0)}), "should get worse at each step"),
    "numpy float": (spoiled(meter=changed(values={"toy_mad": np.float32(3)})), "is no float in"),
    "NaN": (spoiled(meter=changed(values={"toy_mad": float("nan")})), "is no float in"),
    "None without failure": (spoiled(meter=changed(values={"toy_mad": None})), "but no failure"),
    "number with failure": (spoiled(meter=changed(failures=[Failure("toy_mad", "MetricError", "x")])), "but a failure"),
    "no value": (spoiled(meter=changed(values={})), "no value and no failure"),
    "another name": (spoiled(meter=changed(values={"toy_mad": 0.0, "toy": 0.0})), "returns toy, which was not asked for"),
    "gt_value": (spoiled(meter=changed(gt_values={"toy_mad": 0.0})), "has no score of its own"),
    "frames of another length": (spoiled(meter=changed(frames={"toy_mad": np.zeros(3)})), "frames are (3,)"),
    "details": (spoiled(meter=changed(details={"x": np.float64("nan")})), "cannot be written as JSON"),
    "notes": (spoiled(meter=changed(notes=[""])), "notes must be sentences"),
    "silent skip": (spoiled(meter=changed(notes=[], details={})), "neither notes nor details say so"),
    "invented frames": (
        spoiled(meter={"finish": lambda self: (setattr(self, "frames", np.nan_to_num(self.frames)), Toy.Meter.finish(self))[1]}),
        "has values for frames without a face",
    ),
    "a number for nothing": (spoiled(meter={"finish": lambda self: Measurement(values={"toy_mad": 0.0}, notes=["n"], details={"n": 1})}), "without any face"),
    "signature": (spoiled(signature=lambda self, metric: {"feat": "a|b"}), "texts without | and :"),
    "signature of the others": (
        spoiled(signature=lambda self, metric: {"feat": str(next(counter))}), "depends on which other metrics are asked for",
    ),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_defects_are_found(defect: str) -> None:
    family, says = DEFECTS[defect]
    with pytest.raises(MetricError) as caught:
        check_metric(family, n_frames=10)
    assert says in str(caught.value)
    assert str(caught.value).startswith("toy_mad failed ")


def test_metrics_that_influence_each_other_are_found() -> None:
    class Two(Toy):
        specs = (SPEC, replace(SPEC, name="toy_two"))

        def start(self, pair: Pair) -> Toy.Meter:
            meter, metrics = super().start(pair), self.metrics

            def finish() -> Measurement:
                found = Toy.Meter.finish(meter)
                value = found.values["toy_mad"] or 0.0
                found.frames.clear()
                found.values = {name: value * len(metrics) for name in metrics}
                return found

            meter.finish = finish  # type: ignore[method-assign]
            return meter

    with pytest.raises(MetricError, match="when asked for alone"):
        check_metric(Two, n_frames=10)


def test_a_metric_that_fails_on_good_clips_is_found() -> None:
    def start(self: Any, pair: Pair) -> None:
        raise MetricError("does not like it")

    with pytest.raises(MetricError, match="a clip against itself: raised MetricError: does not like it"):
        check_metric(spoiled(start=start), n_frames=10)
