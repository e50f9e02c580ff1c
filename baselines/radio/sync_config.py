"""Configuration of the sync discriminator: network, training, augmentation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lipsync_eval.baselines.radio.section import NotNegative, Positive, Precision, Rate, Section, Weight


class SyncConfig(Section):
    """The sync discriminator (supplement A)."""

    size: Annotated[int, Field(ge=16)] = 144
    """px of the grayscale face crop."""
    dim: Positive = 512
    width: Positive = 16
    frames: Positive = 5
    box: tuple[float, float, float, float] = (0.1875, 0.375, 0.8125, 1.0)
    """left, top, right, bottom of the tight face in the aligned picture, as shares of its side."""
    probability: Literal["rescale", "clamp"] = "rescale"
    """Cosine -> (0, 1): (1 + cos) / 2, or cos cut to (1e-7, 1 - 1e-7)."""


class SyncTrainConfig(Section):
    """How the sync discriminator is trained beforehand."""

    steps: Positive = 100_000
    batch: Positive = 64
    """Windows per step, over all processes."""
    group: Annotated[int, Field(ge=2)] = 8
    """Windows of one entry in a batch: each is in sync with its own sound and off-sync with that of the others."""
    lr: Rate = 1e-4
    weight_decay: Weight = 0.01
    """AdamW's."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Running average of the weights, which is what is validated and used."""
    min_shift: Positive = 5
    """Pictures between a window and the sound of an off-sync example, at least."""
    shape: Weight = 1.0
    """Of the mean squared error of the mouth's shape (mouth.py), read off the visual encoder's features; 0: off."""
    sync_from: NotNegative = 0
    """First step with eq. 5; before it, the visual encoder alone learns, from the mouth's shape."""
    visual_gradient: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of eq. 5's gradient that reaches the visual encoder's convolutions; 0: they learn from the shape alone."""
    precision: Precision = "fp32"
    seed: int = 1
    log_every: Positive = 50
    validate_every: Positive = 2_000
    validation_windows: Positive = 512
    save_every: Positive = 2_000
    keep: Positive = 3

    @model_validator(mode="after")
    def _check(self) -> SyncTrainConfig:
        if not self.shape and not self.visual_gradient:
            raise ValueError("with shape = 0 and visual_gradient = 0 the visual encoder would learn nothing; raise one")
        if not self.shape and self.sync_from:
            raise ValueError(f"with shape = 0 nothing is learnt before step sync_from = {self.sync_from}; set it to 0")
        if self.sync_from >= self.steps:
            raise ValueError(f"eq. 5 would begin at step sync_from = {self.sync_from} of {self.steps}; lower sync_from")
        return self


class SyncAugmentConfig(Section):
    """Largest random changes of the sync discriminator's training windows (augment.py); all 0: none."""

    flip: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Probability of mirroring."""
    rotate: Weight = 10.0
    """Degrees either way."""
    scale: Weight = 0.1
    """Natural logarithm of the factor, either way."""
    shift: Weight = 0.04
    """Share of the tight face's width, either way, in both directions."""
    gamma: Weight = 0.3
    """Natural logarithm of the exponent, either way; so is contrast."""
    contrast: Weight = 0.3
    brightness: Weight = 0.2
    """Share of the full range, either way."""
    gain: Weight = 10.0
    """dB either way."""
    tilt: Weight = 8.0
    """dB either way at the lowest and highest band, opposite in sign."""
    warp: Weight = 0.1
    """Natural logarithm of the factor by which the bands are stretched, either way."""
    noise: Weight = 2.0
    """dB, standard deviation."""
    mask_bands: NotNegative = 20
    mask_frames: NotNegative = 5
