"""CSV that every reader takes apart alike, and that no spreadsheet runs.

- A line break inside a cell, a carriage return too, is quoted. (Python's own writer leaves a bare \\r unquoted before
  3.11.9, and readers then see one row more.)
- A text cell that a spreadsheet would run as a formula gets an apostrophe in front: '=cmd|...' stands as "'=cmd|...".
  A cell that begins with an apostrophe and such a formula gets one more, so the rule can be undone: `files.cell_text`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lipsync_eval.files import FORMULA

__all__ = ["FORMULA", "csv_text"]


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV with \\n line ends; numbers are written so that they read back exactly, None is an empty cell."""
    return "".join(",".join(map(_cell, row)) + "\n" for row in rows)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    if not isinstance(value, str):
        return str(value)
    text = f"'{value}" if FORMULA.match(value.lstrip("'")) else value
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') or text != text.strip() else text
