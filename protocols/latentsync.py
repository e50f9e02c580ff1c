"""`latentsync`: LatentSync's variant of SyncNet's pipeline."""

from __future__ import annotations

from collections.abc import Mapping

from lipsync_eval.protocol import Protocol, SyncRules
from lipsync_eval.protocols.syncnet import CITATION, SyncNetProtocol, make_spec

SPEC = make_spec(
    "latentsync",
    SyncRules(detector="s3fd", min_track=50, shots="0.6.1", tracks="mean"),
    "As in eval_sync_conf.py, the clip's score is the mean over its tracks, and the offset is cut to a whole frame.",
    "0.6.1 (a mean HSV change of 27, 15 frames apart, none in the first 15 frames)",
    "LatentSync's variant of SyncNet's pipeline: tracks from 50 frames on, mean over tracks.",
    CITATION + "; bytedance/LatentSync@a229c39, eval/eval_sync_conf.py",
)


def latentsync(options: Mapping[str, str]) -> Protocol:
    """LatentSync's variant. Takes no options."""
    return SyncNetProtocol(SPEC, options)
