"""Options that say how a run tells what it does: lines of progress, where time went, the log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from lipsync_eval.cli.options import flag
from lipsync_eval.cli.progress import progress
from lipsync_eval.logs import LEVELS, configure
from lipsync_eval.progress import Progress

F = TypeVar("F", bound=Callable[..., Any])

_FLAGS = (
    flag(
        "--progress-every",
        type=click.IntRange(1),
        metavar="N",
        heading="Output",
        help="Clips between two lines of progress, where stderr is no terminal [default: about 50 lines a run].",
    ),
    flag("--profile", is_flag=True, heading="Output", help="At the end, print where time went (on stderr)."),
    flag(
        "--log-level",
        type=click.Choice(LEVELS),
        heading="Output",
        help="Least level of log messages [default: warning; in the file: info].",
    ),
    flag(
        "--log-file",
        type=click.Path(path_type=Path, dir_okay=False),
        heading="Output",
        help="Append log messages, progress, warnings and failures to a file.",
    ),
)


def telling(command: F) -> F:
    """Add the options; `Telling.taken` takes their values."""
    for option in reversed(_FLAGS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Telling:
    """What the options say."""

    every: int | None
    profile: bool

    @classmethod
    def taken(cls, values: dict[str, Any]) -> Telling:
        """Take the options out of a command's parameters; log messages go where they say from now on.

        Raises:
            OutputError: the log file cannot be written.
        """
        level, file = values.pop("log_level"), values.pop("log_file")
        if level or file:
            configure(level, file)
        return cls(values.pop("progress_every"), values.pop("profile"))

    def progress(self, quiet: bool) -> AbstractContextManager[Progress]:
        """The event function of a run."""
        return progress(quiet=quiet, every=self.every, profile=self.profile)
