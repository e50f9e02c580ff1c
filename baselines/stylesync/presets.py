"""Named configurations of StyleSync."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lipsync_eval.baselines.kit.configuration import resolve
from lipsync_eval.baselines.stylesync.config import StyleSyncConfig

_SMALL: dict[str, Any] = {
    "model": {"size": 64, "narrow": 0.25, "audio_narrow": 4, "style_dim": 128, "mask_levels": 2},
    "discriminator": {"multiplier": 1, "channel_max": 64},
    "loss": {"r1": 1.0, "sync_clip": 1.0},
    "sync": {"narrow": 8},
    "train": {
        "batch": 2,
        "steps": 1500,
        "log_every": 20,
        "validate_every": 250,
        "save_every": 250,
        "ema": 0.99,
        "lr": 5e-3,
        "lr_plain": 1e-3,
        "lr_injection": 5e-2,
        "betas": (0.5, 0.99),
    },
    "sync_train": {
        "shape": 1.0,
        "batch": 32,
        "lr": 1e-3,
        "ema": 0.99,
        "steps": 600,
        "validate_every": 200,
        "save_every": 200,
    },
    "personal": {"batch": 4, "log_every": 10, "reduce": "mean", "lr": 3e-3},
}

PRESETS: dict[str, dict[str, Any]] = {
    "stylesync-256": {},
    "stylesync-256-g": {},
    "stylesync-256-womask": {"model": {"mask_levels": 0}},
    "stylesync-256-wosync": {"loss": {"sync": 0.0}},
    "stylesync-256-authors": {"model": {"mapping": 8, "fuse": 512, "align": "authors"}},
    "wav2lip-h": {"model": {"network": "wav2lip-h"}},
    "stylesync-64": _SMALL,
    "wav2lip-h-64": _SMALL | {"model": _SMALL["model"] | {"network": "wav2lip-h"}},
}
"""stylesync-256-g, -womask, -wosync: rows of table 3 (-g is the default under the table's name). -authors: the form of
the authors' public code. wav2lip-h: the paper's baseline. -64: for a CPU."""

PERSONAL: dict[str, dict[str, Any]] = {"p": {}, "p-wodw": {"personal": {"dw": False}}}
"""Of `personalise`: the method, and table 3's ablation without dW."""


def load(path: Path | None = None, overrides: Iterable[str] = (), preset: str | None = None) -> StyleSyncConfig:
    """A configuration of StyleSync; see `kit.configuration.resolve.load`."""
    return resolve.load(StyleSyncConfig, PRESETS, path, overrides, preset)
