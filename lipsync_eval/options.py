"""What a metric family, a protocol or a run lets its user choose, declared once.

From a declaration come the check of what was given, the flag of `score`, the lines of `show` and of docs/options.md,
and the part of the signature. A value is a text, in one spelling whatever the user wrote ('05' and '5' are both '5').
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lipsync_eval.errors import UsageError
from lipsync_eval.files import sha256
from lipsync_eval.registry import hint as hint

Kind = Literal["choice", "text", "path", "int", "float", "flag"]
_NOT_IN_SIGNATURES: Final = "|:\n\r"
_FLAGS: Final[Mapping[str, str]] = {"1": "1", "true": "1", "yes": "1", "0": "0", "false": "0", "no": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One thing that can be chosen."""

    name: str
    """'roi': its key in Settings.options (or protocol_options), and in `--option roi=VALUE`."""
    heading: str
    """Where `score -h` and the docs list it: 'AV-HuBERT'."""
    help: str
    """One line: what it does, and what holds where nothing is given and `default` is ''."""
    kind: Kind
    """choice: one of `choices`. flag: 1 or 0. path: a file or folder."""
    moves: bool
    """Whether it can move a number."""
    choices: tuple[str, ...] = ()
    default: str = ""
    """The value that holds where nothing is given; '' for none."""
    key: str | None = None
    """Its key in signatures: None for `name`, '' where the owner's own keys tell it. Only for options that move a number."""
    flag: bool = False
    """Whether `score` has a flag of its own for it (--roi); every option can be given by --option NAME=VALUE."""
    written: bool = False
    """A path that the run reads if it is there when the run starts, and writes otherwise (see Settings.writes)."""

    def __str__(self) -> str:
        default = f" [default: {self.default}]" if self.default else ""
        return f"{self.name} = {self.values}{default}: {self.help}"

    @property
    def values(self) -> str:
        """What may be given, in words: 'align | center88 | resize', 'whole number'."""
        words = {"text": "text", "path": "path", "int": "whole number", "float": "number", "flag": "1 | 0"}
        return " | ".join(self.choices) if self.kind == "choice" else words[self.kind]


Given = Mapping[str, object]
"""Option name -> value: a text, or a number, bool or path that is written as one."""


def spelled(name: str) -> str:
    """The name as declared: 'crop-from' and 'crop_from' are one."""
    return name.replace("-", "_")


def checked(declared: Sequence[Option], given: Given, owner: str) -> dict[str, str]:
    """What was given, in its one spelling.

    Args:
        declared: the options there are.
        given: name -> value; '-' and '_' in names are one.
        owner: whose options they are, for messages: "protocol 'radio'", 'this run'.

    Raises:
        UsageError: an unknown name (with near ones and the whole list), a value of the wrong kind, or one option twice.
    """
    known = {option.name: option for option in declared}
    found: dict[str, str] = {}
    for name, value in given.items():
        option = known.get(spelled(name))
        if option is None:
            there = f"There are: {', '.join(known)}" if known else "It has none"
            raise UsageError(f"{owner} has no option {name!r}.{hint(spelled(name), known)} {there}")
        if option.name in found:
            raise UsageError(f"the option {option.name} is given twice; leave one out")
        found[option.name] = clean(option, value)
    return found


def clean(option: Option, value: object) -> str:
    """One value in its one spelling.

    Raises:
        UsageError: it is none of the choices, or not of the option's kind.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    if isinstance(value, bool):
        text = "1" if value else "0"
    cleaned = _parsed(option, text)
    if not cleaned:
        near = hint(text, option.choices)
        raise UsageError(f"{option.name}={text!r}: expected {_expected(option)}.{near}")
    if option.moves and option.kind == "text" and any(c in cleaned for c in _NOT_IN_SIGNATURES):
        raise UsageError(
            f"{option.name}={text!r}: it stands in the signature and may not hold '|', ':' or a line break"
        )
    return cleaned


def value_of(declared: Sequence[Option], given: Given, name: str) -> str:
    """The value of one option: as given, else its default ('' where there is none)."""
    option = next(o for o in declared if o.name == name)
    return clean(option, given[name]) if name in given else option.default


def signature_part(declared: Sequence[Option], given: Given) -> dict[str, str]:
    """The keys that these options add to a signature: those that can move a number and have a value.

    A path stands there by its content: the first 8 hex digits of the file's sha256.

    Raises:
        UsageError: a path of which there is no file.
    """
    parts: dict[str, str] = {}
    for option in declared:
        if not option.moves or option.key == "":
            continue
        if value := value_of(declared, given, option.name):
            parts[option.key or option.name] = _content(option, value) if option.kind == "path" else value
    return parts


def united(declarations: Iterable[tuple[str, Sequence[Option]]]) -> dict[str, Option]:
    """All options of several owners by name; owners may share an option that they declare alike.

    Args:
        declarations: (owner, its options).

    Raises:
        UsageError: two owners declare one name in two ways.
    """
    found: dict[str, Option] = {}
    owners: dict[str, str] = {}
    for owner, declared in declarations:
        for option in declared:
            if found.setdefault(option.name, option) != option:
                raise UsageError(
                    f"{owners[option.name]} and {owner} declare the option {option.name!r} in two ways; rename one"
                )
            owners.setdefault(option.name, owner)
    return found


def _parsed(option: Option, text: str) -> str:
    """The text in its one spelling; '' where it is none."""
    text = text.strip()
    if option.kind == "choice":
        return text if text in option.choices else ""
    if option.kind == "flag":
        return _FLAGS.get(text.lower(), "")
    try:
        if option.kind == "int":
            return str(int(text))
        if option.kind == "float":
            return repr(float(text)) if math.isfinite(float(text)) else ""
    except ValueError:
        return ""
    return text


def _expected(option: Option) -> str:
    if option.kind == "choice":
        return f"one of {', '.join(option.choices)}"
    return {"flag": "1 or 0", "int": "a whole number", "float": "a number"}.get(option.kind, f"a {option.kind}")


def _content(option: Option, path: str) -> str:
    if not Path(path).is_file():
        raise UsageError(f"{option.name}={path}: there is no such file")
    return sha256(Path(path))[:8]
