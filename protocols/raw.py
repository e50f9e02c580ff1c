"""`raw`: the whole picture, pixel for pixel."""

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
    summary="The whole picture at its own size; nothing is resampled.",
    citation="none: the pictures as they are",
    choices=("Two videos whose pictures differ in size are not compared: the clip fails.",),
)


def raw(options: Mapping[str, str]) -> Protocol:
    """The whole picture. Takes no options."""
    return LayoutProtocol(SPEC, Layout(base="frame"), options)
