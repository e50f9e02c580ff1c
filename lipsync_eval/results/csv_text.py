"""CSV that every reader takes apart alike, and that no spreadsheet runs.

- A line break inside a cell, a carriage return too, is quoted. (Python's own writer leaves a bare \\r unquoted before
  3.11.9, and readers then see one row more.)
- A text cell that a spreadsheet would run as a formula gets an apostrophe in front: '=cmd|...' stands as "'=cmd|...".
  A cell that begins with an apostrophe and such a formula gets one more, so the rule can be undone: drop one apostrophe
  from every cell that matches FORMULA with an apostrophe in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

FORMULA: Final = re.compile(r"\s*(=|[+\-@].*[(|!=])", re.DOTALL)
"""How a cell begins that a spreadsheet may run. A clip called -0Xab or @someone is none: it can call nothing."""


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV with \\n line ends; numbers are written so that they read back exactly, None is an empty cell."""
    return "".join(",".join(map(_cell, row)) + "\n" for row in rows)


def cell_text(cell: str) -> str:
    """The text that a cell of such a CSV stands for: "'=cmd" is "=cmd" again."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell.lstrip("'")) else cell


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    if not isinstance(value, str):
        return str(value)
    text = f"'{value}" if FORMULA.match(value.lstrip("'")) else value
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') or text != text.strip() else text
