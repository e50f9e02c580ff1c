"""The regression gate: is a new run worse than the old one, clip by clip?

For each metric the paired differences over the clips that both runs scored are turned so that positive means worse. A
metric is *worse* when a one-sided sign-flip permutation test says that the mean difference exceeds the tolerance, at
level alpha; *better* is tested likewise on the other side, beyond zero. Metrics of one family (four LMDs, two PSNRs)
measure nearly the same thing and are tested together; Holm's correction goes over the families. What is neither worse nor
better is *no difference* where the interval lies within the tolerance, else *inconclusive*: the clips leave the question
open. Where so few clips cannot reach alpha, whatever they hold, the tolerance alone decides, and the row says so. A clip
that scored before and does not now fails the gate by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lipsync_eval.errors import SignatureMismatch, UsageError
from lipsync_eval.reports.gate_result import Comparison, Gate, Verdict
from lipsync_eval.reports.naming import method_names
from lipsync_eval.reports.permutation import families_sign_flip, holm, holm_over_families, sign_flip
from lipsync_eval.results.aggregate import bootstraps
from lipsync_eval.results.clips import cropped_otherwise, groups_of, other_real_videos, scored_clips, values_of
from lipsync_eval.results.facts import NO_DIRECTION, Direction
from lipsync_eval.results.numbers import all_apart, apart, level
from lipsync_eval.results.rows import Interval, Resample
from lipsync_eval.results.schema import Result, Score
from lipsync_eval.results.signature import DATA, check_ignored, require_same
from lipsync_eval.types import Float

__all__ = ["Comparison", "Gate", "Tolerance", "compare", "holm", "parse_tolerance", "sign_flip"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse is allowed: an amount in the metric's unit, or a share of the baseline's level."""

    amount: float
    percent: bool

    def of(self, baseline: float) -> float:
        """The amount in the metric's unit."""
        return abs(baseline) * self.amount / 100 if self.percent else self.amount


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


def compare(
    new: Result,
    baseline: Result,
    *,
    tolerance: Mapping[str, Tolerance] | None = None,
    alpha: float = 0.05,
    seed: int = 12345,
    metrics: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    resample: Resample = "clip",
) -> Gate:
    """Compare two runs clip by clip.

    Args:
        new, baseline: the runs.
        tolerance: per metric; 0 where absent.
        alpha: level of the test over all metrics.
        seed: of sampled flips and intervals.
        metrics: which of the baseline's; None: all that are ranked.
        ignore: signature keys (or 'data') that may differ.
        resample: what tests and intervals draw: clips, or speakers with all their clips.

    Raises:
        SignatureMismatch: the runs were measured otherwise, or on other real videos.
        UsageError: no common clip, a metric or a tolerance that the runs do not have.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"--alpha {alpha}: expected a number between 0 and 1, e.g. 0.05")
    tolerance = dict(tolerance or {})
    check_ignored(ignore, (s.signature for run in (new, baseline) for s in run.scores))
    names, notes = _metrics(new, baseline, tolerance, metrics)
    for name in names:
        require_same(
            baseline[name].signature,
            new[name].signature,
            names=("the baseline", f"the new run ({name})"),
            ignore=[k for k in ignore if k != DATA],
        )
    before, after = {c.id for c in baseline.clips}, {c.id for c in new.clips}
    if not before & after:
        raise UsageError("the runs have no clip in common; nothing can be compared")
    if DATA not in ignore and (other := other_real_videos(baseline, new)):
        raise SignatureMismatch(
            f"the real videos of {len(other)} clips are not the same files in the two runs ({', '.join(other[:5])}); "
            "score both against the same ones, or allow it with --ignore data"
        )
    rows = _rows(names, new, baseline, tolerance, alpha, seed, resample)
    failing = _newly_failing(names, new, baseline)
    if not failing and all(row.baseline is None or row.new is None for row in rows):
        raise UsageError("no metric has a value in both runs; nothing can be compared")
    notes += [f"clip only in the new run, not compared: {c.id}" for c in new.clips if c.id not in before]
    notes += _unlike_crops(names, new, baseline)
    notes += _together(rows)
    called, against = method_names([new, baseline])
    return Gate(called, against, alpha, seed, resample, rows, failing, tuple(notes))


def _metrics(
    new: Result, baseline: Result, tolerance: Mapping[str, Tolerance], wanted: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Ids that are compared, and notes on those that are not."""
    held = [s.metric for s in baseline.scores]
    if not (held if wanted is None else wanted):
        raise UsageError("the baseline holds no metric; nothing can be compared")
    names, notes = [], []
    asked = list(dict.fromkeys(held if wanted is None else wanted))
    for where, run in (("the baseline", baseline), ("the new run", new)):
        if missing := [name for name in asked if name not in run]:
            raise UsageError(f"{where} has no {', '.join(missing)}; score them there, or choose others with --metrics")
    for name in asked:
        if baseline[name].direction is None:
            if wanted is not None:
                raise UsageError(f"{name} cannot be compared: {NO_DIRECTION}")
            notes.append(f"not compared: {name} ({NO_DIRECTION})")
        elif wanted is None and not baseline[name].ranked and name not in tolerance:
            notes.append(f"not compared: {name} (coarse; name it with --metrics to gate it)")
        else:
            names.append(name)
    if unknown := sorted(set(tolerance) - set(names)):
        raise UsageError(
            f"--tolerance names {', '.join(unknown)}, which is not compared; compared are {', '.join(names) or 'none'}"
        )
    if not names:
        raise UsageError("no metric of the baseline is compared by default; name some with --metrics")
    return names, notes


def _unlike_crops(names: Sequence[str], new: Result, baseline: Result) -> list[str]:
    """What is left out because one run cropped a clip from its own landmarks and the other from the real video's."""
    left: dict[str, list[str]] = {}
    for name in names:
        for clip in sorted(cropped_otherwise([baseline, new], name)):
            left.setdefault(clip, []).append(name)
    return [
        f"not compared, cropped from other landmarks than in the baseline (crop_from): {clip} ({', '.join(metrics)})"
        for clip, metrics in left.items()
    ]


def _together(rows: Sequence[Comparison]) -> list[str]:
    members: dict[str, list[str]] = {}
    for row in rows:
        members.setdefault(row.family, []).append(row.metric)
    several = [" + ".join(names) for names in members.values() if len(names) > 1]
    return [f"tested together, since they measure nearly the same: {'; '.join(several)}"] if several else []


def _newly_failing(names: Sequence[str], new: Result, baseline: Result) -> tuple[str, ...]:
    """Clips that count in the baseline's score and not in the new one's, pooled metrics included."""
    lost: dict[str, list[str]] = {}
    unnamed = []
    for name in names:
        before, after = scored_clips(baseline, name), scored_clips(new, name)
        for clip in before - after:
            lost.setdefault(clip, []).append(name)
        old, now = baseline[name].n_scored, new[name].n_scored
        if not before - after and now < old:
            unnamed.append(f"{name}: {old} clips were scored before, {now} now; the runs do not say which are missing")
    there = {c.id for c in new.clips}
    rows = []
    for row in baseline.clips:
        if row.id not in there:
            rows.append(f"{row.id}: the clip is missing from the new run")
        elif row.id in lost:
            rows.append(f"{row.id}: {', '.join(lost[row.id])}")
    return (*rows, *unnamed)


def _worse(direction: Direction | None, old: Float | float, new: Float | float) -> Float:
    """How much worse the new values are; 0 where only the rounding of sums in another order differs."""
    if direction == "up":
        return all_apart(old, new)
    return all_apart(new, old) if direction == "down" else all_apart(np.abs(new), np.abs(old))


@dataclass(frozen=True, slots=True, eq=False)
class _Paired:
    """One metric, clip by clip, over the clips that count in both runs; a pooled one has none."""

    clips: list[str]
    """Ids, sorted."""
    worse: Float
    """(n_clips,): how much worse the new value is."""
    beyond: Float
    """(n_clips,): how much of that is beyond the tolerance."""
    levels: tuple[float, float]
    """Of the baseline and of the new run over these clips; 0 without any."""
    allowed: float
    """The tolerance, in the metric's unit."""


def _paired(m: str, new: Result, baseline: Result, tolerance: Tolerance | None) -> _Paired:
    old, now, way = values_of(baseline, m), values_of(new, m), baseline[m].direction
    unlike = cropped_otherwise([baseline, new], m)
    common = sorted([i for i in old if i in now and i not in unlike])
    before, after = np.array([old[i] for i in common], np.float64), np.array([now[i] for i in common], np.float64)
    levels = (level(before, way), level(after, way)) if common else (0.0, 0.0)
    start = levels[0] if common else baseline[m].value or 0.0
    allowed = 0.0 if tolerance is None else tolerance.of(start)
    worse = _worse(way, before, after)
    return _Paired(common, worse, all_apart(worse, allowed, before, after), levels, allowed)


def _rows(
    names: Sequence[str],
    new: Result,
    baseline: Result,
    tolerance: Mapping[str, Tolerance],
    alpha: float,
    seed: int,
    resample: Resample,
) -> tuple[Comparison, ...]:
    paired = {m: _paired(m, new, baseline, tolerance.get(m)) for m in names}
    clips = sorted(dict.fromkeys(i for found in paired.values() for i in found.clips))
    groups = groups_of(clips, [new, baseline], resample)
    speaker = None if groups is None else dict(zip(clips, groups, strict=True))
    families = {m: baseline[m].family for m in names}
    n_families = len(set(families.values()))
    units = {m: len(f.clips if speaker is None else {speaker[i] for i in f.clips}) for m, f in paired.items()}
    enough = [m for m, found in paired.items() if found.clips and 0.5 ** units[m] <= alpha / n_families]
    sides = ({m: _by_clip(paired[m].clips, paired[m].beyond) for m in enough},
             {m: _by_clip(paired[m].clips, -paired[m].worse) for m in enough})  # fmt: skip
    (p_worse, how), (p_better, _) = _tested(sides, families, seed, speaker)
    columns = [(f.worse, None if speaker is None else [speaker[i] for i in f.clips]) for f in paired.values()]
    rows = []
    for (m, found), interval in zip(paired.items(), bootstraps(columns, seed), strict=True):
        if not found.clips:
            rows.append(_pooled(m, new, baseline, found.allowed))
            continue
        p = p_worse.get(m), p_better.get(m)
        alone = (
            f"tolerance alone: {units[m]} {resample}s cannot reach alpha {alpha:g} over {n_families} metric families"
        )
        rows.append(
            _row(
                baseline[m],
                found.allowed,
                found.levels,
                worsening=float(np.mean(found.worse)),
                interval=interval,
                p=p,
                n=len(found.clips),
                verdict=_verdict(found, interval, p, alpha),
                how=how.get(m, alone),
            )
        )
    return tuple(rows)


def _verdict(found: _Paired, interval: Interval | None, p: tuple[float | None, float | None], alpha: float) -> Verdict:
    """By the tests of both sides; where there are none, by the tolerance alone."""
    small = max(1.0, *map(abs, found.levels))
    over = apart(float(np.mean(found.beyond)) + small, small) > 0
    under = apart(float(np.mean(found.worse)) + small, small) < 0
    p_worse, p_better = p
    if p_worse is None or p_better is None:
        return "worse" if over else "better" if under else "no difference"
    if p_worse <= alpha and over:
        return "worse"
    if p_better <= alpha and under:
        return "better"
    if interval is not None and apart(interval.high, found.allowed, *found.levels) > 0:
        return "inconclusive"
    return "no difference"


def _by_clip(clips: Sequence[str], values: Float) -> dict[str, float]:
    return dict(zip(clips, values.tolist(), strict=True))


def _tested(
    sides: Sequence[Mapping[str, Mapping[str, float]]],
    families: Mapping[str, str],
    seed: int,
    speaker: Mapping[str, str] | None,
) -> list[tuple[dict[str, float], dict[str, str]]]:
    """Adjusted p and the rule, by metric: families tested together, Holm over families; each side by itself."""
    members: dict[tuple[int, str], list[str]] = {}
    for side, differences in enumerate(sides):
        for m in differences:
            members.setdefault((side, families[m]), []).append(m)
    tested = families_sign_flip([{m: sides[k][m] for m in ms} for (k, _), ms in members.items()], seed, speaker)
    found = dict(zip(members, tested, strict=True))
    return [
        (
            holm_over_families({f: p for (k, f), (p, _) in found.items() if k == side}),
            {m: how for (k, f), (_, how) in found.items() if k == side for m in members[k, f]},
        )
        for side in range(len(sides))
    ]


def _pooled(m: str, new: Result, baseline: Result, allowed: float) -> Comparison:
    """A metric without values per clip: the tolerance alone decides, and only over the same clips."""
    old, now = baseline[m], new[m]
    levels = (old.value, now.value)
    if old.value is None or now.value is None:
        return _row(old, allowed, levels, verdict="no difference", how="no value in both runs")
    if cropped_otherwise([baseline, new], m):
        how = "not compared: pooled over clips that were cropped from other landmarks than the baseline's (crop_from)"
        return _row(old, allowed, levels, verdict="inconclusive", how=how)
    if scored_clips(baseline, m) != scored_clips(new, m) or old.n_scored != now.n_scored:
        how = f"not compared: pooled over other clips than the baseline's ({now.n_scored}, {old.n_scored})"
        return _row(old, allowed, levels, verdict="inconclusive", how=how)
    worsening = float(_worse(old.direction, old.value, now.value))
    excess = apart(worsening, allowed, old.value, now.value)
    verdict: Verdict = "worse" if excess > 0 else "better" if worsening < 0 else "no difference"
    how = "tolerance alone: a pooled score has no clips to test"
    return _row(old, allowed, levels, worsening=worsening, verdict=verdict, how=how)


def _row(
    old: Score,
    allowed: float,
    levels: tuple[float | None, float | None],
    *,
    verdict: Verdict,
    how: str,
    worsening: float | None = None,
    interval: Interval | None = None,
    p: tuple[float | None, float | None] = (None, None),
    n: int = 0,
) -> Comparison:
    return Comparison(
        metric=old.metric,
        title=old.title,
        unit=old.unit,
        direction=old.direction,
        decimals=old.decimals,
        family=old.family,
        baseline=levels[0],
        new=levels[1],
        worsening=worsening,
        interval=interval,
        p_worse=p[0],
        p_better=p[1],
        tolerance=allowed,
        n=n,
        verdict=verdict,
        how=how,
    )
