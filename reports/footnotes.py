"""What a reader of a table has to know: marks, clips, signatures, sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lipsync_eval.reports.marks import Marks
from lipsync_eval.reports.published import REMARKS, Published
from lipsync_eval.reports.significance import ALPHA, MIN_CLIPS, N_BOOT
from lipsync_eval.reports.structure import Cell, Column, TableRow
from lipsync_eval.results.rows import Resample
from lipsync_eval.results.signature import difference, short_hash

_NAMED = 5
"""Clips that are named; the others are counted."""
Place = tuple[TableRow, Column, Cell]


def footnotes(
    rows: Sequence[TableRow],
    columns: Sequence[Column],
    marks: Mapping[tuple[str, str], Marks],
    published: Sequence[Published],
    *,
    seed: int,
    resample: Resample,
) -> list[str]:
    """All footnotes, in order."""
    cells = [(r, c, r.cells[c.dataset, c.metric]) for r in rows for c in columns if (c.dataset, c.metric) in r.cells]
    return [
        *_explained(cells, seed, resample),
        *_compared(columns, marks, cells, resample),
        *_measured(cells),
        *_sources(published),
    ]


def _explained(cells: Sequence[Place], seed: int, resample: Resample) -> list[str]:
    notes = []
    if any(c.best for *_, c in cells):
        notes.append("Bold: best. Underlined: second best (ties share a mark).")
    if any(c.star for *_, c in cells):
        notes.append("*: nearest to the real videos' own score.")
    if any(c.significant for *_, c in cells):
        notes.append(
            f"§: better than every other measured method (two-sided paired bootstrap over {resample}s, {N_BOOT} resamples, "
            f"seed {seed}, p < {ALPHA})."
        )
    if signed := list(dict.fromkeys(c.heading for _, c, cell in cells if cell.mean_abs is not None)):
        notes.append(f"{', '.join(signed)}: mean, and in brackets the mean of absolute values, by which it is ranked.")
    return notes


def _compared(
    columns: Sequence[Column], marks: Mapping[tuple[str, str], Marks], cells: Sequence[Place], resample: Resample
) -> list[str]:
    """Over which clips methods were compared, and where they were not."""
    notes = []
    several = len({c.dataset for c in columns}) > 1

    def called(column: Column) -> str:
        return f"{column.dataset} {column.heading}" if several and column.dataset else column.heading

    over: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    none: dict[str, list[str]] = {}
    starless: dict[tuple[str, ...], list[str]] = {}
    for column in columns:
        found = marks[column.dataset, column.metric]
        if found.why_none:
            none.setdefault(found.why_none, []).append(called(column))
        elif found.left_out and found.n_compared is not None:
            over.setdefault((found.n_compared, found.left_out), []).append(called(column))
        if found.no_star:
            starless.setdefault(found.no_star, []).append(called(column))
    for (n, left), names in over.items():
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        notes.append(
            f"Compared over the {n} of {n + len(left)} clips that every method scored ({', '.join(names)}); left out: "
            f"{', '.join(left[:_NAMED])}{more}. Printed values are each method's own."
        )
    notes += [f"No mark for {', '.join(names)}: {why}." for why, names in none.items()]
    notes += [
        f"No star for {', '.join(methods)} ({', '.join(names)}): not every real clip was scored."
        for methods, names in starless.items()
    ]
    compared = [m for m in marks.values() if m.n_compared is not None]
    measured = {row.method for row, _, c in cells if row.kind == "measured" and not row.is_gt and c.n_scored}
    if len(measured) > 1 and compared and not any(m.tested for m in compared):
        notes.append(f"No test of significance: it takes {MIN_CLIPS} {resample}s.")
    return notes


def _measured(cells: Sequence[Place]) -> list[str]:
    notes = []
    hashes: dict[str, dict[str, None]] = {}
    for _, column, c in cells:
        if c.signature and c.n_scored != 0:
            hashes.setdefault(column.heading, {})[short_hash(c.signature)] = None
    if hashes:
        notes.append("Signatures: " + ", ".join(f"{m} {'/'.join(h)}" for m, h in hashes.items()) + ".")
    if ignored := _ignored(cells):
        notes.append(f"Not measured the same way, allowed by --ignore: {', '.join(ignored)}.")
    if asked := sorted({c.n_asked for *_, c in cells if c.n_asked is not None}):
        missing = _not_scored(cells)
        notes.append(
            f"Clips asked: {', '.join(map(str, asked))}. "
            + (f"Not all scored: {'; '.join(missing)}." if missing else "All scored.")
        )
    return notes


def _sources(published: Sequence[Published]) -> list[str]:
    if not published:
        return []
    papers = list(dict.fromkeys(n.paper for n in published))
    notes = [
        f"†: printed in {'; '.join(papers)}, made under another protocol; not comparable with measured rows, and ranked apart "
        "from them."
    ]
    notes += [f"† {text}." for text in dict.fromkeys(n.notes for n in published if n.notes)]
    return notes + [f"† {text}" for place, text in REMARKS.items() if any((n.key, n.table) == place for n in published)]


def _ignored(cells: Sequence[Place]) -> list[str]:
    """'FID (real)' for every metric whose rows differ in a key that --ignore named."""
    first: dict[Column, str] = {}
    found: dict[str, dict[str, None]] = {}
    for _, column, cell in cells:
        if not cell.signature or cell.n_scored == 0:
            continue
        if keys := difference(first.setdefault(column, cell.signature), cell.signature):
            found.setdefault(column.heading, {}).update(dict.fromkeys(keys))
    return [f"{heading} ({', '.join(keys)})" for heading, keys in found.items()]


def _not_scored(cells: Sequence[Place]) -> list[str]:
    """One text per method and number of clips that were scored of those asked, with the metrics that it holds for."""
    found: dict[tuple[str, int | None, int], dict[str, None]] = {}
    for row, column, cell in cells:
        if cell.n_asked is not None and cell.n_scored != cell.n_asked:
            found.setdefault((row.method, cell.n_scored, cell.n_asked), {})[column.heading] = None
    return [
        f"{method}: {n_scored} of {n_asked} clips ({', '.join(headings)})"
        for (method, n_scored, n_asked), headings in found.items()
    ]
