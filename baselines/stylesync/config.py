"""StyleSync's configuration: model, discriminators, losses, training, personalisation. Named ones are in presets.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from lipsync_eval.baselines.kit.configuration import sections as kit
from lipsync_eval.baselines.kit.configuration.sections import (
    DataConfig,
    Decay,
    DiscriminatorConfig,
    Kind,
    NotNegative,
    Positive,
    Rate,
    RunConfig,
    Section,
    Weight,
)
from lipsync_eval.baselines.kit.network.sizes import channels_at
from lipsync_eval.baselines.kit.sync.settings import NO_AUGMENTATION, SyncAugmentConfig, SyncTrainConfig

Network = Literal["stylesync", "wav2lip-h"]
Align = Literal["eyes", "authors"]
SMALLEST = 4
"""px of the generator's constant."""


class ModelConfig(Section):
    """The generator. Defaults: the paper's, 256x256, 13 styled convolutions, 14 style inputs."""

    network: Network = "stylesync"
    """wav2lip-h: the paper's baseline; of the other settings it reads size, narrow, audio_narrow and align alone."""
    size: Annotated[int, Field(ge=16)] = 256
    """px, a power of two."""
    multiplier: Positive = 2
    """StyleGAN2's channel multiplier above 32 px."""
    narrow: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the widths of face encoder and generator."""
    audio_narrow: Literal[1, 2, 4, 8, 16] = 1
    """The audio encoder's widths are divided by it."""
    style_dim: Positive = 512
    """Length of f_a and of f_f."""
    face_code: bool = True
    """Whether f_f is part of w; the paper finds little difference."""
    fuse: NotNegative = 0
    """Length of w after a layer that fuses f_a and f_f; 0: w is their concatenation."""
    mapping: NotNegative = 0
    """Layers of a mapping network between that and w."""
    inject: Literal["concat", "add"] = "concat"
    """How encoder maps enter a layer: as further channels, or added."""
    mask_levels: NotNegative = 3
    """Highest resolutions whose maps are masked (eq. 1 says 3 at 256 px: 64, 128, 256); 0: none."""
    range: Literal["unit", "signed"] = "unit"
    """Values inside the model: [0, 1] with a sigmoid at the end, or [-1, 1] without."""
    align: Align = "eyes"
    """Of the crops: by the eyes, as the paper says, or as the authors' inference code does."""

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        if self.size & (self.size - 1):
            raise ValueError(f"size {self.size} is no power of two; give 64, 128, 256 or 512")
        if self.mask_levels > len(self.sizes):
            raise ValueError(f"mask_levels {self.mask_levels} is more than the {len(self.sizes)} resolutions")
        return self

    @property
    def sizes(self) -> tuple[int, ...]:
        """Resolutions of the generator from 4 px up."""
        return tuple(1 << k for k in range(2, self.size.bit_length()))

    @property
    def n_styles(self) -> int:
        """L: styled convolutions and the last ToRGB, 2 log2(size) - 2 (14 at 256 px)."""
        return 2 * len(self.sizes)

    @property
    def masked(self) -> frozenset[int]:
        """Resolutions (px) whose maps are masked."""
        return frozenset(self.sizes[len(self.sizes) - self.mask_levels :])

    @property
    def equation_1(self) -> int:
        """mask_levels as eq. 1 has it: resolutions all of whose convolutions l are beyond floor(L / 2)."""
        first = [1, *range(2, self.n_styles, 2)]  # number of the first convolution of each resolution
        return sum(l > self.n_styles // 2 for l in first)  # noqa: E741

    @property
    def w_dim(self) -> int:
        """Length of w."""
        return self.fuse or self.style_dim * (2 if self.face_code else 1)

    def channels(self, size: int) -> int:
        """Width of the maps at `size` px, in encoder and generator."""
        return max(1, int(channels_at(size, self.multiplier) * self.narrow))


class LossConfig(Section):
    """Eq. 5: L_g = adversarial * L_adv + rec * L_rec + sync * L_sync."""

    rec: Weight = 10.0
    vgg: Weight = 1.0
    """Of the sum over VGG layers inside L_rec; the term is off without `vgg_weights`."""
    vgg_weights: Path | None = None
    """A torchvision VGG19 (or VGG16) state dict."""
    vgg_layers: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)
    """Weights of relu1_1, 2_1, 3_1, 4_1, 5_1."""
    adversarial: Weight = 1.0
    d_weights: Path | None = None
    """A file in rosinality's format whose D begins the training (the paper: StyleGAN2's, trained on FFHQ)."""
    sync: Weight = 1.0
    sync_checkpoint: Path | None = None
    """Folder made by train-sync; the term is off without it."""
    sync_clip: Weight = 0.0
    """Largest norm of the weighted sync loss's gradient at the frames of a batch, in norms of the weighted L1's; 0: as
    printed, not clipped."""
    r1: Weight = 10.0
    r1_every: Positive = 16


class SyncConfig(Section):
    """The sync network S."""

    narrow: Literal[1, 2, 4, 8, 16] = 1
    """Wav2Lip's widths are divided by it."""
    frames: Positive = 5
    loss: Literal["infonce", "margin"] = "infonce"
    """Contrastive over the batch, or Chung and Zisserman's with a margin."""
    temperature: Rate = 0.07
    margin: Rate = 1.0
    """Distance of unit vectors beyond which an off-sync pair costs nothing."""


class TrainConfig(kit.TrainConfig):
    """How the generator is trained."""

    RATES: ClassVar[frozenset[str]] = kit.TrainConfig.RATES | {"lr_plain", "lr_injection"}

    steps: Positive = 300_000
    batch: Positive = 8
    """Windows of 5 frames per step."""
    validate_every: Positive = 5_000
    validation_windows: Positive = 16
    save_every: Positive = 5_000
    lr: Rate = 2e-3
    """Of layers with equalised weights (StyleGAN2's)."""
    lr_plain: Rate = 1e-4
    """Of the audio tower (and all of Wav2Lip-H), whose weights are not scaled at run time."""
    lr_injection: Rate = 2e-3
    """Of the numbers that scale the encoder's maps. They start at 0, so at a low rate a short run hardly sees the maps."""
    lr_discriminator: Rate = 2e-3
    betas: tuple[float, float] = (0.0, 0.99)
    betas_discriminator: tuple[float, float] = (0.0, 0.99)


class PersonalConfig(kit.TrainConfig):
    """Personalised optimisation (section 3.3 of the paper)."""

    epochs: Positive = 5
    """Over the person's frames: every frame once as target."""
    steps: NotNegative = 0
    """0: as many as the epochs need. Else so many, whatever the epochs."""
    batch: Positive = 8
    """Windows per step, half of the person, half of the general data."""
    holdout: str = "none"
    """Of the person's video: none (validation then is on training frames), or tail:SHARE."""
    penalty: Weight = 1.0
    """lambda_p of eq. 6."""
    reduce: Literal["sum", "mean"] = "sum"
    """Of the squared elements of dW and dP in eq. 6."""
    dw: bool = True
    """Whether dW is learnt; off: the ablation 'P w/o dW'."""
    dp: bool = True
    """Whether dP is learnt."""
    dw_width: Positive = 256
    dw_shared: bool = True
    """One trunk of two layers and L heads, or L networks of three layers."""
    ema: Decay = 0.0
    validate_every: Positive = 200
    validation_windows: Positive = 16
    save_every: Positive = 200
    lr: Rate = 1e-4
    lr_discriminator: Rate = 1e-4
    betas: tuple[float, float] = (0.0, 0.99)
    betas_discriminator: tuple[float, float] = (0.0, 0.99)

    @model_validator(mode="after")
    def _check(self) -> PersonalConfig:
        if not (self.dw or self.dp):
            raise ValueError("with dw = false and dp = false nothing would be learnt; switch one on")
        if self.batch % 2:
            raise ValueError(f"batch {self.batch} cannot be halved between the person's and general data; give 2, 4, 8")
        return self


class StyleSyncConfig(RunConfig):
    """Everything about one run."""

    name: str = "stylesync-256"
    model: ModelConfig = ModelConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    sync: SyncConfig = SyncConfig()
    loss: LossConfig = LossConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    sync_train: SyncTrainConfig = SyncTrainConfig(shape=0.0)
    sync_augment: SyncAugmentConfig = SyncAugmentConfig.model_validate(NO_AUGMENTATION)
    personal: PersonalConfig = PersonalConfig()

    @model_validator(mode="after")
    def _check(self) -> StyleSyncConfig:
        kit.refuse_scaled(self.loss.sync and self.loss.sync_clip, self.train.precision, self.personal.precision)
        return self


GENERATOR = Kind("stylesync", StyleSyncConfig, "stylesync train")
"""Checkpoints of G (and of Wav2Lip-H)."""
SYNC = Kind("stylesync-sync", StyleSyncConfig, "stylesync train-sync")
"""Checkpoints of S."""
PERSONAL = Kind("stylesync-personal", StyleSyncConfig, "stylesync personalise")
"""Checkpoints of dW and dP."""
