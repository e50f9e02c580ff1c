"""Runs on the command line: RUN, or RUN=NAME to give it another name without scoring again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from lipsync_eval.errors import UsageError
from lipsync_eval.results.names import printable
from lipsync_eval.results.schema import Result

RESAMPLE = click.option(
    "--resample",
    type=click.Choice(["clip", "speaker"]),
    default="clip",
    show_default=True,
    help="What tests and intervals draw; speaker: the column of --pairs, with all clips of a person.",
)


def read_run(text: str) -> Result:
    """The run that RUN or RUN=NAME names. A path that holds '=' itself is taken whole where it exists.

    Raises:
        ParseError: no run there.
        UsageError: an empty name.
    """
    from lipsync_eval.results.schema import load_result

    path, equals, name = text.rpartition("=")
    if not equals or Path(text).exists():
        return load_result(Path(text))
    if not name.strip() or not path:
        raise UsageError(f"{printable(text)!r}: expected RUN=NAME, e.g. runs/a=ours")
    return load_result(Path(path)).renamed(name)


def read_runs(texts: Sequence[str]) -> list[Result]:
    """All runs, in order."""
    return [read_run(text) for text in texts]


def metric_list(text: str | None) -> list[str] | None:
    """'psnr, lmd' -> ['psnr', 'lmd']; None where nothing is named."""
    names = [m.strip() for m in (text or "").split(",") if m.strip()]
    return names or None
