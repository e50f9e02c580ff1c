"""Mean and covariance that can be added up, and the Frechet distance between two Gaussians.

Source: Heusel et al., NeurIPS 2017 (arXiv:1706.08500), eq. 6. Compared with pytorch-fid==0.3.0, whose matrix square root
(scipy's sqrtm) is replaced: with S = R R^T (R from the eigenvectors of S), tr sqrt(S1 S2) is the sum of the singular
values of R1^T R2. That stays exact where a covariance is singular (fewer frames than dimensions) and has no imaginary
part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float


@dataclass(frozen=True, slots=True)
class Moments:
    """What a set of feature vectors leaves behind; two sets add up to the moments of their union."""

    n: int
    mean: Float
    """(D,)"""
    scatter: Float
    """(D, D) sum of (x - mean)(x - mean)^T."""

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> Moments:
        """Moments of (N, D) features, N >= 1, in float64.

        Raises:
            InputError: wrong shape, or NaN or infinite values.
        """
        if features.ndim != 2 or not len(features):
            raise InputError(f"moments take (N, D) features with N >= 1; got {features.shape}")
        x = features.astype(np.float64)
        if not np.isfinite(x).all():
            raise InputError("features hold NaN or infinite values; look at the frames and the weights that made them")
        mean = x.mean(0)
        x -= mean
        return cls(len(x), mean, x.T @ x)

    def __add__(self, other: Moments) -> Moments:
        n = self.n + other.n
        step = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scatter += np.outer(step, step * (self.n * other.n / n))
        return Moments(n, self.mean + step * (other.n / n), scatter)

    @property
    def covariance(self) -> Float:
        """(D, D) with N - 1 in the denominator, as np.cov.

        Raises:
            InputError: fewer than two vectors.
        """
        if self.n < 2:
            raise InputError(f"a covariance needs at least 2 frames; there is {self.n}")
        out: Float = self.scatter / (self.n - 1)
        return out

    def arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """The same as arrays, under names that start with `prefix`."""
        return {f"{prefix}_n": np.array(self.n), f"{prefix}_mean": self.mean, f"{prefix}_scatter": self.scatter}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> Moments:
        """The way back from `arrays`."""
        mean, scatter = arrays[f"{prefix}_mean"], arrays[f"{prefix}_scatter"]
        return cls(int(arrays[f"{prefix}_n"]), mean.astype(np.float64), scatter.astype(np.float64))


def frechet_distance(mean1: Float, cov1: Float, mean2: Float, cov2: Float) -> float:
    """|m1 - m2|^2 + tr S1 + tr S2 - 2 tr sqrt(S1 S2), in float64.

    Args:
        mean1, mean2: (D,).
        cov1, cov2: (D, D) symmetric, positive semidefinite (eigenvalues below the rounding error count as 0).

    Returns:
        >= 0 up to rounding (an identical pair gives |d| < 1e-8); negative rounding errors are not clipped.

    Raises:
        InputError: shapes that do not agree, NaN or infinite values.
    """
    d = len(mean1)
    if mean1.shape != (d,) or mean2.shape != (d,) or cov1.shape != (d, d) or cov2.shape != (d, d):
        raise InputError(
            f"two Gaussians of one dimension are compared; got {mean1.shape} {cov1.shape} and {mean2.shape} {cov2.shape}"
        )
    for array in (mean1, cov1, mean2, cov2):
        if not np.isfinite(array).all():
            raise InputError("a mean or covariance holds NaN or infinite values; look at the features that made it")
    step = np.asarray(mean1, np.float64) - mean2
    overlap = np.linalg.svd(_root(cov1).T @ _root(cov2), compute_uv=False).sum()
    return float(step @ step + np.trace(cov1) + np.trace(cov2) - 2.0 * overlap)


def _root(cov: Float) -> Float:
    """(D, r) R with R R^T = cov, r the numerical rank."""
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    kept = values > max(values[-1], 0.0) * len(values) * np.finfo(np.float64).eps
    if not kept.any():
        return np.zeros((len(values), 1))
    out: Float = vectors[:, kept] * np.sqrt(values[kept])
    return out
