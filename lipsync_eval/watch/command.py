"""The user's command that dubs the manifest with one checkpoint: a list of arguments, never a line for a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lipsync_eval.errors import UsageError

PLACEHOLDERS: Final = ("checkpoint", "data", "out")
_PLACE = re.compile(r"\{([A-Za-z_]+)\}")


def parse_command(text: str) -> list[str]:
    """Split the text of --run once, as a shell would, into arguments that still hold their placeholders.

    Raises:
        UsageError: empty, an open quote, an unknown placeholder, or {checkpoint} or {out} is missing.
    """
    try:
        pieces = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--run {text!r}: {error}; close the quote") from error
    named = [name for piece in pieces for name in _PLACE.findall(piece)]
    if unknown := sorted(set(named) - set(PLACEHOLDERS)):
        raise UsageError(f"--run: {{{unknown[0]}}} is no placeholder; there are {{checkpoint}}, {{data}} and {{out}}")
    if missing := [name for name in ("checkpoint", "out") if name not in named]:
        raise UsageError(
            f"--run: {{{missing[0]}}} is missing; expected e.g. "
            "--run 'python dub.py --weights {checkpoint} --manifest {data} --out {out}'"
        )
    if _PLACE.search(pieces[0]):
        raise UsageError(f"--run: {pieces[0]!r} is the program to start and may hold no placeholder")
    return pieces


def fill_command(pieces: Sequence[str], values: Mapping[str, Path]) -> list[str]:
    """The arguments of one call. A value is put in as it is: spaces, quotes and braces of a path mean nothing."""
    return [_PLACE.sub(lambda found: str(values[found[1]]), piece) for piece in pieces]
