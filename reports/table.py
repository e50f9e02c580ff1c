"""Runs and published numbers -> a table with marks, ready to be rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Literal

from lipsync_eval.errors import SignatureMismatch, UsageError
from lipsync_eval.reports import style
from lipsync_eval.reports.layout import Layout
from lipsync_eval.reports.published import GT, REMARKS, Published
from lipsync_eval.reports.significance import ALPHA, MIN_CLIPS, N_BOOT, better, rank
from lipsync_eval.results.schema import Interval, Result, Score
from lipsync_eval.results.signature import difference, require_same, short_hash

Kind = Literal["measured", "published"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One number and its marks."""

    value: float | None
    interval: Interval | None = None
    n_scored: int | None = None
    n_asked: int | None = None
    signature: str = ""
    best: bool = False
    second: bool = False
    star: bool = False
    """Nearest to the real videos' own score."""
    significant: bool = False
    """Better than every other measured method by the paired bootstrap."""


@dataclass(frozen=True, slots=True)
class Column:
    """One metric on one dataset."""

    dataset: str
    metric: str
    heading: str
    direction: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Row:
    """One method."""

    method: str
    kind: Kind
    is_gt: bool
    cells: Mapping[tuple[str, str], Cell]
    """(dataset, metric) -> cell."""
    source: str
    """Where a published row stands; empty for a measured one."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table to render."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[str, ...] = field(default=())

    @property
    def datasets(self) -> tuple[str, ...]:
        """Column groups, in order."""
        return tuple(dict.fromkeys(c.dataset for c in self.columns))


def build(
    runs: Sequence[Result],
    published: Sequence[Published] = (),
    *,
    layout: Layout | None = None,
    by_dataset: bool = False,
    ignore: Sequence[str] = (),
    seed: int = 12345,
) -> Table:
    """Methods as rows, metrics of each dataset as columns.

    Args:
        runs: measured runs; a run called 'GT' is the real videos' row.
        published: numbers of papers; ranked among themselves, never with measured ones.
        layout: which metrics, in which order; None: all there are.
        by_dataset: one column group per folder of real videos; without it all runs must share theirs.
        ignore: signature keys (or 'data') that may differ.
        seed: of the paired bootstrap.

    Raises:
        SignatureMismatch: runs that were measured otherwise or on other real videos.
        UsageError: nothing to show, or two runs for one place.
    """
    if not runs and not published:
        raise UsageError("there is nothing to show; give at least one run, or --published KEY")
    labels = [PurePath(r.data.gt).name or r.data.gt for r in runs] if by_dataset else ["" for _ in runs]
    if "data" not in ignore:
        _same_data(runs, labels)
    groups = _grouped(runs, labels)
    _same_signatures(groups, ignore)
    rows = [_measured(name, group) for name, group in groups.items()]
    if (truth := _truth(groups)) is not None and not any(r.is_gt for r in rows):
        rows.append(truth)
    rows += _published(published, "" if runs and not by_dataset else None)
    columns = _columns(rows, runs, published, layout)
    rows = [r for r in rows if r is not truth or any((c.dataset, c.metric) in r.cells for c in columns)]
    if not columns:
        raise UsageError("none of the layout's metrics is in these runs; choose another --layout or score them")
    rows = sorted(rows, key=lambda r: (r.kind == "published", not r.is_gt))
    rows = _marked(rows, columns)
    rows = _significance(rows, columns, groups, seed)
    return Table(
        layout.title if layout else "",
        tuple(columns),
        tuple(rows),
        tuple(_footnotes(rows, columns, runs, published, layout, seed)),
    )


def _grouped(runs: Sequence[Result], labels: Sequence[str]) -> dict[str, dict[str, Result]]:
    groups: dict[str, dict[str, Result]] = {}
    for run, label in zip(runs, labels, strict=True):
        mine = groups.setdefault(run.run.name, {})
        if label in mine:
            where = f" on {label}" if label else ""
            raise UsageError(
                f"two runs are called {run.run.name!r}{where}; score one of them again with another --name"
            )
        mine[label] = run
    return groups


def _same_data(runs: Sequence[Result], labels: Sequence[str]) -> None:
    first: dict[str, Result] = {}
    for run, label in zip(runs, labels, strict=True):
        other = first.setdefault(label, run)
        if other.data.gt_digest != run.data.gt_digest:
            raise SignatureMismatch(
                f"{other.run.name} and {run.run.name} were not scored against the same real videos (data.gt_digest); use --group-by dataset "
                "for several datasets, or allow it with --ignore data"
            )


def _same_signatures(groups: Mapping[str, Mapping[str, Result]], ignore: Sequence[str]) -> None:
    first: dict[tuple[str, str], tuple[str, Score]] = {}
    for name, group in groups.items():
        for label, run in group.items():
            for score in run.scores:
                other, reference = first.setdefault((label, score.metric), (name, score))
                require_same(
                    reference.signature,
                    score.signature,
                    names=(f"{other} ({score.metric})", f"{name} ({score.metric})"),
                    ignore=[k for k in ignore if k != "data"],
                )


def _measured(name: str, group: Mapping[str, Result]) -> Row:
    cells = {
        (label, s.metric): Cell(s.value, s.ci, s.n_scored, s.n_asked, s.signature)
        for label, run in group.items()
        for s in run.scores
    }
    return Row(name, "measured", name == GT, cells, "")


def _truth(groups: Mapping[str, Mapping[str, Result]]) -> Row | None:
    """The real videos' own scores, where a metric has them."""
    cells: dict[tuple[str, str], Cell] = {}
    for group in groups.values():
        for label, run in group.items():
            for s in run.scores:
                if s.gt_value is not None:
                    cells.setdefault((label, s.metric), Cell(s.gt_value, None, None, None, s.signature))
    return Row(GT, "measured", True, cells, "") if cells else None


def _published(numbers: Sequence[Published], label: str | None) -> list[Row]:
    found: dict[tuple[str, str], dict[tuple[str, str], Cell]] = {}
    sources: dict[tuple[str, str], str] = {}
    for n in numbers:
        place = n.dataset if label is None else f"{n.dataset} (published)"
        found.setdefault((n.key, n.method), {})[place, n.metric] = Cell(n.value)
        sources[n.key, n.method] = n.paper
    return [
        Row(method, "published", method == GT, cells, sources[key, method]) for (key, method), cells in found.items()
    ]


def _columns(
    rows: Sequence[Row], runs: Sequence[Result], published: Sequence[Published], layout: Layout | None
) -> list[Column]:
    seen: dict[str, dict[str, None]] = {}
    for row in rows:
        for label, metric in row.cells:
            seen.setdefault(label, {})[metric] = None
    ways = {s.metric: s.direction for run in runs for s in run.scores}
    columns = []
    for label, there in seen.items():
        metrics = [m for m in layout.metrics if m in there] if layout else list(there)
        for m in metrics:
            title, digits = (layout.heading(m), layout.digits(m)) if layout else (style.heading(m), style.decimals(m))
            columns.append(Column(label, m, title, ways.get(m) or style.direction(m), digits))
    return columns


def _marked(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Best, second best and nearest to the truth: among measured rows, and apart from them among each paper's."""
    out = list(rows)
    for population in dict.fromkeys((r.kind, r.source) for r in rows):
        members = [i for i, r in enumerate(out) if (r.kind, r.source) == population]
        for column in columns:
            _mark(out, members, column)
    return out


def _mark(rows: list[Row], members: Sequence[int], column: Column) -> None:
    place = (column.dataset, column.metric)
    values = {
        i: round(v, column.decimals) for i in members if not rows[i].is_gt and (v := _value(rows[i], place)) is not None
    }
    if len(values) < 2:
        return
    levels = sorted({rank(v, column.direction) for v in values.values()})
    truth = next((v for i in members if rows[i].is_gt and (v := _value(rows[i], place)) is not None), None)
    nearest = (
        min(abs(v - truth) for v in values.values()) if truth is not None and column.metric in style.STARRED else None
    )
    for i, v in values.items():
        level = rank(v, column.direction)
        cell = replace(
            rows[i].cells[place],
            best=level == levels[0],
            second=len(levels) > 1 and level == levels[1],
            star=nearest is not None and truth is not None and abs(abs(v - truth) - nearest) < 1e-9,
        )
        rows[i] = replace(rows[i], cells={**rows[i].cells, place: cell})


def _value(row: Row, place: tuple[str, str]) -> float | None:
    cell = row.cells.get(place)
    return None if cell is None else cell.value


def _significance(
    rows: list[Row], columns: Sequence[Column], groups: Mapping[str, Mapping[str, Result]], seed: int
) -> list[Row]:
    out = list(rows)
    for i, row in enumerate(rows):
        for column in columns:
            place = (column.dataset, column.metric)
            cell = row.cells.get(place)
            if (
                row.kind == "measured"
                and cell is not None
                and cell.best
                and _beats_all(row.method, column, groups, seed)
            ):
                out[i] = replace(out[i], cells={**out[i].cells, place: replace(out[i].cells[place], significant=True)})
    return out


def _beats_all(method: str, column: Column, groups: Mapping[str, Mapping[str, Result]], seed: int) -> bool:
    mine = _clips(groups[method], column)
    others = [
        _clips(group, column) for name, group in groups.items() if name not in {method, GT} and column.dataset in group
    ]
    return bool(mine and others) and all(better(mine, other, column.direction, seed) for other in others)


def _clips(group: Mapping[str, Result], column: Column) -> dict[str, float]:
    run = group.get(column.dataset)
    return {c.id: v for c in run.clips if (v := c.values.get(column.metric)) is not None} if run else {}


def _ignored(cells: Sequence[tuple[Row, Column, Cell]]) -> list[str]:
    """'FID (real)' for every metric whose rows differ in a key that --ignore named."""
    first: dict[Column, str] = {}
    found: dict[str, dict[str, None]] = {}
    for _, column, cell in cells:
        if cell.signature and (keys := difference(first.setdefault(column, cell.signature), cell.signature)):
            found.setdefault(column.metric, {}).update(dict.fromkeys(keys))
    return [f"{style.heading(metric)} ({', '.join(keys)})" for metric, keys in found.items()]


def _footnotes(
    rows: Sequence[Row],
    columns: Sequence[Column],
    runs: Sequence[Result],
    published: Sequence[Published],
    layout: Layout | None,
    seed: int,
) -> list[str]:
    notes = []
    cells = [
        (row, column, row.cells[column.dataset, column.metric])
        for row in rows
        for column in columns
        if (column.dataset, column.metric) in row.cells
    ]
    if any(c.best for *_, c in cells):
        notes.append("Bold: best. Underlined: second best (ties share a mark).")
    if any(c.star for *_, c in cells):
        notes.append("*: nearest to the real videos' own score.")
    if any(c.significant for *_, c in cells):
        notes.append(
            f"§: better than every other measured method (two-sided paired bootstrap over clips, {N_BOOT} resamples, seed {seed}, p < {ALPHA})."
        )
    measured = [(row, c) for row, _, c in cells if row.kind == "measured" and not row.is_gt and c.n_scored]
    if len({row.method for row, _ in measured}) > 1 and all(
        c.n_scored is not None and c.n_scored < MIN_CLIPS for _, c in measured
    ):
        notes.append(f"No test of significance: it takes {MIN_CLIPS} clips.")
    hashes: dict[str, dict[str, None]] = {}
    for _, column, c in cells:
        if c.signature:
            hashes.setdefault(column.metric, {})[short_hash(c.signature)] = None
    if hashes:
        notes.append("Signatures: " + ", ".join(f"{style.heading(m)} {'/'.join(h)}" for m, h in hashes.items()) + ".")
    if ignored := _ignored(cells):
        notes.append(f"Not measured the same way, allowed by --ignore: {', '.join(ignored)}.")
    if asked := sorted({c.n_asked for *_, c in cells if c.n_asked is not None}):
        missing = _not_scored(cells)
        notes.append(
            f"Clips asked: {', '.join(map(str, asked))}. "
            + (f"Not all scored: {'; '.join(missing)}." if missing else "All scored.")
        )
    if published:
        papers = list(dict.fromkeys(n.paper for n in published))
        notes.append(
            f"†: printed in {'; '.join(papers)}, made under another protocol; not comparable with measured rows, and ranked apart from them."
        )
        notes += [f"† {text}." for text in dict.fromkeys(n.notes for n in published if n.notes)]
        notes += [f"† {text}" for place, text in REMARKS.items() if any((n.key, n.table) == place for n in published)]
    if layout:
        shown = {c.metric for c in columns}
        if left := [m for m in dict.fromkeys(s.metric for r in runs for s in r.scores) if m not in shown]:
            notes.append(f"Measured but not in this layout: {', '.join(left)}.")
        notes += layout.notes
    return notes


def _not_scored(cells: Sequence[tuple[Row, Column, Cell]]) -> list[str]:
    """One text per method and number of clips that were scored of those asked, with the metrics that it holds for."""
    found: dict[tuple[str, int | None, int], dict[str, None]] = {}
    for row, column, cell in cells:
        if cell.n_asked is not None and cell.n_scored != cell.n_asked:
            found.setdefault((row.method, cell.n_scored, cell.n_asked), {})[column.heading] = None
    return [
        f"{method}: {n_scored} of {n_asked} clips ({', '.join(headings)})"
        for (method, n_scored, n_asked), headings in found.items()
    ]
