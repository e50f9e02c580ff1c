"""What every format of a table prints alike: headings, labels, numbers and their marks."""

from __future__ import annotations

from collections.abc import Callable

from lipsync_eval.reports.structure import Cell, Column, TableRow
from lipsync_eval.results.numbers import fixed

ARROWS: dict[str | None, str] = {"up": "↑", "down": "↓", "zero": "→0", None: ""}
MISSING = "–"


def number(cell: Cell | None, column: Column) -> str:
    """The printed value, without marks; for metrics whose best value is 0 the mean of absolute values in brackets."""
    if cell is None or cell.value is None:
        return MISSING
    absolute = "" if cell.mean_abs is None else f" ({fixed(cell.mean_abs, column.decimals)})"
    return fixed(cell.value, column.decimals) + absolute


def label(row: TableRow) -> str:
    """The method, with a dagger where its numbers are printed ones."""
    return row.method + (" †" if row.kind == "published" else "")


def suffix(cell: Cell | None) -> str:
    """Marks behind the number."""
    return "" if cell is None else ("*" if cell.star else "") + ("§" if cell.significant else "")


def between(
    row: TableRow, column: Column, best: tuple[str, str], second: tuple[str, str], escape: Callable[[str], str] = str
) -> tuple[str, str]:
    """(value between `best` or `second` where it is that, further marks)."""
    found = row.cells.get((column.dataset, column.metric))
    before, after = ("", "") if found is None else best if found.best else second if found.second else ("", "")
    return before + escape(number(found, column)) + after, suffix(found)


def head(column: Column) -> str:
    """Heading with the arrow of the better direction."""
    return f"{column.heading} {ARROWS[column.direction]}".rstrip()
