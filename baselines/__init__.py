"""Other people's generators, each in an environment and a process of its own, and RADIO, the reference generator.

Built-in adapters are a literal table; third parties add theirs through the entry point group `lipsync_eval.baselines` (an object
of type Adapter), a user's private model needs only a table in baselines.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from lipsync_eval.baselines.base import Adapter, Record
from lipsync_eval.baselines.environments import Environment
from lipsync_eval.errors import UsageError
from lipsync_eval.registry import Registry, no_such

ADAPTERS: Final = Registry[Adapter](
    "generator",
    {
        "wav2lip": "lipsync_eval.baselines.adapters.wav2lip:ADAPTER",
        "wav2lip_gan": "lipsync_eval.baselines.adapters.wav2lip:GAN",
        "wav2lip_ref": "lipsync_eval.baselines.adapters.wav2lip:REF",
        "wav2lip_gan_ref": "lipsync_eval.baselines.adapters.wav2lip:GAN_REF",
        "dinet": "lipsync_eval.baselines.adapters.dinet:ADAPTER",
        "ip_lap": "lipsync_eval.baselines.adapters.ip_lap:ADAPTER",
        "ip_lap_ref": "lipsync_eval.baselines.adapters.ip_lap:REF",
        "pc_avs": "lipsync_eval.baselines.adapters.pc_avs:ADAPTER",
        "makeittalk": "lipsync_eval.baselines.adapters.makeittalk:ADAPTER",
        "atvgnet": "lipsync_eval.baselines.adapters.atvgnet:ADAPTER",
        "videoretalking": "lipsync_eval.baselines.adapters.videoretalking:ADAPTER",
        "talklip": "lipsync_eval.baselines.adapters.talklip:ADAPTER",
        "synctalk": "lipsync_eval.baselines.adapters.synctalk:ADAPTER",
        "ad_nerf": "lipsync_eval.baselines.adapters.ad_nerf:ADAPTER",
        "stylesync": "lipsync_eval.baselines.adapters.stylesync:ADAPTER",
        "stylesync_ref": "lipsync_eval.baselines.adapters.stylesync:REF",
        "stylesync_g": "lipsync_eval.baselines.adapters.stylesync_own:ADAPTER",
        "stylesync_p": "lipsync_eval.baselines.adapters.stylesync_own:PERSONAL",
        "sadtalker": "lipsync_eval.baselines.adapters.sadtalker:ADAPTER",
        "musetalk": "lipsync_eval.baselines.adapters.musetalk:ADAPTER",
        "latentsync": "lipsync_eval.baselines.adapters.latentsync:ADAPTER",
        "radio": "lipsync_eval.baselines.adapters.radio:ADAPTER",
        "personatalk": "lipsync_eval.baselines.adapters.personatalk:ADAPTER",
        "avhubert_expert": "lipsync_eval.baselines.adapters.avhubert_expert:ADAPTER",
        "gfpgan": "lipsync_eval.baselines.adapters.gfpgan:ADAPTER",
        "gpen": "lipsync_eval.baselines.adapters.gpen:ADAPTER",
    },
    group="lipsync_eval.baselines",
    names_of=lambda adapter: [adapter.record.name],
)


@cache
def all_adapters() -> dict[str, Adapter]:
    """All adapters by name.

    Raises:
        UsageError: a third party's adapter cannot be loaded or takes a name that is in use.
    """
    return ADAPTERS.load()


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
    raise UsageError(no_such("generator", name, names, "a private one needs `command` in baselines.toml"))


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
            f"{name:<17}{code:<46}{'GPU' if r.gpu and not r.cpu_when_prepared else 'CPU or GPU':<11}"
            f"{r.reference or 'not stated':<11}{', '.join(r.needs)}"
        )
    return lines


def facts(name: str) -> Record | None:
    """The record of a generator, for `lipsync-eval show NAME`; None when there is none."""
    found = all_adapters().get(name)
    return None if found is None else found.record
