"""Other people's generators, each in an environment and a process of its own, and RADIO, the reference generator.

Built-in adapters are a literal table; third parties add theirs through the entry point group `lipsync_eval.baselines` (an object
of type Adapter), a user's private model needs only a table in baselines.toml.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from lipsync_eval.errors import UsageError

if TYPE_CHECKING:
    from lipsync_eval.baselines.base import Adapter
    from lipsync_eval.baselines.environments import Environment

_BUILT_IN = (
    "wav2lip",
    "wav2lip_gan",
    "dinet",
    "ip_lap",
    "pc_avs",
    "makeittalk",
    "atvgnet",
    "videoretalking",
    "talklip",
    "synctalk",
    "ad_nerf",
    "stylesync",
    "sadtalker",
    "musetalk",
    "latentsync",
    "radio",
    "personatalk",
    "avhubert_expert",
    "gfpgan",
    "gpen",
)
ENTRY_POINTS = "lipsync_eval.baselines"


@cache
def all_adapters() -> dict[str, Adapter]:
    """All adapters by name.

    Raises:
        UsageError: a third party's adapter cannot be loaded or takes a name that is in use.
    """
    found: dict[str, Adapter] = {}
    for name in _BUILT_IN:
        module = import_module(f"lipsync_eval.baselines.adapters.{name.removesuffix('_gan')}")
        found[name] = module.GAN if name.endswith("_gan") else module.ADAPTER
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda p: p.name):
        try:
            adapter: Adapter = point.load()
            name = adapter.record.name
        except Exception as error:
            raise UsageError(
                f"the adapter plug-in {point.name!r} ({point.value}) cannot be loaded: {error!r}; uninstall or mend it"
            ) from error
        if name in found:
            raise UsageError(f"two generators are called {name!r}; rename the plug-in's ({point.value})")
        found[name] = adapter
    return found


def get_adapter(name: str, environments: Mapping[str, Environment] | None = None) -> Adapter:
    """An adapter by name: built-in, a plug-in's, or a table with `command` in baselines.toml.

    Raises:
        UsageError: no such generator; near names and the whole list are in the message.
    """
    from lipsync_eval.baselines.template import template_adapter

    environment = (environments or {}).get(name)
    if environment is not None and "command" in environment.template:
        return template_adapter(environment)
    known = all_adapters()
    if name in known:
        return known[name]
    names = [*known, *(n for n, e in (environments or {}).items() if "command" in e.template)]
    near = difflib.get_close_matches(name, names, n=2)
    raise UsageError(
        f"there is no generator {name!r}.{' Did you mean ' + ' or '.join(near) + '?' if near else ''} There are: {', '.join(names)}; a private one needs `command` in baselines.toml"
    )


def listing() -> list[str]:
    """One line per generator, for `lipsync-eval list baselines`."""
    lines = []
    for name, adapter in all_adapters().items():
        r = adapter.record
        code = (
            f"{r.repository}@{r.commit[:7]}"
            if r.repository
            else "no public code"
            if adapter.command is None
            else "this package"
        )
        lines.append(
            f"{name:<17}{code:<46}{'GPU' if r.gpu and not r.cpu_when_prepared else 'CPU or GPU':<11}{', '.join(r.needs)}"
        )
    return lines


def facts(name: str) -> Any:
    """The record of a generator, for `lipsync-eval show NAME`; None when there is none."""
    found = all_adapters().get(name)
    return None if found is None else found.record
