"""Standard output and error that cannot end a command: a reader that left, a full disk, an encoding without a letter.

A command's work and its exit code do not depend on who reads its words. What could not be written is remembered, and the
command line says so once, at the end.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import Any

import click

ESCAPE = "lipsync-eval-escape"
"""Name of the error handler: a letter that the encoding lacks becomes \\uXXXX (two of them above U+FFFF), as in JSON."""


class Output(io.RawIOBase):
    """A file descriptor whose first failure is kept and whose later output goes nowhere."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write, or pretend to."""
        block = bytes(data)
        left = memoryview(block)
        try:
            while left and self.failure is None:
                left = left[os.write(self.descriptor, left) :]
        except OSError as error:
            self.failure = error
        return len(block)

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor, for those who ask whether it is a terminal."""
        return self.descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self.descriptor)


def guard() -> tuple[Output, Output]:
    """Put standard output and error behind `Output`s.

    A descriptor that is closed is opened on the null device first, or the next file that is opened would take its number
    and get what libraries print.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    codecs.register_error(ESCAPE, _escape)
    out, err = Output(1), Output(2)
    sys.stdout, sys.stderr = _text(out, sys.stdout), _text(err, sys.stderr)
    return out, err


def failure(out: Output) -> str | None:
    """Why standard output could not be written; None when it could, or when its reader left (which is the reader's affair)."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return None
    if out.failure is None or out.failure.errno == errno.EPIPE:
        return None
    return out.failure.strerror or str(out.failure)


def isolated() -> bool:
    """Whether this command line has a process of its own (`main`): clips are then measured in worker processes."""
    context = click.get_current_context(silent=True)
    return bool(context is not None and (context.find_root().obj or {}).get("isolate"))


def _text(raw: Output, before: Any) -> io.TextIOWrapper:
    encoding = getattr(before, "encoding", None) or "utf-8"
    tty = raw.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=ESCAPE, line_buffering=tty or raw.descriptor == 2
    )


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)), error.end
