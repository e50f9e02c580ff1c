"""`wav2lip`: the tight face box, stretched to 96 px, that Wav2Lip (Prajwal et al., ACM MM 2020) generates and TalkLip scores."""

from __future__ import annotations

from collections.abc import Mapping

from lipsync_eval.protocol import Protocol, ProtocolSpec
from lipsync_eval.protocols.crops import LayoutProtocol
from lipsync_eval.protocols.layout import Layout

SPEC = ProtocolSpec(
    name="wav2lip",
    version=1,
    size=96,
    needs_track=True,
    summary="Tight face box with 10 px below the chin, averaged over 5 frames, stretched to 96x96: Wav2Lip's crops.",
    citation="Prajwal et al., A Lip Sync Expert Is All You Need, ACM MM 2020; Rudrabha/Wav2Lip@5c90fa9, inference.py",
    choices=(
        "Upstream's box is S3FD's; here it is the box of the 68 points, raised by 31 % of its height: so much higher, and no wider or lower, are the boxes "
        "of a detector trained on the same data (WIDER FACE) on our clips.",
        "Upstream's pads (0, 10, 0, 0) px and its smoothing (mean of 5 frames from the current one on) are kept; the pad is in source px as upstream.",
        "Upstream rounds the box to whole pixels and cuts it at the frame's border; here it is neither, and what lies outside is mirrored.",
        "Frames without a face are left out of the mean and have no crop; upstream stops at them.",
        "The box is stretched to a square, as upstream's resize does.",
        "96 px is below what MS-SSIM needs (161): that metric fails here, and the row says so.",
        "One box, the real video's, for both where the frames have one size, else each video its own (option crop_from).",
    ),
)

LAYOUT = Layout(base="box", margins=(0.0, 0.31, 0.0, 0.0), pads=(0.0, 0.0, 0.0, 10.0), smooth=5, shape="stretch")
"""The crop; the trainable AV-HuBERT-expert generator (baselines/avhubert_expert) cuts its frames in the same way."""


def wav2lip(options: Mapping[str, str]) -> Protocol:
    """A tight box. Option: crop_from = auto | gt | own."""
    return LayoutProtocol(SPEC, LAYOUT, options)
