"""Standard output and error that cannot end a command: a reader that left, a full disk, an encoding without a letter.

A command's work and its exit code do not depend on who reads its words. What could not be written is remembered, and the
command line says so once, at the end.

Nothing that is written to a terminal, or to standard error at all, can drive a terminal, wherever it came from: control
characters are escaped here, at the last place. Data on a pipe or in a file stays as it is.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import Any, TextIO

import click

from lipsync_eval.results.names import printable

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


class Words(io.TextIOWrapper):
    """A text stream whose words cannot drive a terminal: all but line breaks and tabs is escaped as `printable` does."""

    def write(self, text: str) -> int:
        """Write; gives the number of characters that came."""
        super().write(shown(text))
        return len(text)


def shown(text: str) -> str:
    """Text of several lines as a terminal may show it."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def bars() -> TextIO:
    """Where a bar may be drawn, which is made of what `Words` escapes: standard error as it is."""
    return _wrapped(io.TextIOWrapper, Output(2), sys.stderr.encoding) if isinstance(sys.stderr, Words) else sys.stderr


def data(text: str) -> None:
    """Write the text of a file (CSV, JSON, LaTeX...) to standard output.

    `click.echo` would take escape sequences out of the names in it where no terminal reads, so that they do not read back.
    """
    sys.stdout.write(text)


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
    return _wrapped(
        Words if tty or raw.descriptor == 2 else io.TextIOWrapper, raw, encoding, tty or raw.descriptor == 2
    )


def _wrapped(kind: type[io.TextIOWrapper], raw: Output, encoding: str, lines: bool = True) -> io.TextIOWrapper:
    return kind(io.BufferedWriter(raw), encoding=encoding, errors=ESCAPE, line_buffering=lines)


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)), error.end
