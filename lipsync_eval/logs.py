"""Where log messages go: the terminal, and a file where one is asked for; workers of a run write to the same file."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Final

from lipsync_eval.errors import OutputError

LEVELS: Final = ("debug", "info", "warning", "error")
LEVEL_VARIABLE: Final = "LIPSYNC_EVAL_LOG_LEVEL"
FILE_VARIABLE: Final = "LIPSYNC_EVAL_LOG_FILE"
"""How worker processes learn where their messages go; set by `configure`."""
FILE_ONLY: Final = "lipsync_eval.said"
"""Name of the logger of what stderr shows already, in a form of its own: it goes to the file alone."""
_FORM = "%(asctime)s %(levelname)s [%(process)d] %(message)s"
_mine: list[logging.Handler] = []


class _Stderr(logging.Handler):
    """Writes to what sys.stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


class _File(logging.FileHandler):
    """Appends to a file; a full disk is told once and stops no work."""

    told = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.told:
            self.told = True
            print(f"warning: --log-file {self.baseFilename}: cannot be written ({error.strerror or error})", file=sys.stderr)  # fmt: skip


def configure(level: str | None = None, file: Path | None = None) -> None:
    """Send log messages to stderr (default: warnings) and to a file (default: info), in place of an earlier choice.

    Args:
        level: of LEVELS, for both.
        file: appended to; its folder is made if absent.

    Raises:
        OutputError: the file cannot be written.
    """
    reset()
    root = logging.getLogger()
    shown = _Stderr()
    shown.setFormatter(logging.Formatter("%(message)s"))
    shown.setLevel((level or "warning").upper())
    shown.addFilter(lambda record: record.name != FILE_ONLY)
    _mine.append(shown)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            kept = _File(file, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise OutputError(f"--log-file {file}: cannot be written ({error.strerror or error})") from error
        kept.setFormatter(logging.Formatter(_FORM))
        kept.setLevel((level or "info").upper())
        _mine.append(kept)
    for handler in _mine:
        root.addHandler(handler)
    root.setLevel(min(handler.level for handler in _mine))
    for name, value in ((LEVEL_VARIABLE, level), (FILE_VARIABLE, None if file is None else str(file.resolve()))):
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def reset() -> None:
    """Take back what `configure` did to the handlers."""
    while _mine:
        logging.getLogger().removeHandler(old := _mine.pop())
        old.close()


def from_environment() -> None:
    """The same in a worker process; a file that cannot be written any more stops no work."""
    level, file = os.environ.get(LEVEL_VARIABLE), os.environ.get(FILE_VARIABLE)
    if level not in LEVELS:
        level = None
    with contextlib.suppress(OutputError):
        configure(level, None if file is None else Path(file))


def note(text: str, level: int = logging.INFO) -> None:
    """Write a line that stderr shows already into the log file, where there is one."""
    logging.getLogger(FILE_ONLY).log(level, text)
