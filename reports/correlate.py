"""Which metric agrees with people: every metric of some runs against their mean opinion scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from lipsync_eval.errors import UsageError
from lipsync_eval.reports.correlation import (
    KINDS,
    LEAST,
    Float,
    Kind,
    coefficient,
    drawn_clips,
    goodness,
    interval,
    rows,
    weighted,
)
from lipsync_eval.reports.naming import method_names, refuse_doubled
from lipsync_eval.reports.opinions import Opinions, Video
from lipsync_eval.results.aggregate import LEVEL, N_BOOT
from lipsync_eval.results.clips import pooled_over
from lipsync_eval.results.schema import Result, Score

Level = Literal["clip", "method"]
LEVELS: Final[tuple[Level, ...]] = ("clip", "method")
FEW_RATERS: Final = 5


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One correlation; positive means that the metric prefers what people prefer."""

    value: float | None
    """None: undefined, see `Agreement.why`."""
    low: float | None
    high: float | None
    """The percentile interval over clips; None where there is none."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One metric against one question."""

    question: str
    level: Level
    """clip: a pair is a video. method: a pair is a method with its means."""
    metric: str
    title: str
    direction: str | None
    """of the metric; 'down' was negated, 'zero' is minus the absolute value, None was taken as it is."""
    pairs: int
    """How many (metric, opinion) pairs."""
    clips: int
    """Clips that they come from."""
    coefficients: dict[Kind, Coefficient]
    why: str
    """Why there is no coefficient; '' where there is one."""


@dataclass(frozen=True, slots=True)
class Points:
    """What a plot shows of one metric and question."""

    agreement: Agreement
    """Per clip."""
    methods: tuple[str, ...]
    """Of each video."""
    values: Float
    """As the metric gives them."""
    opinions: Float


@dataclass(frozen=True, slots=True)
class Correlation:
    """All of it."""

    rows: tuple[Agreement, ...]
    """By question and level; the strongest Spearman first, those without one last."""
    points: tuple[Points, ...]
    notes: tuple[str, ...]
    """What a reader must know."""
    n_boot: int
    seed: int


def correlate(
    study: Sequence[Opinions], runs: Sequence[Result], *, metrics: Sequence[str] | None = None, seed: int = 12345
) -> Correlation:
    """Correlate.

    Args:
        study: questions with their mean opinion scores.
        runs: one a method, called as in the study.
        metrics: ids; None: all that any run scored.
        seed: of the resamples.

    Raises:
        UsageError: no method or clip in common, or an unknown metric.
    """
    names = method_names(runs)
    refuse_doubled(names)
    by_name = dict(zip(names, runs, strict=True))
    known = {s.metric: s for r in runs for s in r.scores}
    chosen = list(known) if metrics is None else list(metrics)
    if unknown := [m for m in chosen if m not in known]:
        raise UsageError(f"no run scored {', '.join(unknown)}; there are: {', '.join(known) or 'none'}")
    _check_names(study, by_name)
    found: list[Agreement] = []
    points: list[Points] = []
    notes: list[str] = []
    for opinions in study:
        rated = {v: s for v, s in opinions.scores.items() if v[1] in by_name}
        notes += _notes(opinions, rated, by_name)
        mine = []
        for metric in chosen:
            videos, values = _values(by_name, metric, rated)
            mean = _per_method(by_name, known[metric], opinions.question, rated, videos, values, seed)
            mine.append(mean)
            if not any(pooled_over(r, metric) for r in runs):
                one = _per_clip(known[metric], opinions.question, rated, videos, values, seed)
                mine.append(one)
                points.append(Points(one, tuple(m for _, m in videos), values, np.array([rated[v] for v in videos])))
        found += sorted(mine, key=lambda a: (LEVELS.index(a.level), -_strength(a)))
    return Correlation(tuple(found), tuple(points), tuple(dict.fromkeys(notes)), N_BOOT, seed)


def _strength(row: Agreement) -> float:
    value = row.coefficients["spearman"].value
    return -2.0 if value is None else value


def _check_names(study: Sequence[Opinions], by_name: dict[str, Result]) -> None:
    methods = list(dict.fromkeys(m for o in study for _, m in o.scores))
    common = [m for m in methods if m in by_name]
    if not common:
        raise UsageError(
            f"the study has the methods {', '.join(map(repr, methods))}, the runs are {', '.join(map(repr, by_name))}: none in "
            "common; give the runs the study's names: RUN=NAME"
        )
    clips = {c.id for name in common for c in by_name[name].clips}
    if not any(clip in clips for o in study for clip, _ in o.scores):
        one = next(clip for o in study for clip, _ in o.scores)
        raise UsageError(f"no rated clip is in the runs (the study has {one!r}, ...); ids must be those of clips.csv")


def _notes(opinions: Opinions, rated: dict[Video, float], by_name: dict[str, Result]) -> list[str]:
    notes = []
    studied = {m for _, m in opinions.scores}
    if absent := sorted(studied - set(by_name)):
        notes.append(f"in the study but not among the runs, so left out: {', '.join(absent)}")
    if absent := sorted(set(by_name) - studied):
        notes.append(f"among the runs but not in the study, so left out: {', '.join(absent)}")
    scored = {(c.id, name) for name, run in by_name.items() for c in run.clips}
    if lost := [v for v in rated if v not in scored]:
        notes.append(
            f"{opinions.question}: {len(lost)} of {len(rated)} rated videos are in no run, e.g. {lost[0][0]!r}"
        )
    if opinions.raters is not None:
        alpha = "undefined" if opinions.alpha is None else f"{opinions.alpha:.3f}"
        few = "" if opinions.fewest is None else f", at least {opinions.fewest} a video"
        notes.append(f"{opinions.question}: {opinions.raters} raters{few}; Krippendorff's alpha {alpha}")
        if min(opinions.raters, opinions.fewest or opinions.raters) < FEW_RATERS:
            notes.append(
                f"{opinions.question}: fewer than {FEW_RATERS} ratings a video: the noise of the opinions pulls every correlation "
                "towards 0, and the intervals do not show it"
            )
    return notes


def _values(by_name: dict[str, Result], metric: str, rated: dict[Video, float]) -> tuple[list[Video], Float]:
    """The rated videos that have a value of the metric, and the values."""
    there = {
        (c.id, name): v for name, run in by_name.items() for c in run.clips if (v := c.values.get(metric)) is not None
    }
    videos = sorted(v for v in rated if v in there)
    return videos, np.array([there[v] for v in videos], np.float64)


def _per_clip(
    score: Score, question: str, rated: dict[Video, float], videos: list[Video], values: Float, seed: int
) -> Agreement:
    clips = sorted({c for c, _ in videos})
    x, y = goodness(values, score.direction), np.array([rated[v] for v in videos])
    drawn = drawn_clips(len(clips), N_BOOT, seed) if len(clips) > 1 else np.zeros((0, len(clips)), np.int64)
    copies = drawn[:, [clips.index(c) for c, _ in videos]].astype(np.float64)
    boot = {k: weighted(k, x, y, copies) if len(drawn) else np.zeros(0) for k in KINDS}
    return _agreement(score, question, "clip", x, y, len(clips), boot)


def _per_method(
    by_name: dict[str, Result], score: Score, question: str, rated: dict[Video, float], videos: list[Video],
    values: Float, seed: int,
) -> Agreement:  # fmt: skip
    """Means over the clips that count for all methods; a pooled metric has its one value."""
    metric = score.metric
    pooled = {n: v for n, r in by_name.items() if pooled_over(r, metric) and (v := r[metric].value) is not None}
    known = [v for v in rated if v[1] in pooled] if pooled else videos
    methods = sorted({m for _, m in known})
    sets = [{c for c, m in known if m == method} for method in methods]
    clips = sorted(set.intersection(*sets)) if sets else []
    if not clips:
        return _agreement(score, question, "method", np.zeros(0), np.zeros(0), 0, {})
    place = {v: i for i, v in enumerate(videos)}
    good = goodness(list(pooled.values()) if pooled else values, score.direction)
    if pooled:
        one = dict(zip(pooled, good, strict=True))
        x = np.array([[one[m]] * len(clips) for m in methods])
    else:
        x = np.array([[good[place[c, m]] for c in clips] for m in methods])
    y = np.array([[rated[c, m] for c in clips] for m in methods])
    drawn = (
        drawn_clips(len(clips), N_BOOT, seed) if len(clips) > 1 and len(methods) >= LEAST else np.zeros((0, len(clips)))
    )
    means = [drawn @ table.T / len(clips) for table in (x, y)]
    if pooled:
        means[0] = np.broadcast_to(x[:, 0], means[0].shape)
    boot = {k: rows(k, *means) if len(drawn) else np.zeros(0) for k in KINDS}
    return _agreement(
        score, question, "method", x.mean(axis=1) if not pooled else x[:, 0], y.mean(axis=1), len(clips), boot
    )


def _agreement(
    score: Score, question: str, level: Level, x: Float, y: Float, clips: int, boot: dict[Kind, Float]
) -> Agreement:
    made = {}
    for kind in KINDS:
        value = coefficient(kind, x, y)
        ends = interval(boot[kind], LEVEL) if value is not None else None
        made[kind] = Coefficient(value, *(ends or (None, None)))
    why = ""
    if made["spearman"].value is None:
        few = f"{len(x)} {'methods' if level == 'method' else 'videos'}, at least {LEAST} are needed"
        why = few if len(x) < LEAST else f"{'the metric' if np.ptp(x) == 0 else 'the opinion'} is the same everywhere"
    return Agreement(question, level, score.metric, score.title, score.direction, len(x), clips, made, why)
