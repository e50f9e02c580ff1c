"""`radio` and `radio-tight`: the evaluation crop of RADIO (Lee et al., WACV 2024), supplement section B.

The source frame is FFHQ-aligned from its 68 points; in the aligned image, with H = the largest y (the
chin) - y of point 29 and W = x of point 54 - x of point 48 (0-based), the crop is the square of half side max(H, W)
around point 33, resized to 256. Alignment and square are one similarity; nothing is rounded or sampled in between.
"""

from __future__ import annotations

from collections.abc import Mapping

from lipsync_eval.protocol import Protocol, ProtocolSpec
from lipsync_eval.protocols.crops import LayoutProtocol
from lipsync_eval.protocols.layout import Layout

_CITATION = "Lee et al., RADIO: Reference-Agnostic Dubbing Video Synthesis, WACV 2024, supplement B; arXiv:2309.01950"
_CHOICES = (
    "'Highest point' is read as the largest y, the chin, as in DINet, which the supplement cites; "
    "the top of the face would cut off the chin.",
    "'Tip of the nose (the thirty-fourth point)' is index 33, between the nostrils.",
    "'The same resolution' is 256 (MS-SSIM needs more than 160).",
    "Landmarks are found in the source frame and mapped; they are not found again in the aligned image.",
    "One quad and radius, the real video's, for both where the frames have one size, "
    "else each video its own (option crop_from).",
    "Outside the frame it is mirrored; FFHQ's blur of the padding is not applied.",
)
RADIO = ProtocolSpec(
    name="radio",
    version=1,
    size=256,
    needs_track=True,
    summary="FFHQ-aligned square around point 33, half side max(chin - y29, x54 - x48): "
    "the face from the brows to below the chin.",
    citation=_CITATION,
    choices=(*_CHOICES, "The radius is neither halved nor scaled, as the text has it."),
)
TIGHT = ProtocolSpec(
    name="radio-tight",
    version=1,
    size=256,
    needs_track=True,
    summary="As radio with half side 1.05 max(chin - y29, x54 - x48) / 2: a box around the mouth.",
    citation=_CITATION,
    choices=(
        *_CHOICES,
        "The radius is halved and scaled by 1.05, as DINet's code does at inference; the supplement does neither.",
    ),
)
_LENGTHS = ("ymax - y29", "x54 - x48")


def radio(options: Mapping[str, str]) -> Protocol:
    """The default protocol. Options: crop_from = auto | gt | own, radius = per-frame | clip-median."""
    return LayoutProtocol(RADIO, Layout(base="ffhq", centre=(33,), radius=_LENGTHS), options)


def tight(options: Mapping[str, str]) -> Protocol:
    """The other reading: a mouth box. The same options."""
    return LayoutProtocol(TIGHT, Layout(base="ffhq", centre=(33,), radius=_LENGTHS, scale=1.05 / 2), options)
