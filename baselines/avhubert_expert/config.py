"""Configuration of the AV-HuBERT-expert generator: model, lip expert, losses, training. Named ones are in presets.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from lipsync_eval.baselines.kit.configuration import sections as kit
from lipsync_eval.baselines.kit.configuration.sections import (
    DataConfig,
    Decay,
    Kind,
    NotNegative,
    Positive,
    Rate,
    RunConfig,
    Section,
    Weight,
)
from lipsync_eval.baselines.kit.sync.settings import NO_AUGMENTATION, SyncAugmentConfig, SyncTrainConfig

SyncKind = Literal["lip_expert", "visual-visual", "multimodal", "unsupervised"]
"""Rows of table 4; lip_expert is its baseline."""
SMALLEST = 3
"""px of the last map before the vector."""


class ModelConfig(Section):
    """The generator."""

    size: Annotated[int, Field(ge=6)] = 96
    """Height and width in px: 3 times a power of two."""
    width: Annotated[int, Field(ge=2)] = 512
    """Channels at 3 px and of the vectors; halved with every doubling of the map."""
    skip: Literal["add", "concat"] = "add"
    """How maps of both encoders enter the decoder: added, or joined to its own (Wav2Lip's way)."""
    identity: Literal["one", "five"] = "one"
    """Identity frames of a training window: one for all its frames, or one for each."""

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        times = self.size // SMALLEST
        if self.size % SMALLEST or times & (times - 1):
            raise ValueError(f"size {self.size} is not 3 times a power of two; give 24, 48, 96 or 192")
        if self.width % (times // 2):
            raise ValueError(f"width {self.width} cannot be halved down to {self.size} px; give a multiple of {times}")
        return self

    @property
    def sides(self) -> tuple[int, ...]:
        """px of the encoders' maps, from the first: 96, 48, 24, 12, 6, 3."""
        return tuple(SMALLEST << n for n in range((self.size // SMALLEST).bit_length() - 1, -1, -1))

    def channels(self, side: int) -> int:
        """Width of the maps at `side` px."""
        return self.width * SMALLEST // side


class ExpertConfig(Section):
    """Wav2Lip's lip expert: its audio tower feeds the generator, frozen; both towers are the baseline's loss."""

    narrow: Literal[1, 2, 4, 8, 16] = 1
    """Divides the widths of both towers; 1 is the public network."""
    weights: Path | None = None
    """A run or checkpoint folder of `avhubert-expert train-expert`, or the public file lipsync_expert.pth."""

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return 512 // self.narrow


class DiscriminatorConfig(Section):
    """Seven strided convolutions with spectral norm."""

    width: Positive = 64
    """Channels of the first; doubled up to 8 times that."""
    region: Literal["whole", "lower"] = "whole"
    """What it sees of a frame."""


class LossConfig(Section):
    """Weights of eq. 3."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"validation_entries"})

    pixel: Weight = 10.0
    """lambda 1, of the mean absolute difference of values in [0, 1]."""
    perceptual: Weight = 1.0
    """lambda 2; the term is off without `vgg_weights`."""
    vgg_weights: Path | None = None
    """A torchvision VGG19 state dict (VGG16's fits too)."""
    vgg_layers: tuple[float, ...] = (0.03125, 0.0625, 0.125, 0.25, 1.0)
    """Weights of relu1_2, 2_2, 3_2, 4_2, 5_2."""
    adversarial: Weight = 1.0
    sync: Weight = 0.5
    """lambda 3."""
    sync_kind: SyncKind = "unsupervised"
    """Whose features are compared (table 4)."""
    sync_from: NotNegative = 0
    """First step with the sync loss."""
    sync_clip: Weight = 1.0
    """Largest norm of the weighted sync loss's gradient at the frames of a batch, in norms of the weighted pixel loss's; 0:
    not clipped."""
    avhubert_weights: Path | None = None
    """An official AV-HuBERT Base checkpoint (non-commercial research licence)."""
    context_max: Annotated[int, Field(ge=5)] = 250
    """Most frames of an entry that AV-HuBERT reads; longer ones: a stretch around the generated frames."""
    validation_entries: NotNegative = 4
    """Held-out entries that are generated as a whole for AVS_u, AVS_m and AVS_v at every validation."""


class TrainConfig(kit.TrainConfig):
    """How the generator is trained."""

    steps: Positive = 400_000
    batch: Positive = 16
    """Windows of 5 frames per step, over all processes and accumulation."""
    ema: Decay = 0.0
    """0: no running average, the weights themselves are validated and used."""
    validate_every: Positive = 5_000
    validation_windows: Positive = 32
    save_every: Positive = 5_000
    lr: Rate = 1e-4
    lr_discriminator: Rate = 1e-4
    betas: tuple[float, float] = (0.5, 0.999)
    betas_discriminator: tuple[float, float] = (0.5, 0.999)


class ExpertTrainConfig(SyncTrainConfig):
    """How the lip expert is trained: Wav2Lip's way. No second task, no augmentation, Adam."""

    ema: Decay = 0.0
    weight_decay: Weight = 0.0
    shape: Weight = 0.0
    lr: Rate = 1e-4


class AVHubertExpertConfig(RunConfig):
    """Everything about one run."""

    name: str = "avhubert-expert-96"
    model: ModelConfig = ModelConfig()
    expert: ExpertConfig = ExpertConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    loss: LossConfig = LossConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    expert_train: ExpertTrainConfig = ExpertTrainConfig()
    expert_augment: SyncAugmentConfig = SyncAugmentConfig.model_validate(NO_AUGMENTATION)

    @model_validator(mode="after")
    def _check(self) -> AVHubertExpertConfig:
        kit.refuse_scaled(self.loss.sync and self.loss.sync_clip, self.train.precision)
        return self


GENERATOR = Kind("avhubert-expert", AVHubertExpertConfig, "avhubert-expert train")
"""Checkpoints of the generator, its frozen audio tower inside."""
LIP_EXPERT = Kind("lip-expert", AVHubertExpertConfig, "avhubert-expert train-expert")
"""Checkpoints of the lip expert."""
