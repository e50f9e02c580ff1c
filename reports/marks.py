"""Which cell of a table is best, second, nearest to the real videos, or better beyond chance.

Measured methods are compared over the clips that all of them scored, by the metric's level there (for 'zero' the mean of
absolute values); the printed value stays the method's own. A pooled score (FID) is marked only where all methods pooled
the same clips. So a method that failed on the hard clips is never marked better for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from lipsync_eval.reports.significance import MIN_CLIPS, Pair, better, pair
from lipsync_eval.results.clips import (
    cropped_otherwise,
    groups_of,
    pooled_over,
    real_values,
    scored_clips,
    values_of,
)
from lipsync_eval.results.facts import NO_DIRECTION, Direction
from lipsync_eval.results.numbers import level, rank, rounded
from lipsync_eval.results.rows import Resample
from lipsync_eval.results.schema import Result

Column = TypeVar("Column")
STARRED = frozenset({"lse_c", "lse_d"})
"""Metrics on which nearness to the real videos' own score is worth a mark (RADIO's table 1)."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks of one column, by method."""

    best: frozenset[str] = frozenset()
    second: frozenset[str] = frozenset()
    star: frozenset[str] = frozenset()
    significant: frozenset[str] = frozenset()
    """Filled in by `with_significance`."""
    left_out: tuple[str, ...] = ()
    """Clips that some method scored and another did not, so they took no part."""
    n_compared: int | None = None
    """Clips that every method scored; None where nothing was compared."""
    why_none: str = ""
    """Why there is no mark, where that has to be said."""
    tested: bool = False
    """Whether there were enough clips for the test."""
    no_star: tuple[str, ...] = field(default=())
    """Methods that may not get a star, since they did not score every real clip."""
    open: Mapping[str, tuple[Pair, ...]] = field(default_factory=dict)
    """What has to be tested: a best method -> it against each of the others."""


def best_and_second(
    values: Mapping[str, float], direction: Direction | None, decimals: int
) -> tuple[frozenset[str], frozenset[str]]:
    """Who is best and who second at the printed precision; ties share a mark. Nobody below two values."""
    if direction is None or len(values) < 2:
        return frozenset(), frozenset()
    ranks = {name: rank(rounded(v, decimals), direction) for name, v in values.items()}
    levels = sorted(set(ranks.values()))
    places = [frozenset(n for n, r in ranks.items() if r == wanted) for wanted in levels[:2]]
    return places[0], places[1] if len(places) > 1 else frozenset()


def nearest(values: Mapping[str, float], truth: float, decimals: int) -> frozenset[str]:
    """Whose printed values are nearest to the truth; nobody below two values."""
    if len(values) < 2:
        return frozenset()
    apart = {name: rounded(abs(rounded(v, decimals) - truth), 9) for name, v in values.items()}
    return frozenset(name for name, d in apart.items() if d == min(apart.values()))


def measured(
    runs: Mapping[str, Result],
    metric: str,
    direction: Direction | None,
    decimals: int,
    *,
    ranked: bool,
    truth: float | None,
    resample: Resample = "clip",
) -> Marks:
    """Marks of one metric among measured methods; the tests stay open for `with_significance`.

    Args:
        runs: by method, the real videos' run not among them.
        metric: id.
        direction: of the metric; None: no marks.
        decimals: printed digits; ties are ties at this precision.
        ranked: whether the metric may be marked at all.
        truth: the real videos' own printed score, for the star.
        resample: what the test draws.
    """
    there = {n: r for n, r in sorted(runs.items()) if metric in r and r[metric].value is not None}
    if len(there) < 2:
        return Marks()
    if direction is None:
        return Marks(why_none=NO_DIRECTION)
    if not ranked:
        return Marks(why_none="coarse, shown without a rank")
    kept = list(there.values())
    if any(pooled_over(run, metric) for run in kept):
        if cropped_otherwise(kept, metric):
            return Marks(why_none="pooled over clips that the methods cropped from unlike landmarks (crop_from)")
        sets = [scored_clips(run, metric) for run in kept]
        same = len(set(sets)) == 1 and all(
            run[metric].n_scored == len(ids) for run, ids in zip(kept, sets, strict=True)
        )
        if not same:
            return Marks(why_none="pooled over other clips in each method")
        levels = {n: v for n, r in there.items() if (v := r[metric].value) is not None}
        best, second = best_and_second(levels, direction, decimals)
        return Marks(best, second, n_compared=len(sets[0]))
    ids = [scored_clips(run, metric) for run in kept]
    unlike = cropped_otherwise(kept, metric)
    all_scored = frozenset.intersection(*ids) - unlike
    left_out = tuple(
        f"{i} (cropped otherwise)" if i in unlike else i for i in sorted(frozenset.union(*ids) - all_scored)
    )
    if not all_scored:
        return Marks(left_out=left_out, why_none="no clip was scored by every method")
    values = {n: values_of(r, metric) for n, r in there.items()}
    common = sorted([i for i in values_of(kept[0], metric) if i in all_scored])
    clips = {n: [v[i] for i in common] for n, v in values.items()}
    best, second = best_and_second({n: level(v, direction) for n, v in clips.items()}, direction, decimals)
    groups = groups_of(common, kept, resample)
    pairs = {n: tuple(pair(clips[n], clips[o], direction, groups) for o in clips if o != n) for n in sorted(best)}
    star, no_star = _star(there, metric, truth, decimals)
    n_units = len(common if groups is None else set(groups))
    enough = n_units >= MIN_CLIPS
    return Marks(best, second, star, frozenset(), left_out, len(common), tested=enough, no_star=no_star, open=pairs)


def with_significance(columns: Mapping[Column, Marks], seed: int) -> dict[Column, Marks]:
    """The marks of all columns with `significant`: the best methods that are better than every other beyond chance.

    Args:
        columns: from `measured`.
        seed: of the resamples, which columns share.
    """
    asked = [p for marks in columns.values() for pairs in marks.open.values() for p in pairs]
    answers = iter(better(asked, seed))
    return {
        column: replace(
            marks,
            significant=frozenset(
                [n for n, pairs in marks.open.items() if all([next(answers) for _ in pairs])]  # noqa: C419 (each takes its own)
            ),
            open={},
        )
        for column, marks in columns.items()
    }


def _star(
    runs: Mapping[str, Result], metric: str, truth: float | None, decimals: int
) -> tuple[frozenset[str], tuple[str, ...]]:
    """Nearest to the truth, among the methods that scored every real clip that any method scored."""
    if truth is None or metric not in STARRED:
        return frozenset(), ()
    wanted = frozenset(real_values(list(runs.values()), metric))
    whole = {n: v for n, r in runs.items() if wanted <= scored_clips(r, metric) and (v := r[metric].value) is not None}
    return nearest(whole, truth, decimals) if whole else frozenset(), tuple(n for n in runs if n not in whole)


def real_level(runs: Sequence[Result], metric: str) -> float | None:
    """The real videos' own mean score over every real clip that any of the runs scored; None where there is none."""
    found = list(real_values(runs, metric).values())
    if found:
        return level(found, "up")
    # a run without values per clip (a baseline file) still knows its own mean
    own = sorted(s.gt_value for r in runs for s in r.scores if s.metric == metric and s.gt_value is not None)
    return own[0] if own and own[0] == own[-1] else None
