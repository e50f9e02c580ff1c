"""Which weights there are: the rows of registry.toml as frozen records.

A row is one network; it has one or more files (LPIPS: trunk and linear layers). Facts that nobody published (a sha256,
a size) are empty, never guessed.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from lipsync_eval.errors import WeightsError

ROLES: Final = ("syncnet", "s3fd", "avhubert")
"""Roles that `--weights ROLE=FILE` takes for a file of the user's own that is no registry row."""
MAIN: Final = "main"


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file of a row."""

    part: str
    """'main', or e.g. 'lin' for the second file of a row."""
    file: str
    """File name in a weights folder."""
    aliases: tuple[str, ...]
    """Other names under which the same file is known."""
    urls: tuple[str, ...]
    """Public addresses, tried in order; empty: nobody serves the file without a form or a licence click."""
    sha256: str
    """64 hex digits; the first 8 or more where the publisher gives only those; '' where unknown."""
    bytes: int | None
    """Size in bytes; None where unknown."""


@dataclass(frozen=True, slots=True)
class WeightsRow:
    """One network: where its files are, what it is for, what may be done with it."""

    name: str
    role: str
    """Rows of one role can stand in for one another: 'arcface', 'avhubert'..."""
    files: tuple[FileRow, ...]
    purpose: str
    licence: str
    research_only: bool
    """True when the licence (or that of the training data) forbids commercial use."""
    citation: str
    notes: str
    """How to get a file that no address serves, or what to know about it."""
    preprocessing: Mapping[str, Any]
    """What the extractor reads: input size (h, w), mean, std, colour order, range."""

    def part(self, part: str) -> FileRow:
        """One of the row's files.

        Raises:
            WeightsError: the row has no such part.
        """
        for entry in self.files:
            if entry.part == part:
                return entry
        raise WeightsError(
            f"the weights {self.name!r} have no part {part!r}; there are: {', '.join(f.part for f in self.files)}"
        )


@cache
def rows() -> Mapping[str, WeightsRow]:
    """All rows by name, in the order of registry.toml."""
    text = files("lipsync_eval.weights").joinpath("registry.toml").read_text(encoding="utf-8")
    return {row.name: row for row in map(_row, tomllib.loads(text)["row"])}


def get_row(name: str) -> WeightsRow:
    """The row of one name.

    Raises:
        WeightsError: no such row; near names and the whole list are in the message.
    """
    known = rows()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise WeightsError(f"there are no weights {name!r}.{hint} There are: {', '.join(known)}")


def _row(raw: Mapping[str, Any]) -> WeightsRow:
    parts = tuple(
        FileRow(
            part=f.get("part", MAIN),
            file=f["file"],
            aliases=tuple(f.get("aliases", ())),
            urls=tuple(f.get("urls", ())),
            sha256=f["sha256"],
            bytes=f["bytes"] or None,
        )
        for f in raw["files"]
    )
    return WeightsRow(
        name=raw["name"],
        role=raw["role"],
        files=parts,
        purpose=raw["purpose"],
        licence=raw["licence"],
        research_only=raw["research_only"],
        citation=raw["citation"],
        notes=raw.get("notes", ""),
        preprocessing=raw["preprocessing"],
    )
