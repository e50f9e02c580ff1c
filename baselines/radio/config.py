"""RADIO's configuration: model, discriminators, losses, training. Named ones are in presets.py."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from lipsync_eval.baselines.kit.configuration import sections as kit
from lipsync_eval.baselines.kit.configuration.sections import (
    DataConfig,
    DiscriminatorConfig,
    Kind,
    LipReading,
    Positive,
    Rate,
    RunConfig,
    Section,
    Weight,
)
from lipsync_eval.baselines.kit.sync.settings import SyncAugmentConfig, SyncTrainConfig

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
    style_map: int
    """i of the f_s^i that belongs to its input f_d^(L-i): L + 1 minus the layer's number."""
    content_map: int
    """i of the f_c^i that is added in it, L minus the layer's number; 0 in the last layer: none."""


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
        """px of the maps f^1..f^L: halved L - 2 times, and the last size twice more."""
        halved = [self.size // 2**i for i in range(1, self.layers - 1)]
        return (*halved, halved[-1], halved[-1])

    @property
    def decoder_plan(self) -> tuple[LayerPlan, ...]:
        """One plan per decoder layer. f_d^(L-i), which layer L - i puts out, has the size of the map f^i; f_d^0 is f_c."""
        sizes = (*self.encoder_sizes[::-1], self.size)
        plans = []
        for number in range(1, self.layers + 1):
            size_in, size_out = sizes[number - 1 : number + 1]
            fidelity = FIDELITY[self.variant] if number > self.layers - self.vit_blocks else "none"
            patch = max(1, math.ceil(size_in / 32))
            plans.append(LayerPlan(size_in, size_out, fidelity, patch, self.layers + 1 - number, self.layers - number))
        return tuple(plans)

    @property
    def w_dim(self) -> int:
        """Length of f_W: [f_s, f_a], or f_a alone in variant A."""
        return self.audio_dim if self.variant == "A" else self.style_dim + self.audio_dim

    def channels(self, size: int) -> int:
        """Width of the maps at `size` px, in the encoders and in the decoder."""
        return max(1, min(self.channel_max, self.channel_base // size))


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
    sync_clip: Weight = 0.0
    """Largest norm of the weighted sync loss's gradient at the frames of a batch, in norms of the weighted L1's; 0: as
    printed, not clipped."""
    avhubert: Weight = 0.5
    """Of the AV-HuBERT loss of Yaman et al. 2024 (their value); the term is off without `avhubert_weights`."""
    avhubert_weights: Path | None = None
    """An official AV-HuBERT checkpoint (non-commercial research licence)."""
    avhubert_context: Annotated[int, Field(ge=5)] = 25
    """Most real frames around and including the generated ones that the expert sees; shorter entries are seen whole."""
    avhubert_variant: LipReading = "unsupervised"
    """Which features are compared, as in table 4 of Yaman et al."""
    r1: Weight = 10.0
    """gamma of the R1 penalty (StyleGAN2's default)."""
    r1_every: Positive = 16


class SyncConfig(Section):
    """The sync discriminator (supplement A)."""

    size: Annotated[int, Field(ge=16)] = 144
    """px of the grayscale face."""
    dim: Positive = 512
    width: Positive = 16
    frames: Positive = 5
    box: tuple[float, float, float, float] = (0.1875, 0.375, 0.8125, 1.0)
    """left, top, right, bottom of the tight face in the crop, as shares of its side."""
    probability: Literal["rescale", "clamp"] = "rescale"
    """Cosine -> (0, 1): (1 + cos) / 2, or cos cut to (1e-7, 1 - 1e-7)."""


class TrainConfig(kit.TrainConfig):
    """How the generator is trained."""

    RATES: ClassVar[frozenset[str]] = kit.TrainConfig.RATES | {"lr_plain"}

    steps: Positive = 210_000
    batch: Positive = 16
    """Windows of 5 frames per step, over all processes and accumulation."""
    validate_every: Positive = 5_000
    validation_windows: Positive = 16
    save_every: Positive = 5_000
    lr: Rate = 2e-3
    """Of layers with equalised weights (StyleGAN2's)."""
    lr_plain: Rate = 1e-4
    """Of the audio encoder and the ViT blocks, whose weights are not scaled at run time."""
    lr_discriminator: Rate = 2e-3
    betas: tuple[float, float] = (0.9, 0.99)
    """Adam of the generator, whose loss is mostly a reconstruction."""
    betas_discriminator: tuple[float, float] = (0.0, 0.99)
    """StyleGAN2's."""


class RadioConfig(RunConfig):
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

    @model_validator(mode="after")
    def _check(self) -> RadioConfig:
        kit.refuse_scaled(self.loss.sync and self.loss.sync_clip, self.train.precision)
        return self


GENERATOR = Kind("radio", RadioConfig, "radio train", revision=2)
"""Checkpoints of the generator. Revision 2: encoders in the paper's order (docs/radio-choices.md)."""
SYNC = Kind("sync", RadioConfig, "radio train-sync")
"""Checkpoints of the sync discriminator."""
