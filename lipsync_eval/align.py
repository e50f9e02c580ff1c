"""The --align policy for a pair of unlike length, as text and parsed."""

from __future__ import annotations

from dataclasses import dataclass

from lipsync_eval.errors import UsageError


@dataclass(frozen=True, slots=True)
class Align:
    """A parsed --align value. `limit`: frames that may be cut; None: any number."""

    text: str
    limit: int | None

    @property
    def signature(self) -> str:
        """Value of the `align` key: 'strict', 'shortest', 'trim5'."""
        return self.text.replace(":", "")


def parse_align(text: str) -> Align:
    """'trim:N', 'strict' or 'shortest'.

    Raises:
        UsageError: anything else.
    """
    if text == "strict":
        return Align(text, 0)
    if text == "shortest":
        return Align(text, None)
    kind, _, number = text.partition(":")
    if kind == "trim" and number.isascii() and number.isdigit():
        return Align(f"trim:{int(number)}", int(number))
    raise UsageError(f"--align {text!r}: expected trim:N (cut at most N frames, and say so), strict or shortest")
