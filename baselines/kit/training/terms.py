"""What a generator is trained for: weighted terms, each a function of what was generated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.data.windows import Reader, Sample
from lipsync_eval.baselines.kit.network import vgg
from lipsync_eval.baselines.kit.training import losses


class Made(NamedTuple):
    """What a term sees of one batch."""

    output: Tensor
    """(B * T, 3, size, size) generated, in [-1, 1]."""
    sample: Sample
    """The batch it was made from."""
    logits: Tensor | None = None
    """(B * T,) of the image discriminator on the output, where a term asks for them."""

    @property
    def target(self) -> Tensor:
        """(B * T, 3, size, size) real."""
        return self.sample.target.flatten(0, 1)

    @property
    def windows(self) -> Tensor:
        """(B, T, 3, size, size) generated."""
        return self.output.reshape(self.sample.target.shape[:2] + self.output.shape[1:])


@dataclass(frozen=True)
class Term:
    """One weighted term of an objective."""

    name: str
    weight: float
    loss: Callable[[Made], Tensor]
    """The unweighted value, ()."""
    reader: Reader | None = None
    """Reads what it needs beside the sample; found in `sample.more`."""
    begins: int = 0
    """First step that has it."""
    judged: bool = False
    """Whether it needs the image discriminator's logits."""


@dataclass(frozen=True)
class Objective:
    """The terms of a run, in the order in which they are added up."""

    terms: tuple[Term, ...]
    scores: Mapping[str, Callable[[Made], Tensor]] = field(default_factory=dict)
    """Further validation numbers, each one value per window: (B,)."""
    notes: tuple[str, ...] = ()
    """What is off, and how to switch it on."""
    score_readers: tuple[Reader, ...] = ()
    """What `scores` need beside the sample."""
    whole: Callable[[nn.Module], dict[str, float]] | None = None
    """Validation numbers from the generator itself, e.g. on whole entries."""
    best: tuple[str, int] = ("psnr", 1)
    """Validation number that decides which checkpoint is best, and +1 when more is better, else -1."""

    @property
    def readers(self) -> tuple[Reader, ...]:
        """Of all terms."""
        return tuple(term.reader for term in self.terms if term.reader is not None)

    def active(self, step: int) -> list[Term]:
        """The terms of a step (from 0)."""
        return [term for term in self.terms if step >= term.begins]


def total(terms: Sequence[Term], made: Made) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum and every term's own value."""
    values = {term.name: term.loss(made) for term in terms}
    weighted = [term.weight * value for term, value in zip(terms, values.values(), strict=True)]
    return torch.stack(weighted).sum(), values


def pixel_term(weight: float) -> Term:
    """'l1': mean absolute difference."""
    return Term("l1", weight, lambda made: losses.pixel(made.output, made.target))


def adversarial_term(weight: float, begins: int = 0) -> Term:
    """'adversarial': the non-saturating loss of the generator."""

    def loss(made: Made) -> Tensor:
        """(), of a batch."""
        if made.logits is None:
            raise ValueError("the adversarial term needs the discriminator's logits")
        return losses.adversarial_generator(made.logits)

    return Term("adversarial", weight, loss, begins=begins, judged=True)


def perceptual_term(
    weight: float,
    weights: Path,
    layers: Sequence[float],
    device: torch.device,
    *,
    relu: int = 1,
    squared: bool = False,
) -> Term:
    """'vgg': weighted differences of VGG features.

    Args:
        weight: of the term.
        weights: a torchvision VGG16 or VGG19 state dict.
        layers: a weight for each of the five layers.
        device: of the network.
        relu: which ReLU of each stage is looked at, 1 (relu1_1 .. relu5_1) or 2.
        squared: squared differences instead of absolute ones.

    Raises:
        RefusedCheckpoint: the file is no such state dict.
    """
    net = vgg.load(weights, relu).to(device)

    def loss(made: Made) -> Tensor:
        """(), of a batch."""
        with torch.no_grad():
            wanted = net(made.target)
        return losses.perceptual(net(made.output), wanted, layers, squared)

    return Term("vgg", weight, loss)


def held(made: Made, share: float, pixel: float, parts: int = 1) -> Made:
    """The same frames, at which the gradient of a weighted term is held to `share` norms of the pixel loss's.

    The gradient of a mean absolute difference has one size in all values of all frames, so its norm is known beforehand.
    A frozen network that cannot read the generated frames yet otherwise outweighs the pixels. With `share` or `pixel` 0
    nothing is held.

    Args:
        made: what the term sees.
        share: largest norm of its gradient at the frames of a batch, in norms of the pixel loss's.
        pixel: weight of the pixel loss, of frames in [-1, 1].
        parts: of a batch, by which gradients are divided (train.accumulate).
    """
    if not share or not pixel or not made.output.requires_grad:
        return made
    most = share * pixel * made.output.numel() ** -0.5 / parts
    same = made.output * 1

    def shorten(gradient: Tensor) -> Tensor:
        """The gradient at the frames, at most of the norm `most`."""
        factor: Tensor = most / torch.linalg.vector_norm(gradient.float()).clamp_min(most)
        return gradient * factor.to(gradient.dtype)

    same.register_hook(shorten)  # type: ignore[no-untyped-call]
    return made._replace(output=same)
