"""A Table as text, Markdown, CSV or HTML; LaTeX is a file of its own. Method and dataset names are anybody's text and are escaped."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path

from lipsync_eval.files import write_text
from lipsync_eval.reports.latex import as_latex
from lipsync_eval.reports.printing import between, head, label, number, suffix
from lipsync_eval.reports.structure import Column, Table, TableRow
from lipsync_eval.results.csv_text import csv_text
from lipsync_eval.results.names import printable


def as_text(table: Table) -> str:
    """For a terminal: **best**, _second_."""

    def cell(row: TableRow, column: Column) -> str:
        return "".join(between(row, column, ("**", "**"), ("_", "_")))

    lines = [printable(table.title)] if table.title else []
    for dataset in table.datasets:
        columns = [c for c in table.columns if c.dataset == dataset]
        rows = [r for r in table.rows if any((c.dataset, c.metric) in r.cells for c in columns)]
        grid = [
            ["method", *(printable(head(c)) for c in columns)],
            *([printable(label(r)), *(cell(r, c) for c in columns)] for r in rows),
        ]
        widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
        if dataset:
            lines += ["", printable(dataset)]
        for k, line in enumerate(grid):
            lines.append(
                "  ".join(
                    [line[0].ljust(widths[0]), *(x.rjust(w) for x, w in zip(line[1:], widths[1:], strict=True))]
                ).rstrip()
            )
            if k == 0:
                lines.append("-" * (sum(widths) + 2 * len(widths) - 2))
    return "\n".join([*lines, "", *map(printable, (*table.footnotes, *table.remarks))]) + "\n"


def as_markdown(table: Table) -> str:
    """GitHub's dialect: **best**, <ins>second</ins>."""

    def cell(row: TableRow, column: Column) -> str:
        value, marks = between(row, column, ("**", "**"), ("<ins>", "</ins>"))
        return value + marks.replace("*", r"\*")

    heads = [markdown_text(f"{c.dataset}: {head(c)}" if c.dataset else head(c)) for c in table.columns]
    lines = [f"**{markdown_text(table.title)}**", ""] if table.title else []
    lines += ["| method | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    lines += [
        "| " + " | ".join([markdown_text(label(r)), *(cell(r, c) for c in table.columns)]) + " |" for r in table.rows
    ]
    return (
        "\n".join([*lines, "", *(f"<sub>{markdown_text(n)}</sub>  " for n in (*table.footnotes, *table.remarks))])
        + "\n"
    )


def as_csv(table: Table) -> str:
    """Tidy: one number a line, unrounded."""
    names = ["method", "kind", "dataset", "metric", "direction", "value", "low", "high", "n_scored", "n_asked", "marks"]
    rows: list[list[object]] = [[*names, "signature", "source", "mean_abs", "resample"]]
    for row in table.rows:
        for c in table.columns:
            found = row.cells.get((c.dataset, c.metric))
            if found is None:
                continue
            marks = " ".join(name for name in ("best", "second", "star", "significant") if getattr(found, name))
            low, high = (found.interval.low, found.interval.high) if found.interval else (None, None)
            drawn = found.resample if found.interval else None
            kind = "gt" if row.is_gt else row.kind
            place = [row.method, kind, c.dataset, c.metric, c.direction]
            numbers = [found.value, low, high, found.n_scored, found.n_asked]
            rows.append([*place, *numbers, marks, found.signature, row.source, found.mean_abs, drawn])
    return csv_text(rows)


def as_html(table: Table) -> str:
    """A fragment without style or script: <strong> best, <u> second."""

    def cell(row: TableRow, column: Column) -> str:
        found = row.cells.get((column.dataset, column.metric))
        value = html.escape(number(found, column))
        if found is not None and found.best:
            value = f"<strong>{value}</strong>"
        elif found is not None and found.second:
            value = f"<u>{value}</u>"
        return f"<td>{value}{html.escape(suffix(found))}</td>"

    lines = ["<table>"]
    if table.title:
        lines.append(f"<caption>{_html(table.title)}</caption>")
    lines.append("<thead>")
    if any(table.datasets):
        spans = "".join(
            f'<th scope="colgroup" colspan="{sum(c.dataset == d for c in table.columns)}">{_html(d)}</th>'
            for d in table.datasets
        )
        lines.append(f"<tr><td></td>{spans}</tr>")
    lines.append(
        '<tr><th scope="col">Method</th>'
        + "".join(f'<th scope="col">{_html(head(c))}</th>' for c in table.columns)
        + "</tr>"
    )
    lines += ["</thead>", "<tbody>"]
    lines += [
        f'<tr><th scope="row">{_html(label(r))}</th>' + "".join(cell(r, c) for c in table.columns) + "</tr>"
        for r in table.rows
    ]
    lines += ["</tbody>", "</table>", *(f"<p>{_html(n)}</p>" for n in (*table.footnotes, *table.remarks))]
    return "\n".join(lines) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "html": as_html,
}


SUFFIXES: dict[str, str] = {"text": "txt", "markdown": "md", "latex": "tex", "csv": "csv"}
"""Forms that `write_all` writes -> suffix of the file."""


def write_all(table: Table, folder: Path) -> None:
    """Write FOLDER/table.txt, .md, .tex and .csv, each whole or not at all; raises OSError."""
    for form, ending in SUFFIXES.items():
        write_text(folder / f"table.{ending}", FORMATS[form](table))


def _html(text: str) -> str:
    return html.escape(printable(text))


def markdown_text(text: str) -> str:
    """Any text as one line of Markdown that shows it as it is."""
    safe = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _escaped(safe, "\\`*_{}[]!|~@#")


def _escaped(text: str, special: Sequence[str] | str) -> str:
    return "".join(f"\\{c}" if c in special else c for c in text)
