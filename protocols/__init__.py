"""Crop protocols: which part of both frames is compared. Installed as `lipsync_eval.protocols`.

Built-ins are a literal table; third parties register a factory (`lipsync_eval.protocol.ProtocolFactory`) in the entry
point group `lipsync_eval.protocols`; a user declares one in a TOML file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lipsync_eval.options import checked
from lipsync_eval.protocol import Protocol, ProtocolFactory, ProtocolSpec
from lipsync_eval.registry import Registry

PROTOCOLS: Final = Registry[ProtocolFactory](
    "protocol",
    {
        "radio": "lipsync_eval.protocols.radio:radio",
        "radio-tight": "lipsync_eval.protocols.radio:tight",
        "raw": "lipsync_eval.protocols.raw:raw",
        "personatalk": "lipsync_eval.protocols.personatalk:personatalk",
        "stylesync": "lipsync_eval.protocols.stylesync:stylesync",
        "wav2lip": "lipsync_eval.protocols.wav2lip:wav2lip",
        "syncnet": "lipsync_eval.protocols.syncnet:syncnet",
        "latentsync": "lipsync_eval.protocols.latentsync:latentsync",
        "lrs": "lipsync_eval.protocols.lrs:lrs",
    },
    group="lipsync_eval.protocols",
    also="or give the path of a .toml file that declares one",
)
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
    factory = PROTOCOLS.get(name_or_toml)
    protocol = factory({})
    if not options:
        return protocol
    return factory(checked(protocol.spec.options, options, f"protocol {name_or_toml!r}"))


def names() -> tuple[str, ...]:
    """All registered protocols, built-in first."""
    return PROTOCOLS.names()


def spec(name: str) -> ProtocolSpec:
    """What a protocol declares.

    Raises:
        UsageError: no such name or file.
    """
    return get(name).spec
