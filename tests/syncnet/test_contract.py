"""Both families keep the rules of the house (docs/metrics/adding.md)."""

from __future__ import annotations

from pathlib import Path

from support import syncnet_official as official

from lipsync_eval import check_metric
from lipsync_eval.metrics.syncnet import SyncNet
from lipsync_eval.types import Settings


def test_mouth_audio() -> None:
    check_metric("mouth_audio_corr", n_frames=50)
    check_metric("mouth_audio_offset", n_frames=50)


def test_syncnet_with_the_runs_own_track(tmp_path: Path) -> None:
    """Under lrs it takes whole frames, with or without a face, so only the default mode is held to the rules on faces."""
    weights = official.seeded_file(tmp_path / "syncnet_v2.model")
    check_metric(SyncNet, Settings(weights={"syncnet": weights}), monotone=False, n_frames=20)
