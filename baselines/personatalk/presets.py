"""Named configurations of PersonaTalk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lipsync_eval.baselines.kit.configuration import resolve
from lipsync_eval.baselines.personatalk.config import PersonaTalkConfig

SMALL: dict[str, Any] = {
    "stage1": {"audio": "mel", "width": 128, "heads": 4, "layers": 2},
    "stage2": {"size": 128, "width": 64},
    "render_loss": {"adversarial": 0.0},
    "geometry_train": {
        "steps": 1500,
        "batch": 4,
        "window": 50,
        "reference": 50,
        "lr": 1e-3,
        "ema": 0.99,
        "log_every": 50,
        "validate_every": 250,
        "save_every": 250,
    },
    "render_train": {
        "steps": 1500,
        "batch": 4,
        "lr": 1e-3,
        "ema": 0.99,
        "precision": "fp32",
        "log_every": 50,
        "validate_every": 250,
        "save_every": 250,
        "validation_windows": 8,
    },
}
"""For a CPU."""

PRESETS: dict[str, dict[str, Any]] = {
    "personatalk-256": {},
    "personatalk-256-wostyle": {"stage1": {"style": False}},
    "personatalk-256-single": {"stage2": {"attention": "single"}},
    "personatalk-256-random": {"stage2": {"references": "random"}},
    "personatalk-256-mel": {"stage1": {"audio": "mel", "width": 256}},
    "personatalk-128": SMALL,
    "personatalk-128-wostyle": {**SMALL, "stage1": {**SMALL["stage1"], "style": False}},
    "personatalk-128-single": {**SMALL, "stage2": {**SMALL["stage2"], "attention": "single"}},
    "personatalk-128-random": {**SMALL, "stage2": {**SMALL["stage2"], "references": "random"}},
}
"""-wostyle, -single, -random: rows of table 4. -mel: without HuBERT's weights. personatalk-128: for a CPU."""


def load(path: Path | None = None, overrides: Iterable[str] = (), preset: str | None = None) -> PersonaTalkConfig:
    """A configuration of PersonaTalk; see `kit.configuration.resolve.load`."""
    return resolve.load(PersonaTalkConfig, PRESETS, path, overrides, preset)
