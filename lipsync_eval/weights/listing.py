"""What `weights list`, `list weights` and `show NAME` say about the rows."""

from __future__ import annotations

from typing import Any

from lipsync_eval.files import is_file
from lipsync_eval.types import Settings
from lipsync_eval.weights.locate import folders
from lipsync_eval.weights.registry import FileRow, WeightsRow, rows

_COLUMNS = "{:<30}{:<9}{:<12}{:<10}{:<10}{}"


def lines(settings: Settings | None = None) -> list[str]:
    """One line a row: is it here, its size, its known hash, its licence. Files are not read.

    Args:
        settings: whose weights folder is searched; None: LIPSYNC_EVAL_WEIGHTS and the user's cache.
    """
    places = folders(settings or Settings())
    out = [_COLUMNS.format("name", "here", "sha256", "size", "use", "licence")]
    for row in rows().values():
        here = all(any(is_file(p / f) for p in places for f in (e.file, *e.aliases)) for e in row.files)
        use = "research" if row.research_only else "any"
        out.append(
            _COLUMNS.format(row.name, "present" if here else "missing", known_hash(row), size(row), use, row.licence)
        )
    return out


def known_hash(row: WeightsRow) -> str:
    """First 8 digits of the main file's hash, or 'unverified' where any file's hash is unknown."""
    return row.files[0].sha256[:8] if all(entry.sha256 for entry in row.files) else "unverified"


def size(row: WeightsRow) -> str:
    """'54.6 MB', or '?' where it is unknown."""
    if any(entry.bytes is None for entry in row.files):
        return "?"
    return f"{sum(entry.bytes or 0 for entry in row.files) / 1e6:.1f} MB"


def facts(name: str) -> dict[str, Any] | None:
    """All that is known about a row, for `show NAME`; None when there is no such row."""
    row = rows().get(name)
    if row is None:
        return None
    found: dict[str, Any] = {
        "purpose": row.purpose,
        "licence": row.licence + (" (research only)" if row.research_only else ""),
        "citation": row.citation,
        "role": row.role,
        "preprocessing": "; ".join(f"{k} = {v}" for k, v in row.preprocessing.items()),
    }
    if row.notes:
        found["notes"] = row.notes
    for entry in row.files:
        found["file" if entry.part == "main" else entry.part] = _file(entry)
    return found


def _file(entry: FileRow) -> str:
    size = f"{entry.bytes} bytes" if entry.bytes else "size unknown"
    parts = [entry.file, size, f"sha256 {entry.sha256}" if entry.sha256 else "sha256 unknown: unverified"]
    return "\n".join([*parts, *(entry.urls or ("no address",))])
