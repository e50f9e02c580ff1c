"""The regression gate: is a new run worse than the old one, clip by clip?

For each metric the paired differences over the clips that both runs scored are turned so that positive means worse. A
metric is *worse* when a one-sided sign-flip permutation test says that the mean difference exceeds the tolerance, at
level alpha after Holm's correction over the metrics; *better* is tested likewise on the other side, beyond zero. Where
so few clips cannot reach alpha, whatever they hold, the tolerance alone decides, and the row says so. A clip that
scored before and does not now fails the gate by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import SignatureMismatch, UsageError
from lipsync_eval.results.aggregate import bootstrap
from lipsync_eval.results.schema import ClipRow, Interval, Result, Score
from lipsync_eval.results.signature import require_same

Verdict = Literal["worse", "better", "no difference"]
EXACT_UP_TO = 14
"""Clips up to which all 2^n sign flips are taken."""
N_FLIPS = 10_000
ROUNDING = 1e-9
"""Share of a value (of 1 for smaller ones) up to which two values are one: no tolerance has to be given for it."""
_CHUNK = 4_000_000


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse is allowed: an amount in the metric's unit, or a share of the baseline's mean."""

    amount: float
    percent: bool

    def of(self, baseline: float) -> float:
        """The amount in the metric's unit."""
        return abs(baseline) * self.amount / 100 if self.percent else self.amount


@dataclass(frozen=True, slots=True)
class Row:
    """One metric, compared."""

    metric: str
    unit: str
    direction: str
    baseline: float | None
    """Mean over the common clips (the pooled value for pooled metrics)."""
    new: float | None
    worsening: float | None
    """Mean paired difference, positive = worse."""
    interval: Interval | None
    """Bootstrap interval of `worsening`."""
    p_worse: float | None
    """Holm-adjusted p of 'worse by more than the tolerance'; None where no test was possible."""
    p_better: float | None
    tolerance: float
    n: int
    verdict: Verdict
    how: str
    """Which rule decided: 'exact sign-flip test', 'sampled ...', 'tolerance alone: ...'."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A finished comparison."""

    new_name: str
    baseline_name: str
    alpha: float
    seed: int
    rows: tuple[Row, ...]
    newly_failing: tuple[str, ...]
    """'clip: metric, metric' that the baseline scored and the new run did not."""
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """No metric worse, no clip newly failing."""
        return not self.newly_failing and all(row.verdict != "worse" for row in self.rows)


def parse_tolerance(text: str | None) -> dict[str, Tolerance]:
    """'psnr=0.1,lse_c=2%' -> {metric: Tolerance}.

    Raises:
        UsageError: not of that form, or negative.
    """
    found: dict[str, Tolerance] = {}
    for part in filter(None, (p.strip() for p in (text or "").split(","))):
        name, equals, amount = part.partition("=")
        try:
            value = float(amount.removesuffix("%"))
        except ValueError:
            value = math.nan
        if not (name and equals and value >= 0 and math.isfinite(value)) or name in found:
            raise UsageError(
                f"--tolerance {part!r}: expected metric=amount or metric=share%, each metric once, e.g. psnr=0.1,lse_c=2%"
            )
        found[name] = Tolerance(value, amount.endswith("%"))
    return found


def sign_flip(differences: Sequence[float], seed: int) -> tuple[float, str]:
    """One-sided p of 'the mean is above zero' under random signs of the paired differences.

    Args:
        differences: one per clip.
        seed: of the sampled flips; unused up to EXACT_UP_TO clips, where all 2^n are taken.

    Returns:
        p (share of sign patterns whose mean is at least the observed one; the observed one counts), and how it was found.
    """
    d = np.asarray(differences, np.float64)
    n = len(d)
    bound = d.sum() - 1e-12 * np.abs(d).sum()
    if n <= EXACT_UP_TO:
        patterns = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) * 2 - 1
        return float(np.mean(patterns @ d >= bound)), "exact sign-flip test"
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // n)
    hits = sum(int((_signs(rng, min(step, N_FLIPS - i), n) @ d >= bound).sum()) for i in range(0, N_FLIPS, step))
    return (hits + 1) / (N_FLIPS + 1), f"sign-flip test, {N_FLIPS} sampled flips"


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjusted p-values (Holm 1979)."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p, key=lambda k: p[k])):
        highest = max(highest, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = highest
    return adjusted


def compare(
    new: Result,
    baseline: Result,
    *,
    tolerance: Mapping[str, Tolerance] | None = None,
    alpha: float = 0.05,
    seed: int = 12345,
    metrics: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
) -> Gate:
    """Compare two runs clip by clip.

    Args:
        new, baseline: the runs.
        tolerance: per metric; 0 where absent.
        alpha: level of the test over all metrics.
        seed: of sampled flips and intervals.
        metrics: which of the baseline's; None: all.
        ignore: signature keys (or 'data') that may differ.

    Raises:
        SignatureMismatch: the runs were measured otherwise, or on other real videos.
        UsageError: no common clip, a metric or a tolerance that the runs do not have.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"--alpha {alpha}: expected a number between 0 and 1, e.g. 0.05")
    tolerance = dict(tolerance or {})
    olds, news = {s.metric: s for s in baseline.scores}, {s.metric: s for s in new.scores}
    names = _metrics(olds, news, tolerance, metrics)
    for name in names:
        require_same(
            olds[name].signature, news[name].signature, names=("the baseline", f"the new run ({name})"), ignore=ignore
        )
    before, after = {c.id: c for c in baseline.clips}, {c.id: c for c in new.clips}
    if not before.keys() & after.keys():
        raise UsageError("the runs have no clip in common; nothing can be compared")
    if "data" not in ignore:
        _same_data(before, after)
    paired = {m: _pairs(m, before, after) for m in names}
    rows = _rows(names, olds, news, paired, tolerance, alpha, seed)
    if all(row.worsening is None for row in rows):
        raise UsageError("no metric has a value in both runs; nothing can be compared")
    notes = [f"clip only in the new run, not compared: {i}" for i in after if i not in before]
    return Gate(
        new.run.name,
        baseline.run.name,
        alpha,
        seed,
        rows,
        _newly_failing(names, olds, news, before, after),
        tuple(notes),
    )


def _metrics(
    olds: Mapping[str, Score],
    news: Mapping[str, Score],
    tolerance: Mapping[str, Tolerance],
    wanted: Sequence[str] | None,
) -> list[str]:
    names = list(olds) if wanted is None else list(wanted)
    if not names:
        raise UsageError("the baseline holds no metric; nothing can be compared")
    for name in names:
        if name not in olds or name not in news:
            where = "the baseline" if name not in olds else "the new run"
            raise UsageError(f"{where} has no {name}; score it there, or choose others with --metrics")
    if unknown := sorted(set(tolerance) - set(names)):
        raise UsageError(
            f"--tolerance names {', '.join(unknown)}, which is not compared; compared are {', '.join(names)}"
        )
    return names


def _same_data(before: Mapping[str, ClipRow], after: Mapping[str, ClipRow]) -> None:
    def digest(clip: ClipRow) -> str | None:
        gt = clip.details.get("gt")
        return gt.get("sha256") if isinstance(gt, dict) else None

    other = [
        i
        for i in before
        if i in after and digest(before[i]) and digest(after[i]) and digest(before[i]) != digest(after[i])
    ]
    if other:
        raise SignatureMismatch(
            f"the real videos of {len(other)} clips are not the same files in the two runs ({', '.join(other[:5])}); score both against the same ones, or allow it with --ignore data"
        )


def _pairs(metric: str, before: Mapping[str, ClipRow], after: Mapping[str, ClipRow]) -> list[tuple[float, float]]:
    found = []
    for name in before:
        old, new = before[name].values.get(metric), after[name].values.get(metric) if name in after else None
        if old is not None and new is not None:
            found.append((old, new))
    return found


def _newly_failing(
    names: Sequence[str],
    olds: Mapping[str, Score],
    news: Mapping[str, Score],
    before: Mapping[str, ClipRow],
    after: Mapping[str, ClipRow],
) -> tuple[str, ...]:
    rows = []
    for name, old in before.items():
        if name not in after:
            rows.append(f"{name}: the clip is missing from the new run")
            continue
        lost = [m for m in names if old.values.get(m) is not None and after[name].values.get(m) is None]
        if lost:
            rows.append(f"{name}: {', '.join(lost)}")
    pooled = [
        m
        for m in names
        if olds[m].value is not None and news[m].value is None and not any(m in c.values for c in before.values())
    ]
    return (*rows, *(f"all clips: {m}" for m in pooled))


def _worse(direction: str, old: float, new: float) -> float:
    """How much worse the new value is; 0 where only the rounding of sums in another order differs."""
    if abs(new - old) <= ROUNDING * max(1.0, abs(old), abs(new)):
        return 0.0
    if direction == "up":
        return old - new
    return new - old if direction == "down" else abs(new) - abs(old)


def _rows(
    names: Sequence[str],
    olds: Mapping[str, Score],
    news: Mapping[str, Score],
    paired: Mapping[str, list[tuple[float, float]]],
    tolerance: Mapping[str, Tolerance],
    alpha: float,
    seed: int,
) -> tuple[Row, ...]:
    worse_by: dict[str, list[float]] = {m: [_worse(olds[m].direction, a, b) for a, b in paired[m]] for m in names}
    allowed = {m: tolerance[m].of(_level(olds[m], paired[m])) if m in tolerance else 0.0 for m in names}
    enough = [m for m in names if 0.5 ** len(worse_by[m]) <= alpha / len(names) and worse_by[m]]
    tests = {m: sign_flip([d - allowed[m] for d in worse_by[m]], seed) for m in enough}
    p_worse = holm({m: p for m, (p, _) in tests.items()})
    p_better = holm({m: sign_flip([-d for d in worse_by[m]], seed)[0] for m in enough})
    rows = []
    for m in names:
        old, new = olds[m], news[m]
        common: dict[str, Any] = {"metric": m, "unit": old.unit, "direction": old.direction, "tolerance": allowed[m]}
        if not worse_by[m]:
            rows.append(_pooled(old, new, common))
            continue
        mean = float(np.mean(worse_by[m]))
        verdict: Verdict = "no difference"
        if m in tests:
            how = tests[m][1]
            if p_worse[m] <= alpha and mean > allowed[m]:
                verdict = "worse"
            elif p_better[m] <= alpha and mean < 0:
                verdict = "better"
        else:
            how = f"tolerance alone: {len(worse_by[m])} clips cannot reach alpha {alpha:g} over {len(names)} metrics"
            verdict = "worse" if mean > allowed[m] else "better" if mean < 0 else "no difference"
        rows.append(
            Row(
                **common,
                baseline=float(np.mean([a for a, _ in paired[m]])),
                new=float(np.mean([b for _, b in paired[m]])),
                worsening=mean,
                interval=bootstrap(worse_by[m], seed),
                p_worse=p_worse.get(m),
                p_better=p_better.get(m),
                n=len(worse_by[m]),
                verdict=verdict,
                how=how,
            )
        )
    return tuple(rows)


def _pooled(old: Score, new: Score, common: Mapping[str, Any]) -> Row:
    """A metric without values per clip: the tolerance alone decides."""
    verdict: Verdict = "no difference"
    if old.value is None or new.value is None:
        how, worsening = "no value in both runs", None
    else:
        worsening = _worse(old.direction, old.value, new.value)
        how = "tolerance alone: a pooled score has no clips to test"
        verdict = "worse" if worsening > common["tolerance"] else "better" if worsening < 0 else "no difference"
    return Row(
        **common,
        baseline=old.value,
        new=new.value,
        worsening=worsening,
        interval=None,
        p_worse=None,
        p_better=None,
        n=0,
        verdict=verdict,
        how=how,
    )


def _level(old: Score, pairs: Sequence[tuple[float, float]]) -> float:
    return float(np.mean([a for a, _ in pairs])) if pairs else (old.value or 0.0)


def _signs(rng: np.random.Generator, rows: int, n: int) -> NDArray[np.float64]:
    return rng.integers(0, 2, (rows, n)).astype(np.float64) * 2 - 1
