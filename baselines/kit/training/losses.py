"""The losses, eqs. 2 to 6 of RADIO, as plain functions of tensors. Every mean is over all elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lipsync_eval.errors import InputError

CLAMP = 1e-7


def pixel(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference, the first term of eq. 2 (a mean, so that it does not grow with the size)."""
    return (output.float() - target.float()).abs().mean()


def perceptual(
    output: Sequence[Tensor], target: Sequence[Tensor], weights: Sequence[float], squared: bool = False
) -> Tensor:
    """Second term of eq. 2: sum over VGG layers of weight * mean absolute difference of their features.

    `squared`: the mean squared difference instead, as in Johnson et al. (ECCV 2016).

    Raises:
        InputError: as many weights as layers are expected.
    """
    if not len(output) == len(target) == len(weights):
        raise InputError(
            f"{len(weights)} layer weights for {len(output)} and {len(target)} feature maps; give one per layer"
        )
    apart = F.mse_loss if squared else F.l1_loss
    terms = [w * apart(a.float(), b.float()) for a, b, w in zip(output, target, weights, strict=True)]
    return torch.stack(terms).sum()


def adversarial_generator(fake: Tensor) -> Tensor:
    """Non-saturating logistic loss of the generator: mean softplus(-D(I_out))."""
    return F.softplus(-fake.float()).mean()


def adversarial_discriminator(fake: Tensor, real: Tensor) -> Tensor:
    """Eq. 3, minimised by the discriminator: mean softplus(D(I_out)) + mean softplus(-D(I_t))."""
    return F.softplus(fake.float()).mean() + F.softplus(-real.float()).mean()


def r1(logits: Tensor, images: Tensor) -> Tensor:
    """R1 penalty without its weight: mean over frames of the squared norm of dD/dI at real frames.

    Source: Mescheder et al. (ICML 2018). Its weight is gamma / 2, times r1_every when it is applied lazily (StyleGAN2).

    Args:
        logits: (B,) D(images).
        images: (B, 3, H, W), requires_grad.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().square().sum((1, 2, 3)).mean()


def sync_probability(cosine: Tensor, how: Literal["rescale", "clamp"]) -> Tensor:
    """Cosine in [-1, 1] -> probability inside (0, 1), which the binary cross entropy of eq. 5 needs.

    'rescale': (1 + cos) / 2, so that eq. 5 has a gradient everywhere. 'clamp': the cosine itself, cut to (0, 1), as
    eqs. 4 and 5 read; a negative cosine then has no gradient.
    """
    value = (1 + cosine) / 2 if how == "rescale" else cosine
    return value.clamp(CLAMP, 1 - CLAMP)


def sync(probability: Tensor, in_sync: Tensor) -> Tensor:
    """Eq. 5: binary cross entropy, mean over the batch.

    Args:
        probability: (B,) inside (0, 1).
        in_sync: (B,) 1 where frame and audio belong together, 0 where they do not.
    """
    p, y = probability.float(), in_sync.float()
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()
