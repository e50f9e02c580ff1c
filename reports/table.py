"""Runs and published numbers -> a table with marks, ready to be rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from lipsync_eval.errors import SignatureMismatch, UsageError
from lipsync_eval.reports.footnotes import footnotes
from lipsync_eval.reports.layout import Layout
from lipsync_eval.reports.marks import STARRED, Marks, best_and_second, measured, nearest, real_level, with_significance
from lipsync_eval.reports.naming import Groups, dataset_labels, grouped, with_reference
from lipsync_eval.reports.published import GT, Published, facts_of_metric, of_dataset
from lipsync_eval.reports.structure import Cell, Column, Kind, Table, TableRow
from lipsync_eval.results.aggregate import bootstrap
from lipsync_eval.results.clips import groups_of, real_values, same_real_videos, values_of
from lipsync_eval.results.facts import Facts
from lipsync_eval.results.numbers import level
from lipsync_eval.results.rows import Interval, Resample
from lipsync_eval.results.schema import Result, Score
from lipsync_eval.results.signature import DATA, check_ignored, require_same

__all__ = ["Cell", "Column", "Kind", "Table", "TableRow", "build"]

PUBLISHED = "published"
"""Column group of published numbers beside measured ones, where it is not said that the dataset is the same."""


def build(
    runs: Sequence[Result],
    published: Sequence[Published] = (),
    *,
    layout: Layout | None = None,
    dataset: str | None = None,
    by_dataset: bool = False,
    ignore: Sequence[str] = (),
    seed: int = 12345,
    resample: Resample = "clip",
) -> Table:
    """Methods as rows, metrics as columns.

    Marks compare methods over the clips that all of them scored (see `marks`); the printed value is the method's own.

    Args:
        runs: measured runs; a run called 'GT' is the real videos' row.
        published: numbers of papers; ranked among themselves, never with measured ones.
        layout: which metrics, in which order; None: all there are.
        dataset: the runs' dataset by the papers' name: published numbers on it stand in the runs' own columns. None: they
            stand in one group of columns of their own.
        by_dataset: one column group per set of real videos; without it all runs must share theirs.
        ignore: signature keys (or 'data') that may differ.
        seed: of the paired bootstrap.
        resample: what tests and intervals draw. 'clip' leaves the intervals that the runs were scored with.

    Raises:
        SignatureMismatch: runs that were measured otherwise or on other real videos.
        UsageError: nothing to show, no published number on the dataset, or two runs for one place.
    """
    if not runs and not published:
        raise UsageError("there is nothing to show; give at least one run, or --published KEY")
    if dataset is not None and by_dataset:
        raise UsageError("--dataset names the dataset of all runs, --group-by dataset splits them: give one of the two")
    labels = dataset_labels(runs) if by_dataset else [""] * len(runs)
    if DATA not in ignore:
        _same_data(runs, labels, by_dataset)
    groups = grouped(runs, labels)
    check_ignored(ignore, (s.signature for run in runs for s in run.scores))
    _same_signatures(groups, ignore)
    numbers = published if dataset is None else of_dataset(published, dataset)
    rows = [_measured(name, groups, resample) for name in groups]
    if (truth := _truth(groups)) is not None and not any(r.is_gt for r in rows):
        rows.append(truth)
    rows += _published(numbers, list(dict.fromkeys(labels)), dataset)
    columns = _columns(rows, runs, numbers, layout)
    shown = {(c.dataset, c.metric) for c in columns}
    rows = [r for r in rows if r is not truth or r.cells.keys() & shown]
    if not columns:
        raise UsageError("none of the layout's metrics is in these runs; choose another --layout or score them")
    rows = sorted(rows, key=lambda r: (r.kind == "published", not r.is_gt))
    marks = with_significance({(c.dataset, c.metric): _marks(groups, rows, c, resample) for c in columns}, seed)
    rows = [_with_marks(r, marks) if r.kind == "measured" else r for r in rows]
    rows = _rank_published(rows, columns)
    unmeasured = list(dict.fromkeys(n.metric for n in numbers if not any(n.metric == m for _, m in shown)))
    notes = footnotes(rows, columns, marks, numbers, seed=seed, resample=resample)
    if any(run.run.reference for run in runs):
        notes.append("In brackets behind a method: where its generator's reference frame comes from.")
        rows = [
            replace(r, method=with_reference(r.method, list(groups[r.method].values()))) if r.method in groups else r
            for r in rows
        ]
    left = [
        m for m in dict.fromkeys(s.metric for r in runs for s in r.scores) if not any(m == c.metric for c in columns)
    ]
    return Table(
        layout.title if layout else "",
        tuple(columns),
        tuple(rows),
        (*notes, *(layout.notes if layout else ())),
        tuple(left),
        tuple(unmeasured),
    )


def _same_data(runs: Sequence[Result], labels: Sequence[str], by_dataset: bool) -> None:
    for (a, first), (b, second) in combinations(list(zip(runs, labels, strict=True)), 2):
        if first != second or same_real_videos(a, b):
            continue
        if by_dataset:
            raise SignatureMismatch(
                f"{a.run.name} and {b.run.name} name one folder of real videos ({a.data.gt}), but the videos in it were not "
                "the same: score one of them again, or allow it with --ignore data"
            )
        raise SignatureMismatch(
            f"{a.run.name} and {b.run.name} were not scored against the same real videos ({a.data.gt}, {b.data.gt}); use "
            "--group-by dataset for several datasets, or allow it with --ignore data"
        )


def _same_signatures(groups: Groups, ignore: Sequence[str]) -> None:
    first: dict[tuple[str, str], tuple[str, Score]] = {}
    for name, group in groups.items():
        for label, run in group.items():
            for score in run.scores:
                other, reference = first.setdefault((label, score.metric), (name, score))
                require_same(
                    reference.signature,
                    score.signature,
                    names=(f"{other} ({score.metric})", f"{name} ({score.metric})"),
                    ignore=[k for k in ignore if k != DATA],
                )
                if not reference.n_scored:  # it does not say whose landmarks cropped
                    first[label, score.metric] = (name, score)
                if reference.direction != score.direction:
                    raise SignatureMismatch(
                        f"{other} and {name} disagree on which direction of {score.metric} is better "
                        f"({reference.direction}, {score.direction}); score one of them again"
                    )


def _measured(name: str, groups: Groups, resample: Resample) -> TableRow:
    cells = {}
    for label, run in groups[name].items():
        beside = [group[label] for group in groups.values() if label in group]
        for s in run.scores:
            drawn = _interval(run, s, resample, beside)
            cells[label, s.metric] = Cell(s.value, s.mean_abs, *drawn, s.n_scored, s.n_asked, s.signature)
    return TableRow(name, "measured", name == GT, cells, "", "")


def _interval(
    run: Result, score: Score, resample: Resample, beside: Sequence[Result]
) -> tuple[Interval | None, Resample]:
    """The interval of a score and what it draws: the run's own, or made anew where speakers are asked for."""
    if resample == "clip" or score.resample == resample or score.ci is None:
        return score.ci, score.resample
    values = values_of(run, score.metric)
    return bootstrap([*values.values()], score.ci.seed, groups=groups_of([*values], beside, resample)), resample


def _truth(groups: Groups) -> TableRow | None:
    """The real videos' own scores over every real clip that any run scored, where a metric has them."""
    cells: dict[tuple[str, str], Cell] = {}
    for label in dict.fromkeys(label for group in groups.values() for label in group):
        runs = [group[label] for _, group in sorted(groups.items()) if label in group]
        for metric, score in {s.metric: s for r in runs for s in r.scores}.items():
            value = real_level(runs, metric)
            if value is not None:
                values = list(real_values(runs, metric).values())
                absolute = level(values, "zero") if score.direction == "zero" and values else None
                cells[label, metric] = Cell(value, absolute, signature=score.signature)
    return TableRow(GT, "measured", True, cells, "", "") if cells else None


def _published(numbers: Sequence[Published], labels: Sequence[str], dataset: str | None) -> list[TableRow]:
    """One row a method (and dataset, where several share a column group)."""
    here = {label.casefold(): label for label in labels}

    def place(n: Published) -> str:
        if not labels:
            return n.dataset
        if dataset is not None:
            return ""
        return here.get(n.dataset.casefold(), PUBLISHED)

    several = len({n.dataset for n in numbers if place(n) == PUBLISHED}) > 1
    found: dict[tuple[str, str, str], tuple[dict[tuple[str, str], Cell], Published]] = {}
    for n in numbers:
        split = n.dataset if place(n) == PUBLISHED else ""
        cells, _ = found.setdefault((n.key, n.method, split), ({}, n))
        cells[place(n), n.metric] = Cell(n.value)
    return [
        TableRow(
            f"{method} ({split})" if several and split else method,
            "published",
            method == GT,
            cells,
            first.paper,
            f"{first.paper}, {split}",
        )
        for (_, method, split), (cells, first) in found.items()
    ]


def _columns(
    rows: Sequence[TableRow], runs: Sequence[Result], published: Sequence[Published], layout: Layout | None
) -> list[Column]:
    seen: dict[str, dict[str, None]] = {}
    for kind in ("measured", "published"):
        for row in rows:
            for label, metric in row.cells:
                if row.kind == kind and (
                    kind == "measured" or layout or not _own(rows, label) or metric in seen[label]
                ):
                    seen.setdefault(label, {})[metric] = None
    columns = []
    for label, there in seen.items():
        for metric in [m for m in layout.metrics if m in there] if layout else there:
            facts = _facts(metric, runs)
            columns.append(
                Column(
                    label,
                    metric,
                    layout.headings.get(metric, facts.title) if layout else facts.title,
                    facts.direction,
                    layout.decimals.get(metric, facts.decimals) if layout else facts.decimals,
                    facts.ranked,
                )
            )
    return columns


def _own(rows: Sequence[TableRow], label: str) -> bool:
    return any(row.kind == "measured" and label == place for row in rows for place, _ in row.cells)


def _facts(metric: str, runs: Sequence[Result]) -> Facts:
    """What the runs say about a metric; where titles or digits differ (two versions), the same whatever the order of runs."""
    scores = [s for run in runs for s in run.scores if s.metric == metric]
    if not scores:
        return facts_of_metric(metric)
    s = max(scores, key=lambda s: (s.decimals, s.title))
    return Facts(s.title, s.decimals, s.direction, s.unit, s.family, all(s.ranked for s in scores))


def _marks(groups: Groups, rows: Sequence[TableRow], column: Column, resample: Resample) -> Marks:
    place = (column.dataset, column.metric)
    runs = {n: group[column.dataset] for n, group in groups.items() if n != GT and column.dataset in group}
    truth = next((c.value for r in rows if r.kind == "measured" and r.is_gt and (c := r.cells.get(place))), None)
    return measured(
        runs,
        column.metric,
        column.direction,
        column.decimals,
        ranked=column.ranked,
        truth=truth,
        resample=resample,
    )


def _with_marks(row: TableRow, marks: Mapping[tuple[str, str], Marks]) -> TableRow:
    cells = dict(row.cells)
    for place, found in marks.items():
        if place in cells and not row.is_gt:
            cells[place] = replace(
                cells[place],
                best=row.method in found.best,
                second=row.method in found.second,
                star=row.method in found.star,
                significant=row.method in found.significant,
            )
    return replace(row, cells=cells)


def _rank_published(rows: Sequence[TableRow], columns: Sequence[Column]) -> list[TableRow]:
    """Marks of printed numbers: each paper's by themselves, and each dataset's."""
    out = list(rows)
    for population in dict.fromkeys(r.population for r in rows if r.kind == "published"):
        members = [i for i, r in enumerate(out) if r.population == population and r.kind == "published"]
        for column in columns:
            place = (column.dataset, column.metric)
            cells = {str(i): c for i in members if (c := out[i].cells.get(place)) and c.value is not None}
            values = {i: c.value for i, c in cells.items() if c.value is not None and not out[int(i)].is_gt}
            best, second = best_and_second(values, column.direction, column.decimals)
            truth = next((c.value for i, c in cells.items() if out[int(i)].is_gt), None)
            star = nearest(values, truth, column.decimals) if truth is not None and column.metric in STARRED else ()
            for i in values:
                cell = replace(cells[i], best=i in best, second=i in second, star=i in star)
                out[int(i)] = replace(out[int(i)], cells={**out[int(i)].cells, place: cell})
    return out
