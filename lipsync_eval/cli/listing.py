"""`lipsync-eval list [KIND]` and `lipsync-eval show NAME`."""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import click

from lipsync_eval.errors import UsageError
from lipsync_eval.options import Option

KINDS = ("metrics", "protocols", "weights", "baselines", "published")
_BETTER = {"up": "higher", "down": "lower", "zero": "near 0"}


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS), default="metrics", required=False)
def list_(kind: str) -> None:
    """List what there is: one line each.

    \b
    Examples:
      lipsync-eval list
      lipsync-eval list protocols
    """
    for line in globals()[f"_list_{kind}"]():
        click.echo(line)


@click.command()
@click.argument("name")
def show(name: str) -> None:
    """All that a metric, protocol, weights row, baseline or published table declares, with its citation.

    \b
    Examples:
      lipsync-eval show psnr
      lipsync-eval show radio
    """
    found = [(kind, thing) for kind in KINDS if (thing := globals()[f"_find_{kind}"](name)) is not None]
    if not found:
        raise UsageError(
            f"nothing is called {name!r}; see `lipsync-eval list metrics`, and list {', list '.join(KINDS[1:])}"
        )
    for kind, thing in found:
        click.echo(f"{kind.removesuffix('s')} {name}")
        for key, value in rows(thing):
            click.echo(field_text(key, value))


def field_text(key: str, value: Any) -> str:
    """One declared field, wrapped to the terminal."""
    if isinstance(value, Mapping):
        value = "\n".join(f"- {name}: {text}" for name, text in value.items())
    elif isinstance(value, (list, tuple, frozenset, set)):
        items = [_plain(v) for v in (sorted(value) if isinstance(value, (frozenset, set)) else value)]
        value = "\n".join(f"- {v}" for v in items) if any(len(v) > 30 for v in items) else ", ".join(items)
    lines = []
    for piece in str(value).split("\n") or [""]:
        lines += textwrap.wrap(piece, 76, break_long_words=False, break_on_hyphens=False) or [""]
    first, *rest = lines
    head = f"  {key + ':':<14} "
    return "\n".join([head + first, *(" " * len(head) + line for line in rest)])


def _plain(value: Any) -> str:
    """A record inside a record as 'name: value; name: value', without what is empty."""
    if not is_dataclass(value) or isinstance(value, Option):
        return str(value)
    told = [(f.name, getattr(value, f.name)) for f in fields(value)]
    return "; ".join(f"{name}: {text}" for name, text in told if text)


def rows(thing: Any) -> list[tuple[str, Any]]:
    """(name, value) of a dataclass or mapping."""
    if is_dataclass(thing):
        return [(f.name, getattr(thing, f.name)) for f in fields(thing)]
    return list(dict(thing).items())


def _list_metrics() -> list[str]:
    from lipsync_eval.metrics.registry import specs

    return [f"{s.name:<26}{s.unit:<8}{_BETTER[s.direction]:<8}{s.group:<10}{s.title}" for s in specs().values()]


def _find_metrics(name: str) -> Any:
    from lipsync_eval.metrics.registry import family_of, specs

    if (spec := specs().get(name)) is None:
        return None
    return dict(rows(spec)) | {"options": family_of(name).options}


def _list_protocols() -> list[str]:
    shelf = importlib.import_module("lipsync_eval.protocols")
    lines = []
    for name in shelf.names():
        spec = shelf.spec(name)
        size = "native" if spec.size is None else f"{spec.size} px"
        lines.append(f"{name:<14}{size:<9}{spec.summary.splitlines()[0]}")
    return lines


def _find_protocols(name: str) -> Any:
    shelf = importlib.import_module("lipsync_eval.protocols")
    return shelf.spec(name) if name in shelf.names() else None


def _list_weights() -> list[str]:
    from lipsync_eval.weights.listing import lines

    return lines()


def _find_weights(name: str) -> Any:
    from lipsync_eval.weights.listing import facts

    return facts(name)


def _list_baselines() -> list[str]:
    lines: list[str] = importlib.import_module("lipsync_eval.baselines").listing()
    return lines


def _find_baselines(name: str) -> Any:
    return importlib.import_module("lipsync_eval.baselines").facts(name)


def _list_published() -> list[str]:
    lines: list[str] = importlib.import_module("lipsync_eval.reports.published").listing()
    return lines


def _find_published(name: str) -> Any:
    return importlib.import_module("lipsync_eval.reports.published").facts(name)
