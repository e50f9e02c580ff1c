"""`personatalk`: a 256 px face crop as PersonaTalk (Zhang et al., SIGGRAPH Asia 2024) describes its evaluation."""

from __future__ import annotations

from collections.abc import Mapping

from lipsync_eval.protocol import Protocol, ProtocolSpec
from lipsync_eval.protocols.crops import LayoutProtocol
from lipsync_eval.protocols.layout import Layout

SPEC = ProtocolSpec(
    name="personatalk",
    version=1,
    size=256,
    needs_track=True,
    summary="Upright square face box from forehead to chin, resized to 256: PersonaTalk's crops.",
    citation="Zhang et al., PersonaTalk: Bring Attention to Your Persona in Visual Dubbing, SIGGRAPH Asia 2024, section 4",
    choices=(
        "The paper says 'cropped to 256x256 according to face landmarks extracted by MediaPipe' and no more: box, margin and smoothing are chosen here.",
        "MediaPipe's mesh is as wide and as low as the 68 points and reaches 16 % of their height above them (measured on our clips); "
        "the box of the points is raised by 30 % of its height, so 14 % above the mesh, and widened by 10 % left and right and 5 % below.",
        "The box is made square around its centre and follows the face frame by frame, without smoothing.",
        "One box, the real video's, for both where the frames have one size, else each video its own (option crop_from).",
    ),
)


def personatalk(options: Mapping[str, str]) -> Protocol:
    """A square face box. Options: crop_from = auto | gt | own, radius = per-frame | clip-median."""
    return LayoutProtocol(SPEC, Layout(base="box", margins=(0.10, 0.30, 0.10, 0.05)), options)
