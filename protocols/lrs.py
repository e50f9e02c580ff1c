"""`lrs`: whole frames at 224 px, for videos that are face crops already."""

from __future__ import annotations

from collections.abc import Mapping

from lipsync_eval.protocol import Protocol, ProtocolSpec, SyncRules
from lipsync_eval.protocols.crops import LayoutProtocol
from lipsync_eval.protocols.layout import Layout

SPEC = ProtocolSpec(
    name="lrs",
    version=1,
    size=224,
    needs_track=False,
    summary="The whole frame resized to 224 px, as Wav2Lip scores LRS2 and LRS3 clips: no face detection.",
    citation="Prajwal et al.: A Lip Sync Expert Is All You Need, ACM MM 2020; Rudrabha/Wav2Lip@5c90fa9, evaluation/scores_LSE",
    choices=(
        "LSE-C, LSE-D and the offset resize with cv2 bilinear as upstream; other metrics sample the crop antialiased.",
        "Upstream assumes 25 frames a second; here frames are taken at 25 fps by timestamp.",
        "Upstream scores JPEGs; here frames stay lossless unless --compat jpeg is given.",
        "Two videos whose frames differ in size are not compared by the metrics that need both crops.",
    ),
    sync=SyncRules(detector="none"),
)


def lrs(options: Mapping[str, str]) -> Protocol:
    """The whole frame at 224 px. Takes no options."""
    return LayoutProtocol(SPEC, Layout(base="frame"), options)
