"""A Table as LaTeX with booktabs alone: it compiles in any document, and names come out as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from lipsync_eval.errors import UsageError
from lipsync_eval.reports.printing import between, head, label
from lipsync_eval.reports.structure import Column, Table, TableRow
from lipsync_eval.results.names import printable

Fit = Literal["auto", "column", "page"]

COLUMN_PT: Final = 245.0
"""Width of one column of a two-column paper, in TeX points; a page of text is 2.06 times as wide."""
PAGE_PT: Final = 505.0
_CHARACTER_PT: Final = 4.6
r"""Mean width of a character at \small (9 pt)."""
_GAP_PT: Final = 12.0
"""Two \tabcolsep."""

_ESCAPES: Final[Mapping[str, str]] = {
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
    '"': r"{\ttfamily\char34}",
    "'": r"{\fontencoding{OT1}\ttfamily\selectfont\char13}",  # upright, as typed; no package needed
    "`": r"{\fontencoding{OT1}\ttfamily\selectfont\char18}",
    "†": r"$\dagger$",
    "§": r"\S{}",
    "→": r"$\to$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    "…": r"\ldots{}",
}
_LIGATURE: Final = re.compile(r"([-,!?])(?=[-,`])")
"""Pairs that TeX would draw as one sign."""


def escaped(text: str) -> str:
    """Text that stands in a document as it is: no command, no ligature, no argument of the line above.

    A '[' or '*' at the beginning of a row would be read as an argument of the line break before it, '"' has no sign in the
    default font: hence the braces.
    """
    parts = []
    for piece in re.split(r"( {2,})", printable(text)):
        if piece.startswith("  "):
            parts.append(r"\ " * len(piece))
            continue
        broken = _LIGATURE.sub("\\1\0", piece)
        parts.append("".join("{}" if c == "\0" else _ESCAPES.get(c, c) for c in broken))
    out = "".join(parts)
    return "{}" + out if out.startswith(("[", "*", " ")) else out


def width_pt(table: Table) -> float:
    """About how wide the table is at \\small, in TeX points."""
    columns = [max([len(label(r)) for r in table.rows] + [6])]
    for c in table.columns:
        cells = (len("".join(between(r, c, ("", ""), ("", "")))) for r in table.rows)
        columns.append(max([len(head(c)), *cells]))
    return sum(columns) * _CHARACTER_PT + len(columns) * _GAP_PT


def needs_shrinking(table: Table, fit: Fit) -> float | None:
    """By which factor the table is shrunk to fit, or None where it fits as it is."""
    room = COLUMN_PT if fit == "column" else PAGE_PT
    wide = width_pt(table)
    return room / wide if wide > room else None


def as_latex(table: Table, *, name: str | None = None, caption: str | None = None, fit: Fit = "auto") -> str:
    """booktabs; needs \\usepackage{booktabs} and, for other than Latin names, a Unicode engine.

    Args:
        table: what to write.
        name: for \\label, e.g. 'tab:main'.
        caption: instead of the title and the footnotes, as LaTeX source; the footnotes then stand as comments.
        fit: 'column': one column of a two-column paper; 'page': across both; 'auto': a column where that fits. A table that
            is wider is shrunk (\\resizebox, needs graphicx), and a comment says so.

    Raises:
        UsageError: the name holds what \\label cannot take.
    """
    if name is not None and not re.fullmatch(r"[\w:.+/-]+", name, re.ASCII):
        raise UsageError(f"--label {name!r}: letters, digits and : . + / - _ are expected, e.g. tab:main")
    if fit == "auto":
        fit = "column" if width_pt(table) <= COLUMN_PT else "page"
    shrink, star = needs_shrinking(table, fit), "*" if fit == "page" else ""

    def cell(row: TableRow, column: Column) -> str:
        value, marks = between(row, column, (r"\textbf{", "}"), (r"\underline{", "}"), escaped)
        return value + marks.replace("*", r"$^{*}$").replace("§", r"$^{\S}$")

    lines = [r"% needs \usepackage{booktabs}" + (r" and \usepackage{graphicx}" if shrink else "")]
    if shrink:
        lines.append(f"% too wide for a {fit}: shrunk to about {100 * shrink:.0f} % of \\small")
    lines += [f"% {printable(remark)}" for remark in table.remarks]
    notes = " ".join(escaped(n) for n in table.footnotes)
    if caption is not None:
        lines += [f"% {printable(n)}" for n in table.footnotes]
    title = f"{escaped(table.title)}. " if table.title else ""
    lines += [rf"\begin{{table{star}}}[t]", r"\centering"]
    lines += [rf"\caption{{{title + notes if caption is None else caption}}}"]
    lines += [rf"\label{{{name}}}"] if name else []
    lines += [r"\small"]
    room = r"\textwidth" if fit == "page" else r"\columnwidth"
    lines += [rf"\resizebox{{{room}}}{{!}}{{%"] if shrink else []
    lines += [r"\begin{tabular}{l" + "r" * len(table.columns) + "}", r"\toprule"]
    if any(table.datasets):
        start, groups, rules = 2, [], []
        for dataset in table.datasets:
            span = sum(c.dataset == dataset for c in table.columns)
            groups.append(rf"\multicolumn{{{span}}}{{c}}{{{escaped(dataset)}}}")
            rules.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
            start += span
        lines += [" & " + " & ".join(groups) + r" \\", " ".join(rules)]
    lines += ["Method & " + " & ".join(escaped(head(c)) for c in table.columns) + r" \\", r"\midrule"]
    for i, row in enumerate(table.rows):
        if i and row.kind != table.rows[i - 1].kind:
            lines.append(r"\midrule")
        lines.append(" & ".join([escaped(label(row)), *(cell(row, c) for c in table.columns)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}" + ("}" if shrink else "")]
    return "\n".join([*lines, rf"\end{{table{star}}}"]) + "\n"
