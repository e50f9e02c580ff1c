"""Crop protocols: which part of both frames is compared. Installed as `lipsync_eval.protocols`.

Built-ins are a literal table; third parties register a factory (`lipsync_eval.protocol.ProtocolFactory`) in the entry
point group `lipsync_eval.protocols`; a user declares one in a TOML file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from lipsync_eval.errors import UsageError
from lipsync_eval.options import checked, hint
from lipsync_eval.protocol import Protocol, ProtocolFactory, ProtocolSpec

_BUILT_IN: dict[str, str] = {
    "radio": "lipsync_eval.protocols.radio:radio",
    "radio-tight": "lipsync_eval.protocols.radio:tight",
    "raw": "lipsync_eval.protocols.raw:raw",
    "personatalk": "lipsync_eval.protocols.personatalk:personatalk",
    "stylesync": "lipsync_eval.protocols.stylesync:stylesync",
    "wav2lip": "lipsync_eval.protocols.wav2lip:wav2lip",
    "syncnet": "lipsync_eval.protocols.syncnet:syncnet",
    "latentsync": "lipsync_eval.protocols.latentsync:latentsync",
    "lrs": "lipsync_eval.protocols.lrs:lrs",
}
ENTRY_POINTS = "lipsync_eval.protocols"
NO_OPTIONS: Mapping[str, str] = {}


def get(name_or_toml: str, options: Mapping[str, str] = NO_OPTIONS) -> Protocol:
    """The protocol of this name, or the one declared in this TOML file, with its options bound.

    Options are checked against those that its spec declares, so a factory sees declared ones only.

    Raises:
        UsageError: no such name or file, or an option or value that the protocol does not have.
        ParseError: the TOML file is malformed.
    """
    if name_or_toml.endswith(".toml"):
        from lipsync_eval.protocols.toml_form import load

        return load(Path(name_or_toml), options)
    factory = _factory(name_or_toml)
    protocol = factory({})
    if not options:
        return protocol
    return factory(checked(protocol.spec.options, options, f"protocol {name_or_toml!r}"))


def names() -> tuple[str, ...]:
    """All registered protocols, built-in first."""
    return (*_BUILT_IN, *_third_party())


def spec(name: str) -> ProtocolSpec:
    """What a protocol declares.

    Raises:
        UsageError: no such name or file.
    """
    return get(name).spec


@cache
def _third_party() -> dict[str, ProtocolFactory]:
    found: dict[str, ProtocolFactory] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda p: p.name):
        if point.name in _BUILT_IN or point.name in found:
            raise UsageError(f"two protocols are called {point.name!r} (one is {point.value}); rename or uninstall it")
        try:
            found[point.name] = point.load()
        except Exception as error:
            raise UsageError(
                f"the protocol plug-in {point.name!r} ({point.value}) cannot be loaded: {error!r}; uninstall or repair it"
            ) from error
    return found


def _factory(name: str) -> ProtocolFactory:
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        factory: ProtocolFactory = getattr(import_module(module), attribute)
        return factory
    others = _third_party()
    if name in others:
        return others[name]
    raise UsageError(
        f"there is no protocol {name!r}.{hint(name, names())} There are: {', '.join(names())}; "
        "or give the path of a .toml file that declares one"
    )
