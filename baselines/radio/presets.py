"""Named configurations of RADIO."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lipsync_eval.baselines.kit.configuration import resolve
from lipsync_eval.baselines.kit.sync.settings import NO_AUGMENTATION
from lipsync_eval.baselines.radio.config import RadioConfig


def _small(**more: Any) -> dict[str, Any]:
    return {"size": 96, **more}


SYNC_PAPER: dict[str, Any] = {
    "sync_train": {"shape": 0.0},
    "sync_augment": NO_AUGMENTATION,
}
"""The sync discriminator's training as the papers have it: eqs. 4 and 5 alone; no landmark head, windows as they are."""

PRESETS: dict[str, dict[str, Any]] = {
    "radio-192": {},
    "radio-96": {"model": _small()},
    "radio-96-a": {"model": _small(variant="A")},
    "radio-96-b": {"model": _small(variant="B")},
    "radio-96-c": {"model": _small(variant="C")},
    "radio-96-d": {"model": _small(variant="D")},
    "radio-96-vit11": {"model": _small(vit_blocks=1, vit_layers=1)},
    "radio-96-vit12": {"model": _small(vit_blocks=1, vit_layers=2)},
    "radio-96-vit22": {"model": _small(vit_blocks=2, vit_layers=2)},
    "sync-paper": SYNC_PAPER,
    "sync-paper-96": {"model": _small(), **SYNC_PAPER},
    "radio-48": {
        "model": {
            "size": 48,
            "layers": 4,
            "channel_base": 1152,
            "channel_max": 64,
            "vit_dim": 64,
            "style_dim": 64,
            "audio_dim": 64,
            "audio_width": 8,
        },
        "discriminator": {"multiplier": 1, "channel_max": 32},
        "loss": {"r1": 0.1, "sync_clip": 1.0},
        "sync": {"size": 48, "dim": 64, "width": 8},
        "train": {
            "batch": 4,
            "steps": 2000,
            "log_every": 20,
            "validate_every": 500,
            "save_every": 500,
            "ema": 0.99,
            "lr": 5e-3,
            "lr_plain": 1e-3,
        },
        "sync_train": {
            "batch": 32,
            "lr": 1.5e-3,
            "ema": 0.99,
            "steps": 2000,
            "sync_from": 900,
            "visual_gradient": 0.0,
            "validate_every": 200,
            "save_every": 200,
        },
    },
}
"""radio-96-a..d: rows of table 2. radio-96-vit11, 12, 22: rows of the supplement's table 1. sync-paper: for
train-sync, crops of 192 px (-96: of 96 px). radio-48: for a CPU."""


def load(path: Path | None = None, overrides: Iterable[str] = (), preset: str | None = None) -> RadioConfig:
    """A configuration of RADIO; see `kit.configuration.resolve.load`."""
    return resolve.load(RadioConfig, PRESETS, path, overrides, preset)
