"""Named configurations, TOML files and overrides."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lipsync_eval.baselines.radio.config import Config, parse
from lipsync_eval.errors import UsageError


def _small(**more: Any) -> dict[str, Any]:
    return {"size": 96, **more}


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
        "loss": {"r1": 0.1},
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
"""radio-96-a..d: rows of table 2. radio-96-vit11, 12, 22: rows of the supplement's table 1. radio-48: for a CPU."""


def load(path: Path | None = None, overrides: Iterable[str] = (), preset: str | None = None) -> Config:
    """Resolve a configuration: preset, then the TOML file over it, then KEY=VALUE overrides.

    Args:
        path: a TOML file with `preset = "..."` and the sections of `Config`, or None.
        overrides: 'train.steps=100', values in TOML (bare words are strings).
        preset: used when the file names none; default 'radio-192'.

    Raises:
        UsageError: unknown preset, key or value.
    """
    given: dict[str, Any] = {}
    if path is not None:
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not TOML: {error}") from error
    name = str(given.pop("preset", preset or "radio-192"))
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}; there are {', '.join(PRESETS)}")
    merged = _merge(_merge({"name": name}, PRESETS[name]), given)
    for text in overrides:
        merged = _merge(merged, _override(text))
    return parse(merged, str(path) if path else name)


def _merge(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in more.items():
        old = out.get(key)
        out[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def _override(text: str) -> dict[str, Any]:
    key, found, value = text.partition("=")
    if not found or not key.strip():
        raise UsageError(f"--set {text!r}: give SECTION.KEY=VALUE, e.g. train.steps=100")
    try:
        parsed: Any = tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)
