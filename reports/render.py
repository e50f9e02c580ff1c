"""A Table as text, Markdown, LaTeX, CSV or HTML. Method and dataset names are anybody's text and are escaped."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Sequence

from lipsync_eval.reports.style import ARROWS
from lipsync_eval.reports.table import Cell, Column, Row, Table

_MISSING = "–"
_WIDE = 8
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "†": r"$\dagger$",
    "§": r"\S{}",
    "→": r"$\to$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    "`": r"\textasciigrave{}",
}


def number(cell: Cell | None, column: Column) -> str:
    """The printed value, without marks."""
    return _MISSING if cell is None or cell.value is None else f"{cell.value:.{column.decimals}f}"


def _label(row: Row) -> str:
    return row.method + (" †" if row.kind == "published" else "")


def _suffix(cell: Cell | None) -> str:
    return "" if cell is None else ("*" if cell.star else "") + ("§" if cell.significant else "")


def _printed(
    row: Row, column: Column, best: tuple[str, str], second: tuple[str, str], escape: Callable[[str], str] = str
) -> tuple[str, str]:
    """(value between `best` or `second` where it is that, further marks)."""
    found = row.cells.get((column.dataset, column.metric))
    before, after = ("", "") if found is None else best if found.best else second if found.second else ("", "")
    return before + escape(number(found, column)) + after, _suffix(found)


def _head(column: Column) -> str:
    return f"{column.heading} {ARROWS[column.direction]}"


def plain(text: str) -> str:
    """One line of printable characters."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def as_text(table: Table) -> str:
    """For a terminal: **best**, _second_."""

    def cell(row: Row, column: Column) -> str:
        return "".join(_printed(row, column, ("**", "**"), ("_", "_")))

    lines = [plain(table.title)] if table.title else []
    for dataset in table.datasets:
        columns = [c for c in table.columns if c.dataset == dataset]
        rows = [r for r in table.rows if any((c.dataset, c.metric) in r.cells for c in columns)]
        grid = [["method", *map(_head, columns)], *([plain(_label(r)), *(cell(r, c) for c in columns)] for r in rows)]
        widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
        if dataset:
            lines += ["", plain(dataset)]
        for k, line in enumerate(grid):
            lines.append(
                "  ".join(
                    [line[0].ljust(widths[0]), *(x.rjust(w) for x, w in zip(line[1:], widths[1:], strict=True))]
                ).rstrip()
            )
            if k == 0:
                lines.append("-" * (sum(widths) + 2 * len(widths) - 2))
    return "\n".join([*lines, "", *map(plain, table.footnotes)]) + "\n"


def as_markdown(table: Table) -> str:
    """GitHub's dialect: **best**, <ins>second</ins>."""

    def cell(row: Row, column: Column) -> str:
        value, marks = _printed(row, column, ("**", "**"), ("<ins>", "</ins>"))
        return value + marks.replace("*", r"\*")

    heads = [_markdown(f"{c.dataset}: {_head(c)}" if c.dataset else _head(c)) for c in table.columns]
    lines = [f"**{_markdown(table.title)}**", ""] if table.title else []
    lines += ["| method | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    lines += [
        "| " + " | ".join([_markdown(_label(r)), *(cell(r, c) for c in table.columns)]) + " |" for r in table.rows
    ]
    return "\n".join([*lines, "", *(f"<sub>{_markdown(n)}</sub>  " for n in table.footnotes)]) + "\n"


def as_latex(table: Table) -> str:
    """booktabs; needs \\usepackage{booktabs} and, for other than ASCII names, a Unicode engine or inputenc."""

    def cell(row: Row, column: Column) -> str:
        value, marks = _printed(row, column, (r"\textbf{", "}"), (r"\underline{", "}"), _latex)
        return value + marks.replace("*", r"$^{*}$").replace("§", r"$^{\S}$")

    wide = len(table.columns) > _WIDE  # across both columns, shrunk to the text's width
    needs = r"% needs \usepackage{booktabs}" + (r" and \usepackage{graphicx}" if wide else "")
    lines = [needs, rf"\begin{{table{'*' if wide else ''}}}[t]", r"\centering", r"\small"]
    lines += [r"\resizebox{\textwidth}{!}{%"] if wide else []
    lines += [r"\begin{tabular}{l" + "r" * len(table.columns) + "}", r"\toprule"]
    if any(table.datasets):
        start, groups, rules = 2, [], []
        for dataset in table.datasets:
            span = sum(c.dataset == dataset for c in table.columns)
            groups.append(rf"\multicolumn{{{span}}}{{c}}{{{_latex(dataset)}}}")
            rules.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
            start += span
        lines += [" & " + " & ".join(groups) + r" \\", " ".join(rules)]
    lines += ["Method & " + " & ".join(_latex(_head(c)) for c in table.columns) + r" \\", r"\midrule"]
    for i, row in enumerate(table.rows):
        if i and row.kind != table.rows[i - 1].kind:
            lines.append(r"\midrule")
        lines.append(" & ".join([_latex(_label(row)), *(cell(row, c) for c in table.columns)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}" + ("}" if wide else "")]
    notes = " ".join(_latex(n) for n in table.footnotes)
    caption = f"{_latex(table.title)}. " if table.title else ""
    return "\n".join([*lines, rf"\caption{{{caption}{notes}}}", rf"\end{{table{'*' if wide else ''}}}"]) + "\n"


def as_csv(table: Table) -> str:
    """Tidy: one number a line, unrounded."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [
            "method",
            "kind",
            "dataset",
            "metric",
            "direction",
            "value",
            "low",
            "high",
            "n_scored",
            "n_asked",
            "marks",
            "signature",
            "source",
        ]
    )
    for row in table.rows:
        for c in table.columns:
            found = row.cells.get((c.dataset, c.metric))
            if found is None:
                continue
            marks = " ".join(name for name in ("best", "second", "star", "significant") if getattr(found, name))
            low, high = (found.interval.low, found.interval.high) if found.interval else ("", "")
            value = "" if found.value is None else repr(found.value)
            n = ["" if x is None else x for x in (found.n_scored, found.n_asked)]
            writer.writerow(
                [
                    row.method,
                    "gt" if row.is_gt else row.kind,
                    c.dataset,
                    c.metric,
                    c.direction,
                    value,
                    low,
                    high,
                    *n,
                    marks,
                    found.signature,
                    row.source,
                ]
            )
    return buffer.getvalue()


def as_html(table: Table) -> str:
    """A fragment without style or script: <strong> best, <u> second."""

    def cell(row: Row, column: Column) -> str:
        found = row.cells.get((column.dataset, column.metric))
        value = html.escape(number(found, column))
        if found is not None and found.best:
            value = f"<strong>{value}</strong>"
        elif found is not None and found.second:
            value = f"<u>{value}</u>"
        return f"<td>{value}{html.escape(_suffix(found))}</td>"

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
        + "".join(f'<th scope="col">{_html(_head(c))}</th>' for c in table.columns)
        + "</tr>"
    )
    lines += ["</thead>", "<tbody>"]
    lines += [
        f'<tr><th scope="row">{_html(_label(r))}</th>' + "".join(cell(r, c) for c in table.columns) + "</tr>"
        for r in table.rows
    ]
    lines += ["</tbody>", "</table>", *(f"<p>{_html(n)}</p>" for n in table.footnotes)]
    return "\n".join(lines) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "html": as_html,
}


def _html(text: str) -> str:
    return html.escape(plain(text))


def _markdown(text: str) -> str:
    safe = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _escaped(safe, "\\`*_{}[]!|~@#")


def _escaped(text: str, special: Sequence[str] | str) -> str:
    return "".join(f"\\{c}" if c in special else c for c in text)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in plain(text))
