"""Configurations: model, discriminators, losses, data, training. Presets and files are in presets.py.

Everything that shapes a network or a run is here and travels in every checkpoint. Unknown keys are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError, model_validator

from lipsync_eval.baselines.radio.section import NotNegative, Positive, Precision, Rate, Section, Weight
from lipsync_eval.baselines.radio.sync_config import SyncAugmentConfig, SyncConfig, SyncTrainConfig
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


class ModelConfig(Section):
    """The generator. Defaults: 192x192, L = 6, variant D."""

    size: Annotated[int, Field(ge=16)] = 192
    """Height and width in px."""
    layers: Annotated[int, Field(ge=3)] = 6
    """L, of both encoders and the decoder."""
    variant: Variant = "D"
    """Row of table 2: A baseline, B + style modulation, C + added reference features, D + ViT."""
    vit_blocks: Positive = 2
    """Last decoder layers that get the reference's details (variants C and D)."""
    vit_layers: Positive = 2
    """Attention layers in a ViT block."""
    vit_dim: Positive = 512
    heads: Positive = 8
    channel_base: Positive = 12288
    """Width of a map = min(channel_max, channel_base / size)."""
    channel_max: Positive = 512
    style_dim: Positive = 512
    """Length of f_s."""
    audio_dim: Positive = 512
    """Length of f_a."""
    audio_width: Positive = 16
    """Channels of the first stage of E_a."""
    bands: Annotated[int, Field(ge=8)] = 80
    mel_frames: Annotated[int, Field(ge=4)] = 20
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


class DiscriminatorConfig(Section):
    """StyleGAN2's image discriminator."""

    multiplier: Positive = 2
    """Channel multiplier of the sizes above 32 px (upstream's default)."""
    channel_max: Positive = 512


class LossConfig(Section):
    """Weights of eq. 6; the paper gives none of them."""

    l1: Weight = 1.0
    vgg: Weight = 1.0
    """Of the sum over VGG layers; the term is off without `vgg_weights`."""
    vgg_weights: Path | None = None
    """A torchvision VGG16 or VGG19 state dict."""
    vgg_layers: tuple[float, ...] = (0.03125, 0.0625, 0.125, 0.25, 1.0)
    """Weights of relu1_1, 2_1, 3_1, 4_1, 5_1: growing with depth."""
    adversarial: Weight = 0.07
    sync: Weight = 0.03
    sync_checkpoint: Path | None = None
    """Folder made by train-sync; the term is off without it."""
    avhubert: Weight = 0.5
    """Of the AV-HuBERT loss of Yaman et al. 2024 (their value); the term is off without `avhubert_weights`."""
    avhubert_weights: Path | None = None
    """An official AV-HuBERT checkpoint (non-commercial research licence)."""
    avhubert_context: Annotated[int, Field(ge=5)] = 25
    """Real pictures around and including the generated ones that the expert sees."""
    r1: Weight = 10.0
    """gamma of the R1 penalty (StyleGAN2's default)."""
    r1_every: Positive = 16


class DataConfig(Section):
    """What is trained on."""

    folder: Path | None = None
    """A folder made by `radio prepare`."""
    holdout: str = "clips:0.1"
    """Kept from training: clips:SHARE, tail:SHARE (end of every clip), ids:A,B... or split (the layout's own val)."""
    min_frames: Annotated[int, Field(ge=5)] = 5
    verify: Literal["sha256", "size"] = "sha256"
    """How shards are checked at the start."""
    workers: NotNegative = 0


class TrainConfig(Section):
    """How training runs."""

    steps: Positive = 210_000
    batch: Positive = 16
    """Clips of 5 frames per step, over all processes and accumulation."""
    accumulate: Positive = 1
    """Backward passes per step; batch is divided by it."""
    lr: Rate = 2e-3
    """Of layers with equalised weights (StyleGAN2's)."""
    lr_plain: Rate = 1e-4
    """Of the audio encoder and the ViT blocks, whose weights are not scaled at run time."""
    lr_discriminator: Rate = 2e-3
    betas: tuple[float, float] = (0.9, 0.99)
    """Adam of the generator, whose loss is mostly a reconstruction."""
    betas_discriminator: tuple[float, float] = (0.0, 0.99)
    """StyleGAN2's."""
    precision: Precision = "fp32"
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    adversarial_from: NotNegative = 0
    """First step with the adversarial term."""
    seed: int = 1
    log_every: Positive = 50
    validate_every: Positive = 5_000
    validation_windows: Positive = 16
    """Windows of five held-out pictures, spread evenly."""
    validate_landmarks: bool = False
    """Also LMD on the validation pictures (finds landmarks in generated pictures)."""
    save_every: Positive = 5_000
    keep: Positive = 3
    """Newest checkpoints that are kept; the first, the best and the last are always kept."""
    grid_rows: Positive = 8


class Config(Section):
    """Everything about one run."""

    name: str = "radio-192"
    model: ModelConfig = ModelConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    sync: SyncConfig = SyncConfig()
    loss: LossConfig = LossConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    sync_train: SyncTrainConfig = SyncTrainConfig()
    sync_augment: SyncAugmentConfig = SyncAugmentConfig()


def parse(values: Mapping[str, Any], source: str) -> Config:
    """Check a mapping and make a Config of it.

    Raises:
        UsageError: naming the key, what came and what is allowed.
    """
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(p) for p in e['loc']) or 'configuration'}: "
            + (_known(e["loc"]) if e["type"] == "extra_forbidden" else f"{e['msg']} (got {e['input']!r:.80})")
            for e in error.errors()
        ]
        raise UsageError(f"configuration {source} cannot be used:\n" + "\n".join(lines)) from error


def _known(place: tuple[int | str, ...]) -> str:
    """What may stand where an unknown key came."""
    if len(place) == 1:
        return f"there is no such section; there are {', '.join(Config.model_fields)}"
    section = Config.model_fields[str(place[0])].annotation
    names = list(section.model_fields) if isinstance(section, type) and issubclass(section, Section) else []
    close = get_close_matches(str(place[-1]), names, 1)
    return f"there is no such key; {f'do you mean {close[0]}? ' if close else ''}{place[0]} has {', '.join(names)}"


def differences(ours: ModelConfig, theirs: ModelConfig) -> list[str]:
    """'size: 96 here, 192 there' for every field in which two models differ."""
    a, b = ours.model_dump(), theirs.model_dump()
    return [f"{key}: {a[key]} here, {b[key]} there" for key in a if a[key] != b[key]]
