"""The optimisation-based fit of section 3.1: eqs 1 and 2 as functions, and a clip's coefficients that minimise them.

Norms are Euclidean, not squared, as printed. The Laplacian is the second difference in time; its norm is taken per frame
and summed over t, as the first sum of eq. 1 is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

LAMBDA = 0.2
"""Of eq. 1."""
INNER = 20.0
"""Weight of inner lips and nose among the landmarks (Deng et al. 2019)."""
HEAVY = (*range(27, 36), *range(60, 68))
BLOCK, OVERLAP, ITERATIONS = 250, 25, 200
"""Frames that are optimised together, frames that two blocks share, steps of Adam."""


class Coefficients(NamedTuple):
    """Of consecutive frames."""

    alpha: Tensor
    """(T, A) shape."""
    beta: Tensor
    """(T, B) expression."""
    pose: Tensor
    """(T, P)."""


def norm(x: Tensor) -> Tensor:
    """Euclidean norm of the last axis, with a gradient at 0."""
    return (x.square().sum(-1) + 1e-12).sqrt()


def laplacian(x: Tensor) -> Tensor:
    """(T, D) -> (T - 2, D): x_{t+1} - 2 x_t + x_{t-1}."""
    return x[2:] - 2 * x[1:-1] + x[:-2]


def tempo(kp: Tensor, wanted: Tensor, pose: Tensor, beta: Tensor, weight: float = LAMBDA) -> Tensor:
    """Eq. 1.

    Args:
        kp: (T, K, 2) projected vertices, px.
        wanted: (T, K, 2) landmarks, px.
        pose: (T, P).
        beta: (T, B).
        weight: lambda.
    """
    steps = norm(kp.diff(dim=0) - wanted.diff(dim=0)).sum()
    return steps + weight * (norm(laplacian(pose)).sum() + norm(laplacian(beta)).sum())


def regular(found: Coefficients, initial: Coefficients) -> Tensor:
    """Eq. 2: shape near the initial mean, expression and pose near the initial ones."""
    mean = initial.alpha.mean(0, keepdim=True)
    parts = (found.alpha - mean, found.beta - initial.beta, found.pose - initial.pose)
    return torch.stack([norm(x).sum() for x in parts]).sum()


def landmarks(kp: Tensor, wanted: Tensor) -> Tensor:
    """Weighted mean squared distance, px^2, summed over frames: what eqs 1 and 2 are added to."""
    weights = torch.ones(kp.shape[1])
    weights[list(HEAVY)] = INNER
    square = (kp - wanted).square().sum(-1)
    return (square * weights).sum() / weights.sum()


Project = Callable[[Coefficients], Tensor]
"""Coefficients -> (T, 68, 2) px."""


def optimise(initial: Coefficients, wanted: Tensor, project: Project, iterations: int = ITERATIONS) -> Coefficients:
    """Minimise landmarks + L_tempo + 0.1 L_reg with Adam (rate 0.01), in blocks that overlap and are faded into each other.

    Args:
        initial: of a network.
        wanted: (T, 68, 2) landmarks, px.
        project: differentiable.
        iterations: steps a block.

    Returns:
        shape one for all frames (its mean), expression and pose a frame.
    """
    total = len(wanted)
    sums = [torch.zeros_like(x) for x in initial]
    weight = torch.zeros(total, 1)
    starts = range(0, max(1, total - OVERLAP), BLOCK - OVERLAP)
    mean = Coefficients(initial.alpha.mean(0, keepdim=True).expand_as(initial.alpha), initial.beta, initial.pose)
    for start in starts:
        stop = min(start + BLOCK, total)
        part = Coefficients(*(x[start:stop] for x in mean))
        found = _block(part, wanted[start:stop], project, iterations)
        ramp = torch.ones(stop - start, 1)
        rise = (torch.arange(min(OVERLAP, stop - start))[:, None] + 1) / (OVERLAP + 1)
        if start:
            ramp[: len(rise)] = rise
        if stop < total:
            ramp[-len(rise) :] = torch.minimum(ramp[-len(rise) :], rise.flip(0))
        for held, x in zip(sums, found, strict=True):
            held[start:stop] += ramp * x
        weight[start:stop] += ramp
    alpha, beta, pose = (x / weight for x in sums)
    return Coefficients(alpha.mean(0, keepdim=True).expand_as(alpha).clone(), beta, pose)


def _block(initial: Coefficients, wanted: Tensor, project: Project, iterations: int) -> Coefficients:
    free = [x.detach().clone().requires_grad_() for x in initial]
    optimiser = torch.optim.Adam(free, lr=1e-2)
    for _ in range(iterations):
        found = Coefficients(*free)
        kp = project(found)
        value = landmarks(kp, wanted) + tempo(kp, wanted, found.pose, found.beta) + 0.1 * regular(found, initial)
        optimiser.zero_grad()
        torch.autograd.backward(value)
        optimiser.step()
    return Coefficients(*(x.detach() for x in free))
