"""From the journal of a finished run to its Result."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.engine.plan import Plan
from lipsync_eval.engine.real_videos import CROSS
from lipsync_eval.errors import LipsyncError, MetricError
from lipsync_eval.metrics.base import Pooled
from lipsync_eval.metrics.registry import get_spec
from lipsync_eval.results.aggregate import bootstrap, clip_mean
from lipsync_eval.results.journal import Arrays, Journal, Outcome
from lipsync_eval.results.numbers import level, measured
from lipsync_eval.results.paths import absolute
from lipsync_eval.results.rows import Resample
from lipsync_eval.results.schema import ClipRow, DataInfo, FailureRow, Result, RunInfo, Score
from lipsync_eval.results.signature import CROP_FROM

log = logging.getLogger("lipsync_eval")
State = Mapping[str, NDArray[np.generic]]


class _States(Sequence[tuple[str, State]]):
    """Pooled states in clip order, each read when it is asked for."""

    def __init__(self, journal: Journal, metric: str, places: Sequence[tuple[int, str]]) -> None:
        self.journal, self.metric, self.places = journal, metric, places

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, i: int) -> tuple[str, State]: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[tuple[str, State]]: ...
    def __getitem__(self, i: int | slice) -> tuple[str, State] | Sequence[tuple[str, State]]:
        if isinstance(i, slice):
            return _States(self.journal, self.metric, self.places[i])
        place, name = self.places[i]
        state: Arrays = self.journal.states(place, self.metric)
        return name, state

    def __iter__(self) -> Iterator[tuple[str, State]]:
        return (self[i] for i in range(len(self.places)))


def build_result(
    plan: Plan, journal: Journal, run: RunInfo, environment: Mapping[str, Any], resample: Resample = "clip"
) -> Result:
    """Put the clips of the journal together, in plan order. Everything but `run` and `environment` depends on the clips alone."""
    outcomes = [journal.read(place, pair.id, arrays=False) for place, pair in enumerate(plan.pairs)]
    failures = [row for o in outcomes for row in o.failures]
    failures += [
        {"id": o.id, "stage": "weights", "metric": m, "error": "MissingWeights", "message": why}
        for o in outcomes
        for m, why in plan.missing.items()
        if not any(row["metric"] is None for row in o.failures)
    ]
    scores = []
    for metric in plan.metrics:
        score, unpooled = _score(plan, journal, outcomes, metric, resample)
        scores.append(score)
        failures += unpooled
    order = {o.id: i for i, o in enumerate(outcomes)}
    failures.sort(key=lambda row: order[row["id"]])
    return Result(
        run=run,
        data=_data(plan, outcomes),
        environment=dict(environment),
        scores=scores,
        clips=[_clip(plan, outcome, pair.speaker) for outcome, pair in zip(outcomes, plan.pairs, strict=True)],
        failures=[FailureRow(**row) for row in failures],
    )


def _clip(plan: Plan, outcome: Outcome, speaker: str | None) -> ClipRow:
    pooled = {m for m in plan.metrics if get_spec(m).pooling == "pooled"}
    values = {m: outcome.values.get(m) for m in plan.metrics if m not in pooled}
    return ClipRow(
        id=outcome.id,
        gen=outcome.gen and absolute(outcome.gen),
        gt=outcome.gt and absolute(outcome.gt),
        n_frames=outcome.n_frames,
        values=values,
        gt_values=outcome.gt_values,
        notes=outcome.notes,
        details=outcome.details,
        speaker=speaker,
    )


def _score(
    plan: Plan, journal: Journal, outcomes: Sequence[Outcome], metric: str, resample: Resample
) -> tuple[Score, list[dict[str, Any]]]:
    """The score, and failure rows of clips that could be measured and then not be pooled."""
    spec = get_spec(metric)
    forced = [CROSS] if metric in plan.forced else []
    common: dict[str, Any] = {
        "metric": metric,
        "title": spec.title,
        "decimals": spec.decimals,
        "unit": spec.unit,
        "direction": spec.direction,
        "n_asked": len(outcomes),
    }
    if metric in plan.missing:
        missing = Score(
            **common,
            value=None,
            gt_value=None,
            ci=None,
            n_scored=0,
            signature=plan.signature(metric, 0),
            notes=[*forced, plan.missing[metric]],
        )
        return missing, []
    if spec.pooling == "pooled":
        lost = {row["id"] for o in outcomes for row in o.failures if row["metric"] in (None, metric)}
        places = [(i, o.id) for i, o in enumerate(outcomes) if o.id not in lost]
        found, rows = _pool(plan, metric, _States(journal, metric, places))
        n = 0 if rows else len(places)
        pooled = Score(
            **common,
            value=found.value,
            gt_value=None,
            ci=None,
            n_scored=n,
            signature=plan.signature(metric, n, cropped_from(outcomes[i] for i, _ in places) if n else ()),
            notes=[*forced, *found.notes],
            details={**found.details, "ci": "none: a pooled score has no clips to resample"},
        )
        return pooled, rows
    kept = [i for i, o in enumerate(outcomes) if o.values.get(metric) is not None]
    values = [v for i in kept if (v := outcomes[i].values[metric]) is not None]
    groups = None if resample == "clip" else [str(plan.pairs[i].speaker) for i in kept]
    gt_values = [v for o in outcomes if (v := o.gt_values.get(metric)) is not None]
    mean = Score(
        **common,
        value=clip_mean(values),
        gt_value=clip_mean(gt_values),
        mean_abs=level(values, "zero") if values and spec.direction == "zero" else None,
        ci=bootstrap(values, plan.settings.seed, groups=groups),
        resample=resample,
        n_scored=len(values),
        signature=plan.signature(metric, len(values), cropped_from(outcomes[i] for i in kept)),
        notes=forced,
        details={"gt_n_scored": len(gt_values)} if gt_values else {},
    )
    return mean, []


def cropped_from(outcomes: Iterable[Outcome]) -> list[str]:
    """Whose landmarks cropped each of these clips, where the protocol leaves a choice."""
    return [whose for outcome in outcomes if (whose := outcome.details.get(CROP_FROM))]


def _pool(plan: Plan, metric: str, states: _States) -> tuple[Pooled, list[dict[str, Any]]]:
    """Pool one metric. What fails here must not lose the clips: no value, and a failure row for every clip."""
    if not states:
        return Pooled(None, ("no clip to pool",), {}), []
    family = plan.tools.ask(metric).family
    try:
        found = family.pool(metric, states)
        if found.value is None:
            raise MetricError("; ".join(found.notes) or "no value came out")
        if not measured(found.value):
            raise MetricError(f"no value came out ({found.value})")
        json.dumps(dict(found.details), allow_nan=False)
    except Exception as error:
        if not isinstance(error, LipsyncError):
            log.warning("%s could not be pooled, with an unexpected error", metric, exc_info=True)
        kind, message = type(error).__name__, str(error) or type(error).__name__
        rows = [
            {"id": name, "stage": "metric", "metric": metric, "error": kind, "message": message}
            for _, name in states.places
        ]
        return Pooled(None, (f"could not be pooled: {message}",), {}), rows
    return found, []


def _data(plan: Plan, outcomes: Sequence[Outcome]) -> DataInfo:
    both, real = hashlib.sha256(), hashlib.sha256()
    for o in outcomes:
        both.update(json.dumps([o.id, *o.digests]).encode())
        real.update(json.dumps([o.id, o.digests[1]]).encode())
    return DataInfo(
        n_pairs=len(outcomes),
        digest=both.hexdigest(),
        gt_digest="" if plan.gt is None else real.hexdigest(),
        gen=absolute(str(plan.gen)),
        gt="" if plan.gt is None else absolute(str(plan.gt)),
    )
