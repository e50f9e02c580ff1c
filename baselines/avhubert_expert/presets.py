"""Named configurations of the AV-HuBERT-expert generator."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lipsync_eval.baselines.avhubert_expert.config import AVHubertExpertConfig
from lipsync_eval.baselines.kit.configuration import resolve


def _row(kind: str) -> dict[str, Any]:
    return {"loss": {"sync_kind": kind}}


PRESETS: dict[str, dict[str, Any]] = {
    "avhubert-expert-96": {},
    "avhubert-expert-96-lipexpert": _row("lip_expert"),
    "avhubert-expert-96-visual": _row("visual-visual"),
    "avhubert-expert-96-multimodal": _row("multimodal"),
    "avhubert-expert-96-unsupervised": _row("unsupervised"),
    "avhubert-expert-48": {
        "model": {"size": 48, "width": 128},
        "expert": {"narrow": 4},
        "discriminator": {"width": 16},
        "loss": {"adversarial": 0.1},
        "train": {
            "batch": 4,
            "steps": 1000,
            "log_every": 20,
            "validate_every": 250,
            "validation_windows": 8,
            "save_every": 250,
            "lr": 1e-3,
            "lr_discriminator": 1e-4,
            "ema": 0.95,
        },
        "expert_train": {
            "batch": 32,
            "lr": 1e-3,
            "steps": 1000,
            "log_every": 20,
            "validate_every": 250,
            "validation_windows": 128,
            "save_every": 250,
        },
    },
}
"""-lipexpert, -visual, -multimodal, -unsupervised: rows of table 4 (the last is the default). -48: for a CPU."""


def load(path: Path | None = None, overrides: Iterable[str] = (), preset: str | None = None) -> AVHubertExpertConfig:
    """A configuration of this generator; see `kit.configuration.resolve.load`."""
    return resolve.load(AVHubertExpertConfig, PRESETS, path, overrides, preset)
