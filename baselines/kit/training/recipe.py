"""What a generator's package tells the trainer: its networks, its objective, and how to call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.configuration.sections import Kind, TrainConfig
from lipsync_eval.baselines.kit.data.windows import AnyReader, Sample
from lipsync_eval.baselines.kit.training.terms import Objective


@dataclass(frozen=True)
class Adversary:
    """The image discriminator and how it is regularised."""

    network: nn.Module
    """(N, 3, size, size) in [-1, 1] -> (N,) logits, higher for real crops. It may cut or convert what it is given; several
    discriminators are one that gives (M * N,) logits, whose losses are averaged."""
    r1: float = 0.0
    """gamma of the R1 penalty; 0: none."""
    r1_every: int = 16
    """Steps between penalties, each of which then weighs as much as all."""


class Recipe(Protocol):
    """How one generator is trained. Everything outside the networks is in [-1, 1]."""

    @property
    def kind(self) -> Kind[Any]:
        """Of its checkpoints."""
        ...

    @property
    def train(self) -> TrainConfig:
        """Steps, batch, rates."""
        ...

    @property
    def workers(self) -> int:
        """Processes that read data."""
        ...

    @property
    def readers(self) -> Sequence[AnyReader]:
        """What the generator itself needs beside the sample, in training and in validation."""
        ...

    def generator(self) -> nn.Module:
        """A new generator; called first, after the seed is set."""
        ...

    def adversary(self) -> Adversary | None:
        """A new image discriminator, called after `generator`; None: there is no adversarial term."""
        ...

    def objective(self, device: torch.device) -> Objective:
        """The terms, with their frozen networks on the device."""
        ...

    def groups(self, generator: nn.Module) -> list[dict[str, Any]]:
        """The optimiser's parameter groups: {"params", "lr"}."""
        ...

    def generate(self, generator: nn.Module, sample: Sample) -> Tensor:
        """One call of the network: a batch of samples -> (B * T, 3, size, size)."""
        ...

    def shown(self, target: Tensor) -> Tensor:
        """(..., 3, size, size) -> what the generator sees of a target, for the sample grid."""
        ...
