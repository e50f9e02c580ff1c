"""`stylesync`: faces aligned by the eyes at 256 px, as StyleSync (Guan et al., CVPR 2023) describes."""

from __future__ import annotations

from collections.abc import Mapping

from lipsync_eval.protocol import Protocol, ProtocolSpec
from lipsync_eval.protocols.crops import LayoutProtocol
from lipsync_eval.protocols.layout import Layout

SPEC = ProtocolSpec(
    name="stylesync",
    version=1,
    size=256,
    needs_track=True,
    summary="Eyes level and at a fixed distance, the face around them, 256 px: StyleSync's crops.",
    citation="Guan et al., StyleSync: High-Fidelity Generalized and Personalized Lip Sync in Style-based Generator, CVPR 2023, section 4.1; arXiv:2305.05445",
    choices=(
        "The paper says 'align all faces according to pre-detected landmarks at the eyes' and 'cropped to 256x256'; size and place of the face are not given.",
        "They follow the authors' inference code (guanjz20/StyleSync@fac252c, utils.py), whose template puts the eyes of our clips at 28 % of a crop 3.15 eye distances high.",
        "That code aligns by brows and nose with smoothing and stretches 3:4 to a square; here the eyes alone are aligned, as the paper says, and nothing is stretched or smoothed.",
        "Eye centres are the means of points 36-41 and 42-47; the side of the crop is 3.15 times their distance.",
        "The eyes lie above the middle: the crop's centre is 0.43 half sides below the midpoint of the eyes.",
        "One alignment, the real video's, for both where the frames have one size, else each video its own (option crop_from).",
    ),
)
LAYOUT = Layout(base="eyes", centre=tuple(range(36, 48)), radius=("unit",), scale=1.575, offset=(0.0, 0.43))
"""The crop; the trainable StyleSync (baselines/stylesync) cuts its training frames in the same way."""


def stylesync(options: Mapping[str, str]) -> Protocol:
    """Aligned by the eyes. Options: crop_from = auto | gt | own, radius = per-frame | clip-median."""
    return LayoutProtocol(SPEC, LAYOUT, options)
