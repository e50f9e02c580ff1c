"""PersonaTalk's configuration: geometry, both stages, their losses and training. Named ones are in presets.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from lipsync_eval.baselines.kit.configuration import sections as kit
from lipsync_eval.baselines.kit.configuration.sections import (
    DataConfig,
    Kind,
    NotNegative,
    PaceConfig,
    Positive,
    Rate,
    RunConfig,
    Section,
    Share,
    Weight,
)

ProviderName = Literal["mediapipe", "bfm", "flame", "points68"]


class GeometryConfig(Section):
    """Who turns a video into vertices."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"landmarker", "bfm_model", "bfm_network", "flame_model"})

    provider: ProviderName = "mediapipe"
    smooth: bool = True
    """The smoothing that stands for eqs 1 and 2 where vertices are free (mediapipe, points68); bfm: eqs 1 and 2."""
    landmarker: Path | None = None
    """face_landmarker.task; not set: where `lipsync-eval weights` keeps it."""
    bfm_model: Path | None = None
    """BFM_model_front.mat of Deep3DFaceRecon_pytorch."""
    bfm_network: Path | None = None
    """The ResNet-50 checkpoint of Deep3DFaceRecon_pytorch."""
    flame_model: Path | None = None
    """FLAME as .npz of plain arrays (docs/personatalk-generator.md)."""


class Stage1Config(Section):
    """Speech and style -> vertices of the lower face."""

    audio: Literal["hubert", "mel"] = "hubert"
    width: Positive = 512
    """D."""
    heads: Positive = 8
    layers: Positive = 4
    """Self-attention layers, "several" in the paper."""
    longest: Positive = 250
    """Frames that attend to each other; longer clips are cut into windows."""
    overlap: NotNegative = 50
    """Frames that two windows share, cross-faded."""
    band: NotNegative = 0
    """Frames to either side that the style injection hears; 0: all."""
    style: bool = True
    """False: S = 0, the first ablation of table 4."""
    hubert_weights: Path | None = None
    """HuBERT Base (fairseq, torchaudio or transformers); not set: it starts untrained."""

    @model_validator(mode="after")
    def _check(self) -> Stage1Config:
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width {self.width} must be even and a multiple of heads {self.heads}")
        if self.overlap * 2 > self.longest:
            raise ValueError(f"overlap {self.overlap} is more than half of longest {self.longest}")
        return self


class Stage2Config(Section):
    """Geometry and references -> crops."""

    size: Annotated[int, Field(ge=16, multiple_of=4)] = 256
    width: Annotated[int, Field(ge=4, multiple_of=2)] = 256
    """C."""
    attention: Literal["dual", "single"] = "dual"
    """single: one layer that sees all references, the second ablation of table 4."""
    references: Literal["selected", "random"] = "selected"
    """random: both kinds are drawn from the whole video, the third ablation of table 4."""
    face_references: Positive = 5
    """N_f, in training and inference."""
    lip_references: Positive = 5
    """N_l in training."""
    lip_references_used: Positive = 25
    """N_l at inference."""
    window: Positive = 12
    """Face references of training lie at most so many frames away."""


class GeometryLossConfig(Section):
    """Weights of stage 1's loss; the paper prints none."""

    lips: Weight = 5.0
    """Of the lips' vertices within the position term."""
    velocity: Weight = 5.0
    close: Weight = 0.5
    """Of the lips' distance on frames where the real mouth is nearly closed (lowest tenth)."""


class RenderLossConfig(Section):
    """Weights of stage 2's loss; the paper prints none."""

    l1: Weight = 1.0
    lips: Weight = 2.0
    """L1 inside the hull of the lips, beside that of the whole crop."""
    vgg: Weight = 1.0
    """Off without `vgg_weights`."""
    vgg_weights: Path | None = None
    """A torchvision VGG19 (or VGG16) state dict."""
    vgg_layers: tuple[float, ...] = (0.03125, 0.0625, 0.125, 0.25, 1.0)
    adversarial: Weight = 0.1
    """Of the mean of both discriminators' losses: 0.05 each. 0: there is none."""
    mouth: tuple[float, float, float, float] = (0.3125, 0.5625, 0.6875, 0.9375)
    """left, top, right, bottom of what the second discriminator sees, shares of the crop's side (96 px of 256)."""
    r1: Weight = 10.0
    r1_every: Positive = 16
    geometry_checkpoint: Path | None = None
    """A run of train-geometry whose vertices are mixed in, so that the renderer meets predicted ones."""
    mixed: Share = 0.3
    """Share of samples that get them."""
    mixed_from: NotNegative = 270_000
    """First step with them."""


class DiscriminatorConfig(kit.DiscriminatorConfig):
    """Of both image discriminators."""

    multiplier: Positive = 1


class GeometryTrainConfig(PaceConfig):
    """How stage 1 is trained."""

    RATES: ClassVar[frozenset[str]] = frozenset({"lr", "lr_hubert"})

    steps: Positive = 100_000
    batch: Positive = 8
    window: Annotated[int, Field(ge=4)] = 100
    """Frames of a sample."""
    reference: Annotated[int, Field(ge=4)] = 100
    """Frames that the style is read from: another stretch of the same entry, overlapping where it is short."""
    lr: Rate = 1e-4
    lr_hubert: Rate = 1e-5
    """Of HuBERT's transformer; its convolutions are frozen."""
    validate_every: Positive = 2_000
    validation_windows: Positive = 8
    save_every: Positive = 2_000


class RenderTrainConfig(kit.TrainConfig):
    """How stage 2 is trained."""

    steps: Positive = 300_000
    batch: Positive = 4
    """Target frames."""
    validate_every: Positive = 5_000
    validation_windows: Positive = 16
    save_every: Positive = 5_000
    lr: Rate = 2e-4
    lr_discriminator: Rate = 2e-4
    betas: tuple[float, float] = (0.5, 0.99)
    betas_discriminator: tuple[float, float] = (0.5, 0.99)
    precision: kit.Precision = "bf16"


class PersonaTalkConfig(RunConfig):
    """Everything about one run."""

    name: str = "personatalk-256"
    geometry: GeometryConfig = GeometryConfig()
    stage1: Stage1Config = Stage1Config()
    stage2: Stage2Config = Stage2Config()
    geometry_loss: GeometryLossConfig = GeometryLossConfig()
    render_loss: RenderLossConfig = RenderLossConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    data: DataConfig = DataConfig()
    geometry_train: GeometryTrainConfig = GeometryTrainConfig()
    render_train: RenderTrainConfig = RenderTrainConfig()


GEOMETRY = Kind("personatalk-geometry", PersonaTalkConfig, "personatalk train-geometry", 2)
"""Checkpoints of stage 1."""
RENDERER = Kind("personatalk-renderer", PersonaTalkConfig, "personatalk train-renderer", 3)
"""Checkpoints of stage 2."""
