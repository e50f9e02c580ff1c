"""Configurations: model, discriminators, losses, data, training; presets, TOML files and overrides.

Everything that shapes a network or a run is here and travels in every checkpoint. Unknown keys are refused.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lipsync_eval.errors import UsageError

Variant = Literal["A", "B", "C", "D"]
Fidelity = Literal["none", "add", "vit"]
FIDELITY: dict[Variant, Fidelity] = {"A": "none", "B": "none", "C": "add", "D": "vit"}


class LayerPlan(NamedTuple):
    """What one decoder layer does."""

    size_in: int
    """px of its input."""
    size_out: int
    """px of its output: equal or double."""
    fidelity: Fidelity
    patch: int
    """px of a patch, max(1, ceil(size_in / 32))."""


class Section(BaseModel):
    """A frozen group of settings; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class ModelConfig(Section):
    """The generator. Defaults: 192x192, L = 6, variant D."""

    size: int = Field(192, ge=16)
    """Height and width in px."""
    layers: int = Field(6, ge=3)
    """L, of both encoders and the decoder."""
    variant: Variant = "D"
    """Row of table 2: A baseline, B + style modulation, C + added reference features, D + ViT."""
    vit_blocks: int = Field(2, ge=1)
    """Last decoder layers that get the reference's details (variants C and D)."""
    vit_layers: int = Field(2, ge=1)
    """Attention layers in a ViT block."""
    vit_dim: int = Field(512, ge=1)
    heads: int = Field(8, ge=1)
    channel_base: int = Field(12288, ge=1)
    """Width of a map = min(channel_max, channel_base / size)."""
    channel_max: int = Field(512, ge=1)
    style_dim: int = Field(512, ge=1)
    """Length of f_s."""
    audio_dim: int = Field(512, ge=1)
    """Length of f_a."""
    audio_width: int = Field(16, ge=1)
    """Channels of the first stage of E_a."""
    bands: int = Field(80, ge=8)
    mel_frames: int = Field(20, ge=4)
    """5 video frames of 4 mel frames."""

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        smallest = self.size / 2 ** (self.layers - 2)
        if smallest != int(smallest) or smallest < 2:
            raise ValueError(
                f"size {self.size} cannot be halved {self.layers - 2} times (layers - 2); change size or layers"
            )
        if self.vit_blocks > self.layers:
            raise ValueError(f"vit_blocks {self.vit_blocks} is more than layers {self.layers}")
        for plan in self.decoder_plan:
            if plan.fidelity != "none" and (plan.size_in % 2 or (plan.size_in // 2) % plan.patch):
                raise ValueError(
                    f"the lower half of a {plan.size_in}-pixel map is not made of {plan.patch}-pixel patches"
                )
        if self.variant == "D" and self.vit_dim % self.heads:
            raise ValueError(f"vit_dim {self.vit_dim} is no multiple of heads {self.heads}")
        return self

    @property
    def encoder_sizes(self) -> tuple[int, ...]:
        """px of the maps f^1..f^L: full size, halved L - 2 times, and the last size once more."""
        halved = [self.size // 2**i for i in range(self.layers - 1)]
        return (*halved, halved[-1])

    @property
    def decoder_plan(self) -> tuple[LayerPlan, ...]:
        """One plan per decoder layer; output sizes mirror `encoder_sizes`."""
        out = self.encoder_sizes[::-1]
        before = (out[0], *out[:-1])
        plans = []
        for number, (size_in, size_out) in enumerate(zip(before, out, strict=True)):
            last = number >= self.layers - self.vit_blocks
            fidelity = FIDELITY[self.variant] if last else "none"
            plans.append(LayerPlan(size_in, size_out, fidelity, max(1, math.ceil(size_in / 32))))
        return tuple(plans)

    @property
    def w_dim(self) -> int:
        """Length of f_W: [f_s, f_a], or f_a alone in variant A."""
        return self.audio_dim if self.variant == "A" else self.style_dim + self.audio_dim

    def channels(self, size: int) -> int:
        """Width of the maps at `size` px, in the encoders and in the decoder."""
        return max(1, min(self.channel_max, self.channel_base // size))


class SyncConfig(Section):
    """The sync discriminator (supplement A)."""

    size: int = Field(144, ge=16)
    """px of the grayscale face crop."""
    dim: int = Field(512, ge=1)
    width: int = Field(16, ge=1)
    frames: int = Field(5, ge=1)
    box: tuple[float, float, float, float] = (0.1875, 0.375, 0.8125, 1.0)
    """left, top, right, bottom of the tight face in the aligned picture, as shares of its side."""
    probability: Literal["rescale", "clamp"] = "rescale"
    """Cosine -> (0, 1): (1 + cos) / 2, or cos cut to (1e-7, 1 - 1e-7)."""


class DiscriminatorConfig(Section):
    """StyleGAN2's image discriminator."""

    multiplier: int = Field(2, ge=1)
    """Channel multiplier of the sizes above 32 px (upstream's default)."""
    channel_max: int = Field(512, ge=1)


class LossConfig(Section):
    """Weights of eq. 6; the paper gives none of them."""

    l1: float = Field(1.0, ge=0)
    vgg: float = Field(1.0, ge=0)
    """Of the sum over VGG layers; the term is off without `vgg_weights`."""
    vgg_weights: Path | None = None
    """A torchvision VGG16 or VGG19 state dict."""
    vgg_layers: tuple[float, ...] = (0.03125, 0.0625, 0.125, 0.25, 1.0)
    """Weights of relu1_1, 2_1, 3_1, 4_1, 5_1: growing with depth."""
    adversarial: float = Field(0.07, ge=0)
    sync: float = Field(0.03, ge=0)
    sync_checkpoint: Path | None = None
    """Folder made by train-sync; the term is off without it."""
    avhubert: float = Field(0.0, ge=0)
    """Weight of the AV-HuBERT loss (option; off)."""
    avhubert_weights: Path | None = None
    r1: float = Field(10.0, ge=0)
    """gamma of the R1 penalty (StyleGAN2's default)."""
    r1_every: int = Field(16, ge=1)


class DataConfig(Section):
    """What is trained on."""

    folder: Path | None = None
    """A folder made by `radio prepare`."""
    holdout: str = "clips:0.1"
    """Kept from training: clips:SHARE, tail:SHARE (end of every clip), ids:A,B... or split (the layout's own val)."""
    min_frames: int = Field(5, ge=5)
    verify: Literal["sha256", "size"] = "sha256"
    """How shards are checked at the start."""
    workers: int = Field(0, ge=0)


class TrainConfig(Section):
    """How training runs."""

    steps: int = Field(210_000, ge=1)
    batch: int = Field(16, ge=1)
    """Clips of 5 frames per step, over all processes and accumulation."""
    accumulate: int = Field(1, ge=1)
    """Backward passes per step; batch is divided by it."""
    lr: float = Field(2e-4, gt=0)
    lr_discriminator: float = Field(2e-4, gt=0)
    betas: tuple[float, float] = (0.0, 0.99)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    ema: float = Field(0.999, ge=0, lt=1)
    adversarial_from: int = Field(0, ge=0)
    """First step with the adversarial term."""
    seed: int = 1
    log_every: int = Field(50, ge=1)
    validate_every: int = Field(5_000, ge=1)
    validation_frames: int = Field(64, ge=1)
    validate_landmarks: bool = False
    """Also LMD on the validation pictures (finds landmarks in generated pictures)."""
    save_every: int = Field(5_000, ge=1)
    keep: int = Field(3, ge=1)
    """Newest checkpoints that are kept; the first, the best and the last are always kept."""
    grid_rows: int = Field(8, ge=1)


class Config(Section):
    """Everything about one run."""

    name: str = "radio-192"
    model: ModelConfig = ModelConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    sync: SyncConfig = SyncConfig()
    loss: LossConfig = LossConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()


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
            "channel_base": 1536,
            "channel_max": 96,
            "vit_dim": 64,
            "style_dim": 64,
            "audio_dim": 64,
            "audio_width": 8,
        },
        "discriminator": {"multiplier": 1, "channel_max": 64},
        "sync": {"size": 48, "dim": 64, "width": 8},
        "train": {"batch": 4, "steps": 2000, "log_every": 20, "validate_every": 500, "save_every": 500, "ema": 0.99},
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


def parse(values: Mapping[str, Any], source: str) -> Config:
    """Check a mapping and make a Config of it.

    Raises:
        UsageError: naming the key, what came and what is allowed.
    """
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(p) for p in e['loc']) or 'configuration'}: {e['msg']} (got {e['input']!r:.80})"
            for e in error.errors()
        ]
        raise UsageError(f"configuration {source} cannot be used:\n" + "\n".join(lines)) from error


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


def differences(ours: ModelConfig, theirs: ModelConfig) -> list[str]:
    """'size: 96 here, 192 there' for every field in which two models differ."""
    a, b = ours.model_dump(), theirs.model_dump()
    return [f"{key}: {a[key]} here, {b[key]} there" for key in a if a[key] != b[key]]
