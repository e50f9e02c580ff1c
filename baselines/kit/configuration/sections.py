"""What configurations are made of. Everything that shapes a network or a run is a setting and travels in every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["fp32", "bf16", "fp16"]
LipReading = Literal["unsupervised", "visual-visual", "multimodal"]
"""Which features of a lip reader a loss compares (lipsync_eval.features.avhubert.loss.Variant)."""
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A frozen group of settings; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    HARMLESS: ClassVar[frozenset[str]] = frozenset()
    """Settings that move no loss: a resumed run may change them."""
    RATES: ClassVar[frozenset[str]] = frozenset()
    """Learning rates: a resumed run may change them too, which it says."""


class DataConfig(Section):
    """What is trained on."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"folder", "workers", "verify"})

    folder: Path | None = None
    """A folder made by `prepare`."""
    holdout: str = "clips:0.1"
    """Kept from training: clips:SHARE, tail:SHARE (end of every clip), ids:A,B... or split (the layout's own val)."""
    min_frames: Annotated[int, Field(ge=5)] = 5
    verify: Literal["sha256", "size"] = "sha256"
    """How shards are checked at the start."""
    workers: NotNegative = 0


class DiscriminatorConfig(Section):
    """StyleGAN2's image discriminator (network/discriminator.py)."""

    multiplier: Positive = 2
    """Channel multiplier of the sizes above 32 px (upstream's default)."""
    channel_max: Positive = 512


class PaceConfig(Section):
    """How long a training runs, and how often it reports, validates and saves."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        {"steps", "log_every", "validate_every", "validation_windows", "save_every", "keep"}
    )

    steps: Positive
    batch: Positive
    """Windows per step, over all processes and accumulation."""
    seed: int = 1
    precision: Precision = "fp32"
    ema: Decay = 0.999
    """Running average of the weights, which is what is validated and used."""
    log_every: Positive = 50
    validate_every: Positive
    validation_windows: Positive
    """Held-out windows, spread evenly."""
    save_every: Positive
    keep: Positive = 3
    """Newest checkpoints that are kept; the first, the best and the last are always kept."""


class TrainConfig(PaceConfig):
    """How a generator is trained against its image discriminator."""

    HARMLESS: ClassVar[frozenset[str]] = PaceConfig.HARMLESS | {"validate_landmarks", "grid_rows"}
    RATES: ClassVar[frozenset[str]] = frozenset({"lr", "lr_discriminator"})

    accumulate: Positive = 1
    """Backward passes per step; batch is divided by it."""
    lr: Rate
    lr_discriminator: Rate
    betas: tuple[float, float]
    """Adam of the generator."""
    betas_discriminator: tuple[float, float]
    adversarial_from: NotNegative = 0
    """First step with the adversarial term."""
    validate_landmarks: bool = False
    """Also LMD on the validation frames (finds landmarks in generated frames)."""
    grid_rows: Positive = 8


class RunConfig(Section):
    """Everything about one run: sections and a name. A generator's own class adds its sections."""

    name: str
    data: DataConfig = DataConfig()


C = TypeVar("C", bound=RunConfig)


def changes(old: RunConfig, new: RunConfig) -> list[tuple[str, str, str]]:
    """(section, key, 'section.key: A before, B now') for every setting in which two configurations differ."""
    a, b = old.model_dump(exclude={"name"}), new.model_dump(exclude={"name"})
    return [
        (section, key, f"{section}.{key}: {a[section][key]} before, {b[section][key]} now")
        for section in a
        for key in a[section]
        if a[section][key] != b[section][key]
    ]


def section_of(config: RunConfig, name: str) -> type[Section]:
    """The class of a section."""
    return type(getattr(config, name))


def differences(ours: Section, theirs: Section) -> list[str]:
    """'size: 96 here, 192 there' for every field in which two sections differ."""
    a, b = ours.model_dump(), theirs.model_dump()
    return [f"{key}: {a[key]} here, {b[key]} there" for key in a if a[key] != b[key]]


def refuse_scaled(clip: float, *precisions: str) -> None:
    """A `loss.sync_clip` needs gradients as they are.

    Raises:
        ValueError: fp16, whose loss is scaled, with a clip.
    """
    if clip and "fp16" in precisions:
        raise ValueError("fp16 scales gradients, so loss.sync_clip would clip others; use bf16, or set it to 0")


@dataclass(frozen=True)
class Kind(Generic[C]):
    """One kind of checkpoint."""

    name: str
    """Written into every checkpoint; no two trainers share one."""
    config: type[C]
    maker: str
    """The command that makes it, without `lipsync-eval`."""
    revision: int = 1
    """Raised when the network changes, so that tensors of older checkpoints no longer mean the same; older ones are refused."""
