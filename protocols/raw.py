"""`raw`: the whole frame, pixel for pixel."""

from __future__ import annotations

from collections.abc import Mapping

from lipsync_eval.protocol import Protocol, ProtocolSpec
from lipsync_eval.protocols.crops import LayoutProtocol
from lipsync_eval.protocols.layout import Layout

SPEC = ProtocolSpec(
    name="raw",
    version=1,
    size=None,
    needs_track=False,
    summary="The whole frame at its own size; nothing is resampled.",
    citation="none: the frames as they are",
    choices=("Two videos whose frames differ in size are not compared: the clip fails.",),
)


def raw(options: Mapping[str, str]) -> Protocol:
    """The whole frame. Takes no options."""
    return LayoutProtocol(SPEC, Layout(base="frame"), options)
