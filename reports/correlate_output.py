"""A correlation with people's scores as text, Markdown, CSV, JSON and as a plot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from lipsync_eval.reports.correlate import LEVELS, Agreement, Coefficient, Correlation
from lipsync_eval.reports.correlation import KINDS
from lipsync_eval.reports.plot_files import FONT
from lipsync_eval.reports.plots import COLOURS, COLUMN
from lipsync_eval.reports.render import markdown_text
from lipsync_eval.results.csv_text import csv_text
from lipsync_eval.results.names import printable, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WHAT = {"clip": "per clip (a pair is a video)", "method": "per method (a pair is a method's means)"}
_SIGN = "Positive: the metric prefers what people prefer (a metric where lower is better is negated, one that is best at 0 is minus its absolute value)."
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def as_text(found: Correlation) -> str:
    """For a terminal."""
    lines: list[str] = []
    for title, rows in _sections(found):
        grid = [["metric", "Spearman", "", "Kendall", "", "Pearson", "", "pairs", "clips"]]
        grid += [_cells(row, "[{}, {}]") for row in rows]
        widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
        lines += [printable(title), "-" * len(printable(title))]
        for line in grid:
            cells = [
                c.ljust(w) if i in (0, 2, 4, 6) else c.rjust(w)
                for i, (c, w) in enumerate(zip(line, widths, strict=True))
            ]
            lines.append(" ".join(cells).rstrip())
        lines += [f"{r.metric}: none, {r.why}" for r in rows if r.why]
        lines.append("")
    return "\n".join([*lines, *map(printable, _footer(found))]) + "\n"


def as_markdown(found: Correlation) -> str:
    """GitHub's dialect."""
    lines: list[str] = []
    for title, rows in _sections(found):
        lines += [f"**{markdown_text(title)}**", ""]
        lines += ["| metric | Spearman | Kendall | Pearson | pairs | clips |", "|---|---:|---:|---:|---:|---:|"]
        for row in rows:
            name, *cells, pairs, clips = _cells(row, "[{}, {}]")
            both = [f"{a} {b}".strip() for a, b in zip(cells[::2], cells[1::2], strict=True)]
            lines.append(f"| {markdown_text(name)} | {' | '.join(both)} | {pairs} | {clips} |")
        lines += ["", *(f"{markdown_text(f'{r.metric}: none, {r.why}')}  " for r in rows if r.why), ""]
    return "\n".join([*lines, *(f"<sub>{markdown_text(n)}</sub>  " for n in _footer(found))]) + "\n"


def as_csv(found: Correlation) -> str:
    """Tidy: one coefficient a line, unrounded."""
    head = ["question", "level", "metric", "direction", "coefficient", "value", "low", "high", "pairs", "clips", "why"]
    rows: list[Sequence[object]] = [head]
    for r in found.rows:
        for kind in KINDS:
            c = r.coefficients[kind]
            rows.append(
                [r.question, r.level, r.metric, r.direction, kind, c.value, c.low, c.high, r.pairs, r.clips, r.why]
            )
    return csv_text(rows)


def as_json(found: Correlation) -> str:
    """All of it, for a program."""
    data = {
        "rows": [asdict(r) for r in found.rows],
        "notes": list(found.notes),
        "sign": _SIGN,
        "n_boot": found.n_boot,
        "seed": found.seed,
    }
    return json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Correlation], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "csv": as_csv,
    "json": as_json,
}


def draw(found: Correlation) -> Figure:
    """Opinion against metric, a panel for each metric and question that has values per clip; a colour and a mark a method."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    shown = [p for p in found.points if len(p.values)]
    methods = sorted({m for p in shown for m in p.methods})
    across = 1 if len(shown) == 1 else 2
    down = max(1, -(-len(shown) // across))
    with mpl.rc_context(FONT):
        figure = Figure(figsize=(COLUMN * across, 2.2 * down + 0.4), layout="constrained")
        panels = list(figure.subplots(down, across, squeeze=False).flat)
        for spare in panels[len(shown) :]:
            spare.set_visible(False)
        drawn = {}
        for axes, points in zip(panels, shown):
            for i, method in enumerate(methods):
                mine = [k for k, m in enumerate(points.methods) if m == method]
                drawn[method] = axes.scatter(
                    points.values[mine], points.opinions[mine], s=9, color=COLOURS[i % 8], marker=_MARKERS[i // 8 % 8 if len(methods) > 8 else i % 8],
                    linewidths=0,
                )  # fmt: skip
            rho = points.agreement.coefficients["spearman"].value
            value = "undefined" if rho is None else f"{rho:.2f}"
            axes.set_title(f"Spearman {value} ({points.agreement.pairs} videos)")
            axes.set_xlabel(points.agreement.title)
            axes.set_ylabel(printable(points.agreement.question))
            axes.spines[["top", "right"]].set_visible(False)
        if drawn:
            legend = figure.legend(
                list(drawn.values()), [str(i) for i in range(len(drawn))], loc="outside lower center",
                ncols=min(4 if across > 1 else 2, len(drawn)), frameon=False,
            )  # fmt: skip
            for text, name in zip(legend.get_texts(), shortened(list(drawn), 24), strict=True):
                text.set_text(name)  # a name may begin with '_', which matplotlib would drop
    return figure


def _sections(found: Correlation) -> Iterator[tuple[str, list[Agreement]]]:
    for question in dict.fromkeys(r.question for r in found.rows):
        for level in LEVELS:
            if rows := [r for r in found.rows if (r.question, r.level) == (question, level)]:
                yield f"{question}, {_WHAT[level]}", rows


def _cells(row: Agreement, form: str) -> list[str]:
    cells = [row.metric]
    for kind in KINDS:
        cells += _number(row.coefficients[kind], form)
    return [*cells, str(row.pairs), str(row.clips)]


def _number(c: Coefficient, form: str) -> list[str]:
    if c.value is None:
        return ["none", ""]
    return [f"{c.value:.3f}", "" if c.low is None or c.high is None else form.format(f"{c.low:.2f}", f"{c.high:.2f}")]


def _footer(found: Correlation) -> list[str]:
    intervals = f"95 % intervals: {found.n_boot} resamples of clips with all their videos (seed {found.seed}), for these methods."
    return [_SIGN, intervals, *found.notes]
