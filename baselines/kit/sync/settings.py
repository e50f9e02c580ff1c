"""Configuration of a sync discriminator's training and of the augmentation of its windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field, model_validator

from lipsync_eval.baselines.kit.configuration.sections import (
    NotNegative,
    PaceConfig,
    Positive,
    Rate,
    Section,
    Share,
    Weight,
)


class SyncTrainConfig(PaceConfig):
    """How a sync discriminator is trained."""

    steps: Positive = 100_000
    batch: Positive = 64
    """Windows per step, over all processes."""
    validate_every: Positive = 2_000
    validation_windows: Positive = 512
    save_every: Positive = 2_000
    group: Annotated[int, Field(ge=2)] = 8
    """Windows of one entry in a batch: each is in sync with its own audio and off-sync with that of the others."""
    lr: Rate = 1e-4
    weight_decay: Weight = 0.01
    """AdamW's."""
    min_shift: Positive = 5
    """Frames between a window and the audio of an off-sync example, at least."""
    shape: Weight = 1.0
    """Of the mean squared error of the mouth's shape (mouth_shape.py), read off the visual features; 0: off."""
    sync_from: NotNegative = 0
    """First step with the sync loss; before it, the visual encoder alone learns, from the mouth's shape."""
    visual_gradient: Share = 1.0
    """Share of the sync loss's gradient that reaches the visual features; 0: they learn from the shape alone."""

    @model_validator(mode="after")
    def _check(self) -> SyncTrainConfig:
        if not self.shape and not self.visual_gradient:
            raise ValueError("with shape = 0 and visual_gradient = 0 the visual encoder would learn nothing; raise one")
        if not self.shape and self.sync_from:
            raise ValueError(f"with shape = 0 nothing is learnt before step sync_from = {self.sync_from}; set it to 0")
        if self.sync_from >= self.steps:
            raise ValueError(
                f"the sync loss would begin at step sync_from = {self.sync_from} of {self.steps}; lower sync_from"
            )
        return self


class SyncAugmentConfig(Section):
    """Largest random changes of a sync discriminator's training windows (augmentation.py); all 0: none."""

    flip: Share = 0.5
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


NO_AUGMENTATION: Final[Mapping[str, float]] = dict.fromkeys(SyncAugmentConfig.model_fields, 0)
"""The fields of a SyncAugmentConfig that changes nothing."""
