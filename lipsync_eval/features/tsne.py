"""t-SNE for a few thousand points: exact, deterministic, numpy only.

Source: van der Maaten, Hinton: Visualizing Data using t-SNE, JMLR 9, 2008. Started from the first two principal components,
so the same points give the same image. It keeps neighbours together; distances between groups mean nothing.
"""

from __future__ import annotations

import numpy as np

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float


def tsne(points: Float, perplexity: float = 10.0, steps: int = 1000) -> Float:
    """Place points on a plane so that neighbours stay neighbours.

    Args:
        points: (N, D) finite, N >= 3.
        perplexity: effective number of neighbours; taken down to (N - 1) / 3 where there are few points.
        steps: of gradient descent.

    Returns:
        (N, 2), centred.

    Raises:
        InputError: too few points, or values that are not finite.
    """
    n = len(points)
    if points.ndim != 2 or n < 3 or not np.isfinite(points).all():
        raise InputError(f"t-SNE takes at least 3 finite points (N, D); got {points.shape}")
    wanted = affinities(points, min(perplexity, (n - 1) / 3))
    place = _principal(points)
    speed, gain = np.zeros_like(place), np.ones_like(place)
    rate = max(n / 12.0, 10.0)
    for step in range(steps):
        early = step < steps // 4
        slope = _gradient(wanted * (12.0 if early else 1.0), place)
        gain = np.maximum(np.where(np.sign(slope) == np.sign(speed), gain * 0.8, gain + 0.2), 0.01)
        speed = (0.5 if early else 0.8) * speed - rate * gain * slope
        place = place + speed
        place -= place.mean(0)
    return place


def affinities(points: Float, perplexity: float) -> Float:
    """(N, N) symmetric neighbour probabilities that sum to 1; every point has `perplexity` effective neighbours."""
    squares = (points**2).sum(1)
    distance = np.maximum(squares[:, None] + squares[None] - 2 * points @ points.T, 0.0)
    n, target = len(points), np.log(perplexity)
    out = np.zeros((n, n))
    for i in range(n):
        d = np.delete(distance[i], i)
        d -= d.min()
        out[i, np.arange(n) != i] = _row(d, target)
    out = (out + out.T) / (2 * n)
    return np.maximum(out, 1e-12)


def _row(distance: Float, entropy: float) -> Float:
    """Probabilities exp(-beta d) of the entropy asked for; beta by bisection."""
    scale = float(distance.mean())
    if scale <= 0:
        return np.full(len(distance), 1 / len(distance))
    low, high, beta = 0.0, np.inf, 1 / scale
    p = np.exp(-beta * distance)
    for _ in range(64):
        p = np.exp(-beta * distance)
        p /= p.sum()
        found = -float(np.sum(p * np.log(np.maximum(p, 1e-300))))
        if abs(found - entropy) < 1e-6:
            break
        low, high = (beta, high) if found > entropy else (low, beta)
        beta = beta * 2 if np.isinf(high) else (low + high) / 2
    return p


def _gradient(wanted: Float, place: Float) -> Float:
    step = place[:, None] - place[None]
    near = 1 / (1 + (step**2).sum(-1))
    np.fill_diagonal(near, 0.0)
    pull = (wanted - np.maximum(near / near.sum(), 1e-12)) * near
    out: Float = 4 * np.einsum("ij,ijk->ik", pull, step)
    return out


def _principal(points: Float) -> Float:
    """(N, 2) first two principal components, tiny, as a start."""
    centred = points - points.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2, np.abs(axes[:2]).argmax(1)].diagonal())[:, None]
    place: Float = np.asarray(centred @ axes.T)
    if place.shape[1] < 2:
        place = np.concatenate([place, np.zeros((len(place), 1))], 1)
    return np.asarray(1e-4 * place / max(float(place[:, 0].std()), 1e-12))
