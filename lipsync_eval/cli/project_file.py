"""Defaults for options from the user's project: `lipsync-eval.toml`, or `[tool.lipsync-eval]` in pyproject.toml.

A table a command, an entry an option, named as on the command line:

    [score]
    metrics = "core,-lmd"
    align = "strict"
    workers = 4
    weights = { lpips = "weights/mine.pth" }

The file of the current folder counts, else of the nearest folder above it inside the same git checkout. What the command
line says wins. Paths start from the file's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from lipsync_eval.errors import UsageError
from lipsync_eval.files import read_toml
from lipsync_eval.registry import no_such

FILE: Final = "lipsync-eval.toml"
PYPROJECT: Final = "pyproject.toml"
_NOT_A_DEFAULT: Final = {"help", "version", "show_config", "resume", "overwrite"}
"""What is said anew each time."""


@dataclass(frozen=True)
class ProjectFile:
    """What a project file holds, as it was written."""

    path: Path | None = None
    """None: there is none."""
    tables: Mapping[str, Any] = field(default_factory=dict)
    """Command -> option -> value."""


def find() -> ProjectFile:
    """The project file that holds for the current folder; none where that folder was removed.

    Raises:
        ParseError: the file cannot be read, or is no TOML.
    """
    try:
        folder = Path.cwd()
    except FileNotFoundError:
        return ProjectFile()
    inside = next((up for up in (folder, *folder.parents) if (up / ".git").exists()), folder)
    for up in (folder, *folder.parents):
        if (own := up / FILE).is_file():
            return ProjectFile(own, read_toml(own))
        if (shared := up / PYPROJECT).is_file():
            tool = read_toml(shared).get("tool", {})
            if isinstance(tool, dict) and isinstance(tables := tool.get("lipsync-eval"), dict):
                return ProjectFile(shared, tables)
        if up == inside:
            break
    return ProjectFile()


def defaults(project: ProjectFile, group: click.Group, ctx: click.Context) -> dict[str, Any]:
    """The tables as click's default map, with paths made absolute.

    Only the tables of commands are looked at that `group` knows; a table is checked in full, so that a wrong word is not
    found a month later.

    Raises:
        UsageError: an unknown command or option (with near names), or a value of a kind that no option takes.
    """
    known = group.list_commands(ctx)
    found: dict[str, Any] = {}
    for name, table in project.tables.items():
        if name not in known:
            raise UsageError(f"{project.path}: {no_such('command', name, known)}")
        if not isinstance(table, dict):
            raise UsageError(f"{project.path}: {name}: expected a table of options, got {table!r}")
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            found[name] = defaults(ProjectFile(project.path, table), command, ctx)
        elif command is not None:
            found[name] = _options(project, name, command, table)
    return found


def config_text(ctx: click.Context, project: ProjectFile) -> str:
    """All options of a command with their values, and where each comes from, as a project file that can be used."""
    where = {
        ParameterSource.COMMANDLINE: "command line",
        ParameterSource.ENVIRONMENT: "environment",
        ParameterSource.DEFAULT_MAP: str(project.path),
    }
    lines = [f"# project file: {project.path or 'none'}", f"[{ctx.info_name}]"]
    for option in _given_by_option(ctx.command):
        source = ctx.get_parameter_source(str(option.name))
        value = ctx.params.get(str(option.name))
        said = where.get(source, "default") if source is not None else "default"
        if value is None or value == ():
            lines.append(f"# {_flag(option)} is not given")
        else:
            lines.append(f"{_flag(option)} = {_toml(value)}  # {said}")
    return "\n".join(lines)


def flags(ctx: click.Context) -> list[str]:
    """What the project file added, spelled as flags: with them the command line says all that was asked."""
    found: list[str] = []
    for option in _given_by_option(ctx.command):
        name = str(option.name)
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT_MAP:
            continue
        value = ctx.params[name]
        if option.is_flag:
            found += [f"--{_flag(option)}"] if value else []
        else:
            for each in value if isinstance(value, tuple) else (value,):
                found += [f"--{_flag(option)}", str(each)]
    return found


def _options(project: ProjectFile, name: str, command: click.Command, table: Mapping[str, Any]) -> dict[str, Any]:
    known = {_flag(option): option for option in _given_by_option(command)}
    found: dict[str, Any] = {}
    for key, value in table.items():
        option = known.get(key.replace("_", "-"))
        if option is None:
            raise UsageError(f"{project.path}: [{name}]: {no_such('option', key, known)}")
        found[str(option.name)] = _value(project, f"[{name}] {key}", option, value)
    return found


def _value(project: ProjectFile, where: str, option: click.Option, value: Any) -> Any:
    """A value as click takes it from a command line: a text, or a list of them for what may be repeated."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{project.path}: {where} = {value!r}: expected true or false")
        return value
    if isinstance(value, Mapping) and option.multiple:  # weights = { lpips = "file" }
        return [f"{key}={_text(project, where, option, each)}" for key, each in value.items()]
    if isinstance(value, list) and option.multiple:
        return [_text(project, where, option, each) for each in value]
    if isinstance(value, list) and option.name == "metrics":
        return ",".join(_text(project, where, option, each) for each in value)
    text = _text(project, where, option, value)
    return [text] if option.multiple else text


def _text(project: ProjectFile, where: str, option: click.Option, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        kinds = "a list or table of texts or numbers" if option.multiple else "a text or a number"
        raise UsageError(f"{project.path}: {where} = {value!r}: expected {kinds}")
    text = str(value)
    try:
        option.type.convert(text, option, None)
    except click.BadParameter as error:
        raise UsageError(f"{project.path}: {where} = {value!r}: {error.message}") from error
    is_path = isinstance(option.type, click.Path) or option.name == "weights"
    if project.path is not None and (is_path or (option.name == "protocol" and text.endswith(".toml"))):
        before, equals, file = text.rpartition("=") if option.name == "weights" else ("", "", text)
        return before + equals + str(project.path.parent / Path(file).expanduser())
    return text


def _given_by_option(command: click.Command) -> list[click.Option]:
    return [p for p in command.params if isinstance(p, click.Option) and p.name not in _NOT_A_DEFAULT]


def _flag(option: click.Option) -> str:
    return max(option.opts, key=len).lstrip("-")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return '"' + "".join(_escaped(letter) for letter in str(value)) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    return letter if letter.isprintable() else f"\\U{ord(letter):08X}"
