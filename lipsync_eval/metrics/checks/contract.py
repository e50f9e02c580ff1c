"""The checks that every metric must pass, for authors of metrics as for this package's own.

from lipsync_eval import check_metric
print(check_metric(MyFamily))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.errors import ClipError, MetricError
from lipsync_eval.metrics.base import Family, Measurement, MetricSpec
from lipsync_eval.metrics.checks.rules import compares, measurement_faults, option_faults, spec_faults
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.metrics.registry import family_of
from lipsync_eval.types import Pair, Settings

LEVELS: Final = (4.0, 12.0, 36.0)
"""Noise of the generated frames in grey levels; landmarks move by an eighth of it, in px."""
_TOLERANCE = 1e-6
"""Relative, for results that must not depend on how the frames were batched."""


@dataclass(frozen=True, slots=True)
class MetricReport:
    """What was checked, and what could not be."""

    metrics: tuple[str, ...]
    passed: tuple[str, ...]
    skipped: Mapping[str, str]
    """check -> why it does not apply."""

    def __str__(self) -> str:
        lines = [f"{', '.join(self.metrics)}: {len(self.passed)} checks passed"]
        lines += [f"  ok       {name}" for name in self.passed]
        lines += [f"  skipped  {name}: {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)


def check_metric(
    metric: str | type[Family], settings: Settings | None = None, *, monotone: bool = True, n_frames: int = 50
) -> MetricReport:
    """Run a metric on drawn clips and check what the package relies on.

    Checked are: a complete and valid spec; the best value for a clip against itself; values within the declared range;
    worse values for stronger noise; the same result for any batching, for a second run, and whichever other metrics of
    the family are asked for; frames without a face left out and named; no number where there is nothing to measure;
    `gt_values` only where no reference is needed; the same without a real video, where none is needed.

    Args:
        metric: a registered id, or a family (checked with all its metrics, registered or not).
        settings: of the run, e.g. with weights; default: Settings().
        monotone: False declares that stronger noise need not give a worse value.
        n_frames: length of the clips at 25 fps.

    Returns:
        what was checked, and what was skipped and why.

    Raises:
        MetricError: at least one check failed; the message lists all that did.
        UsageError: no such metric, or it cannot run here (e.g. MissingWeights).
    """
    family = family_of(metric) if isinstance(metric, str) else metric
    if not (isinstance(family, type) and issubclass(family, Family)):
        raise MetricError(f"{family!r} is no metric family: derive it from lipsync_eval.metrics.base.Family")
    specs = tuple(s for s in family.specs if not isinstance(metric, str) or s.name == metric)
    if not specs:
        raise MetricError(f"{family.__name__} declares no metric: give it `specs`")
    if faults := [*(fault for spec in specs for fault in spec_faults(spec)), *option_faults(family.options)]:
        raise MetricError(_listed(specs, faults))
    bench = _Bench(family, specs, settings or Settings(), n_frames)
    checks: dict[str, _Check] = {
        "a clip against itself": _identity, "any batching, and again": _batching, "each metric alone": _alone,
        "frames without a face": _missing_frames, "nothing to measure": _nothing, "signature": _signature,
    }  # fmt: skip
    skipped: dict[str, str] = {}
    if not monotone:
        skipped["worse with more noise"] = "declared not to hold"
    elif not any(map(compares, specs)):
        skipped["worse with more noise"] = "no metric here compares with the real video"
    else:
        checks["worse with more noise"] = _monotone
    if any(spec.real_video == "none" for spec in specs):
        checks["without a real video"] = _without_real
    faults = [f"{name}: {fault}" for name, check in checks.items() for fault in _run(check, bench)]
    if faults:
        raise MetricError(_listed(specs, faults))
    return MetricReport(metrics=tuple(s.name for s in specs), passed=("spec", *checks), skipped=skipped)


def _listed(specs: Sequence[MetricSpec], faults: Sequence[str]) -> str:
    names = ", ".join(str(s.name) for s in specs)
    return f"{names} failed {len(faults)} checks:" + "".join(f"\n  - {fault}" for fault in faults)


class _Bench:
    """A family to be measured on drawn pairs."""

    def __init__(self, family: type[Family], specs: Sequence[MetricSpec], settings: Settings, n_frames: int) -> None:
        self.family, self.specs, self.settings, self.n_frames = family, specs, settings, n_frames
        self.names = frozenset(s.name for s in specs)
        self.open(self.names).check()
        self.itself = synthetic_pair(n_frames)
        self.noisy = self.worse(LEVELS[1])

    def worse(self, level: float, missing: Sequence[int] = ()) -> Pair:
        return synthetic_pair(self.n_frames, noise=level, jitter=level / 8, missing=missing)

    def open(self, names: frozenset[str]) -> Family:
        return self.family(self.settings, names)

    def measure(self, pair: Pair, lengths: Sequence[int] = (8,), names: frozenset[str] | None = None) -> Measurement:
        """Measure a pair whose frames come in batches of these lengths, over and over."""
        meter = self.open(names or self.names).start(pair)
        start, turn = 0, 0
        while start < max(pair.n_frames, pair.gt_frames):
            stop = min(start + lengths[turn % len(lengths)], max(pair.n_frames, pair.gt_frames))
            gen = list(pair.gen.clip.frames(start, min(stop, pair.n_frames)))
            gt = [] if pair.gt is None else list(pair.gt.clip.frames(start, min(stop, pair.gt_frames)))
            meter.update(Batch(pair, start, gen, gt))
            start, turn = stop, turn + 1
        return meter.finish()

    def numbers(self, found: Measurement) -> dict[str, float | None]:
        """metric -> value; pooled metrics are pooled over this one clip."""
        out = {s.name: found.values.get(s.name) for s in self.specs if s.pooling == "clip-mean"}
        for name, state in found.states.items():
            out[name] = self._pooled(name, state)
        return out

    def _pooled(self, name: str, state: Mapping[str, NDArray[np.generic]]) -> float | None:
        """Over this one clip; over it and two other drawn clips, where the metric says that one clip is too few."""
        family = self.open(self.names)
        alone = family.pool(name, [("synthetic", state)])
        if alone.value is not None or not alone.notes:
            return alone.value
        others = [(f"synthetic{i}", m.states[name]) for i, m in enumerate(self.companions, 1) if name in m.states]
        return family.pool(name, [("synthetic", state), *others]).value

    @cached_property
    def companions(self) -> list[Measurement]:
        """Two other drawn clips, measured."""
        return [self.measure(synthetic_pair(self.n_frames, noise=LEVELS[0], seed=seed)) for seed in (1, 2)]


_Check = Callable[[_Bench], Iterator[str]]


def _run(check: _Check, bench: _Bench) -> list[str]:
    try:
        return list(check(bench))
    except ClipError as error:
        return [f"raised {type(error).__name__}: {error}"]


def _identity(bench: _Bench) -> Iterator[str]:
    found = bench.measure(bench.itself)
    if faults := list(measurement_faults(found, bench.specs, bench.n_frames)):
        yield from faults
        return
    numbers = bench.numbers(found)
    for spec in bench.specs:
        value = numbers.get(spec.name)
        if value is None:
            yield f"{spec.name}: no value"
            continue
        best = spec.range[1] if spec.direction == "up" else spec.range[0]
        if compares(spec) and math.isfinite(best) and not _close(value, best):
            yield f"{spec.name}: {value}, but equal videos should give the best value, {best}"
        own = found.gt_values.get(spec.name)
        if own is not None and not _close(value, own):
            yield f"{spec.name}: {value}, but the equal real video scores {own}"


def _batching(bench: _Bench) -> Iterator[str]:
    first = bench.measure(bench.noisy)
    if faults := list(measurement_faults(first, bench.specs, bench.n_frames)):
        yield from faults
        return
    numbers = bench.numbers(first)
    for how, lengths in {
        "again": (8,),
        "one by one": (1,),
        "all at once": (bench.n_frames,),
        "in 3, 5, 1, 3...": (3, 5, 1),
    }.items():
        other = bench.measure(bench.noisy, lengths)
        for name, value in bench.numbers(other).items():
            if not _close(value, numbers[name]):
                yield f"{name}: {numbers[name]}, but {value} when measured {how}"
        for name, frames in other.frames.items():
            if not np.allclose(frames, first.frames[name], rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
                yield f"{name}: values of frames change when measured {how}"


def _alone(bench: _Bench) -> Iterator[str]:
    together = bench.numbers(bench.measure(bench.noisy))
    for spec in bench.specs:
        alone = bench.numbers(bench.measure(bench.noisy, names=frozenset({spec.name}))).get(spec.name)
        if not _close(alone, together.get(spec.name)):
            yield f"{spec.name}: {alone} when asked for alone, {together.get(spec.name)} with the others"


def _missing_frames(bench: _Bench) -> Iterator[str]:
    gone = sorted({0, bench.n_frames // 3, bench.n_frames // 3 + 1, bench.n_frames - 1})
    try:
        whole, found = (bench.measure(pair) for pair in (bench.noisy, bench.worse(LEVELS[1], gone)))
    except ClipError:
        return
    if faults := list(measurement_faults(found, bench.specs, bench.n_frames)):
        yield from faults
        return
    for spec in filter(_needs_face, bench.specs):
        if spec.name in found.frames and np.isfinite(found.frames[spec.name][gone]).any():
            yield f"{spec.name}: has values for frames without a face"
        if found.values.get(spec.name) is not None and (found.notes, found.details) == (whole.notes, whole.details):
            yield f"{spec.name}: leaves out frames without a face, but neither notes nor details say so"


def _nothing(bench: _Bench) -> Iterator[str]:
    try:
        found = bench.measure(bench.worse(LEVELS[1], range(bench.n_frames)))
    except ClipError:
        return
    if faults := list(measurement_faults(found, bench.specs, bench.n_frames)):
        yield from faults
        return
    for spec in filter(_needs_face, bench.specs):
        if found.values.get(spec.name) is not None:
            yield f"{spec.name}: {found.values[spec.name]} for a generated video without any face; raise a MetricError or add a Failure"


def _monotone(bench: _Bench) -> Iterator[str]:
    pairs = [bench.itself, *map(bench.worse, LEVELS)]
    series = [bench.numbers(bench.measure(pair)) for pair in pairs]
    for spec in filter(compares, bench.specs):
        values = [numbers.get(spec.name) for numbers in series]
        goodness = [math.nan if v is None else v if spec.direction == "up" else -v for v in values]
        if not all(a > b for a, b in pairwise(goodness)):
            yield f"{spec.name}: {values} at noise 0 and {LEVELS}; it should get worse at each step (else call check_metric(monotone=False))"


def _without_real(bench: _Bench) -> Iterator[str]:
    """Metrics that need no real video give the same without one, and beside a longer one that shows other speech."""
    names = frozenset(spec.name for spec in bench.specs if spec.real_video == "none")
    usual = bench.numbers(bench.measure(bench.noisy, names=names))
    other = synthetic_pair(bench.n_frames + 30, seed=3).gt
    for how, pair in {
        "without a real video": replace(bench.noisy, gt=None),
        "beside a longer real video of other speech": replace(bench.noisy, gt=other, paired=False),
    }.items():
        try:
            found = bench.measure(pair, names=names)
        except Exception as error:
            yield f"raised {type(error).__name__} {how}: {error}; look at Pair.gt and Pair.gt_frames"
            continue
        numbers = bench.numbers(found)
        for name in sorted(names):
            if not _close(numbers.get(name), usual.get(name)):
                yield f"{name}: {usual.get(name)}, but {numbers.get(name)} {how}"


def _signature(bench: _Bench) -> Iterator[str]:
    for name in bench.names:
        keys = bench.open(bench.names).keys(name)
        for text in (*keys, *keys.values()):
            if not isinstance(text, str) or not text or "|" in text or ":" in text:
                yield f"{name}: {text!r} in the signature; keys and values are texts without | and :"
        if keys != bench.open(frozenset({name})).keys(name):
            yield f"{name}: its signature depends on which other metrics are asked for"


def _needs_face(spec: MetricSpec) -> bool:
    return bool(spec.needs & {"gen.crop", "gen.points"}) and spec.pooling == "clip-mean"


def _close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
