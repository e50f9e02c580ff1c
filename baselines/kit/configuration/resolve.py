"""Preset, TOML file and overrides -> one configuration; and a configuration as TOML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lipsync_eval.baselines.kit.configuration.sections import C, RunConfig, Section
from lipsync_eval.errors import UsageError
from lipsync_eval.files import parse_toml, read_toml

Presets = Mapping[str, Mapping[str, Any]]
"""Sections by name of the preset; the first preset is the default."""


def parse(kind: type[C], values: Mapping[str, Any], source: str) -> C:
    """Check a mapping and make a configuration of it.

    Raises:
        UsageError: naming the key, what came and what is allowed.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(p) for p in e['loc']) or 'configuration'}: "
            + (_known(kind, e["loc"]) if e["type"] == "extra_forbidden" else f"{e['msg']} (got {e['input']!r:.80})")
            for e in error.errors()
        ]
        raise UsageError(f"configuration {source} cannot be used:\n" + "\n".join(lines)) from error


def _known(kind: type[RunConfig], place: tuple[int | str, ...]) -> str:
    """What may stand where an unknown key came."""
    if len(place) == 1:
        return f"there is no such section; there are {', '.join(kind.model_fields)}"
    section = kind.model_fields[str(place[0])].annotation
    names = list(section.model_fields) if isinstance(section, type) and issubclass(section, Section) else []
    close = get_close_matches(str(place[-1]), names, 1)
    return f"there is no such key; {f'do you mean {close[0]}? ' if close else ''}{place[0]} has {', '.join(names)}"


def load(
    kind: type[C],
    presets: Presets,
    path: Path | None = None,
    overrides: Iterable[str] = (),
    preset: str | None = None,
) -> C:
    """Resolve a configuration: preset, then the TOML file over it, then KEY=VALUE overrides.

    Args:
        kind: the configuration's class.
        presets: named configurations.
        path: a TOML file with `preset = "..."` and the sections of `kind`, or None.
        overrides: 'train.steps=100', values in TOML (bare words are strings).
        preset: used when the file names none; default: the first.

    Raises:
        UsageError: unknown preset, key or value.
    """
    given: dict[str, Any] = {}
    if path is not None:
        given = read_toml(path, "configuration")
    name = str(given.pop("preset", preset or next(iter(presets))))
    if name not in presets:
        raise UsageError(f"unknown preset {name!r}; there are {', '.join(presets)}")
    merged = _merge(_merge({"name": name}, presets[name]), given)
    for text in overrides:
        merged = _merge(merged, _override(text))
    return parse(kind, merged, str(path) if path else name)


def _merge(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in more.items():
        old = out.get(key)
        out[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def _override(text: str) -> dict[str, Any]:
    key, found, value = text.partition("=")
    if not found or not key.strip():
        raise UsageError(f"--set {text!r}: give SECTION.KEY=VALUE, e.g. train.steps=100")
    try:
        parsed: Any = parse_toml(f"x = {value}")["x"]
    except ValueError:
        parsed = value.strip()
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def toml(config: RunConfig) -> str:
    """The configuration as TOML; unset values are comments."""
    values = config.model_dump(mode="json")
    lines = [f"name = {_value(values.pop('name'))}"]
    for section, content in values.items():
        lines += ["", f"[{section}]"]
        for key, value in content.items():
            lines.append(f"# {key} is not set" if value is None else f"{key} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return repr(value)
