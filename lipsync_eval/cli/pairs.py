"""Options of the form NAME=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click


def pairs(texts: Sequence[str], flag: str, form: str) -> list[tuple[str, str]]:
    """['a=b'] -> [('a', 'b')].

    Args:
        texts: what was given, in order.
        flag: the option, for the message: '--option'.
        form: what is expected: 'NAME=VALUE'.

    Raises:
        click.BadParameter: a text without '=', or with nothing on one side of it.
    """
    found = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise click.BadParameter(f"{flag} {text!r}: expected {form}")
        found.append((key, value))
    return found


def weights_files(texts: Sequence[str]) -> dict[str, Path]:
    """What --weights NAME=FILE says, by name; of a name that is given twice the last. Raises as `pairs`."""
    return {name: Path(file) for name, file in pairs(texts, "--weights", "NAME=FILE")}
