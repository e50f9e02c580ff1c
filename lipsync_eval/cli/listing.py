"""`lipsync-eval list [KIND]` and `lipsync-eval show NAME`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

import click

from lipsync_eval.errors import UsageError
from lipsync_eval.options import Option
from lipsync_eval.registry import hint
from lipsync_eval.results.facts import BETTER


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

    width = max(len(name) for name in specs()) + 1
    return [
        f"{s.name:<{width}}{s.unit:<8}{BETTER[s.direction]:<8}{s.group:<10}{s.real_video:<9}{s.title}"
        for s in specs().values()
    ]


def _find_metrics(name: str) -> Any:
    from lipsync_eval.metrics.registry import family_of, specs

    if (spec := specs().get(name)) is None:
        return None
    return dict(rows(spec)) | {"real": REAL[spec.real_video], "options": family_of(name).options}


REAL: Final = {
    "none": "none: needs no real video",
    "set": "set: a set of real videos (fid, fvd: or their statistics)",
    "person": "person: a real video of the person, whatever is said in it",
    "content": "content: the real video of the same speech, moment by moment",
}
"""What a metric needs of real videos, in words."""


def _list_protocols() -> list[str]:
    from lipsync_eval.protocols import names, spec

    lines = []
    for name in names():
        found = spec(name)
        size = "native" if found.size is None else f"{found.size} px"
        lines.append(f"{name:<14}{size:<9}{found.summary.splitlines()[0]}")
    return lines


def _find_protocols(name: str) -> Any:
    from lipsync_eval.protocols import names, spec

    return spec(name) if name in names() else None


def _list_weights() -> list[str]:
    from lipsync_eval.weights.listing import lines

    return lines()


def _find_weights(name: str) -> Any:
    from lipsync_eval.weights.listing import facts

    return facts(name)


def _list_baselines() -> list[str]:
    from lipsync_eval.baselines import listing

    return listing()


def _find_baselines(name: str) -> Any:
    from lipsync_eval.baselines import facts

    return facts(name)


def _list_published() -> list[str]:
    from lipsync_eval.reports.published import listing

    return listing()


def _find_published(name: str) -> Any:
    from lipsync_eval.reports.published import facts

    return facts(name)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of thing that can be listed and shown."""

    lines: Callable[[], list[str]]
    """One line each."""
    find: Callable[[str], Any]
    """All that the thing of a name declares; None where there is none."""


KINDS: Final = {
    "metrics": _Kind(_list_metrics, _find_metrics),
    "protocols": _Kind(_list_protocols, _find_protocols),
    "weights": _Kind(_list_weights, _find_weights),
    "baselines": _Kind(_list_baselines, _find_baselines),
    "published": _Kind(_list_published, _find_published),
}


@click.command("list")
@click.argument("kind", type=click.Choice(tuple(KINDS)), default="metrics", required=False)
def list_(kind: str) -> None:
    """List what there is: one line each.

    Of a metric: id, unit, what is better, group, what it needs of real videos (none, a set, one of the person, the same
    content), title.

    \b
    Examples:
      lipsync-eval list
      lipsync-eval list protocols
    """
    for line in KINDS[kind].lines():
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
    found = [(word, thing) for word, kind in KINDS.items() if (thing := kind.find(name)) is not None]
    if not found:
        known = dict.fromkeys(line.split()[0] for kind in KINDS.values() for line in kind.lines())
        raise UsageError(
            f"nothing is called {name!r}.{hint(name, known)} See `lipsync-eval list metrics`, and list "
            + ", list ".join(list(KINDS)[1:])
        )
    for kind, thing in found:
        click.echo(f"{kind.removesuffix('s')} {name}")
        for key, value in rows(thing):
            click.echo(field_text(key, value))
