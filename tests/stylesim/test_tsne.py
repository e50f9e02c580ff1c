"""t-SNE: neighbours stay neighbours, twice the same image."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_eval.errors import InputError
from lipsync_eval.features.tsne import affinities, tsne


def groups(n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 10, (4, 20))
    return np.concatenate([c + rng.normal(0, 1, (n, 20)) for c in centres]), np.repeat(np.arange(4), n)


def test_groups_stay_together() -> None:
    points, owner = groups()
    place = tsne(points, perplexity=8, steps=400)
    distance = np.linalg.norm(place[:, None] - place[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (owner[distance.argmin(1)] == owner).all()
    same = owner[:, None] == owner[None]
    np.fill_diagonal(distance, 0)
    assert distance[same].mean() < 0.5 * distance[~same].mean()
    np.testing.assert_allclose(place.mean(0), 0, atol=1e-9)


def test_the_same_points_give_the_same_image() -> None:
    points, _ = groups(5)
    np.testing.assert_array_equal(tsne(points, steps=50), tsne(points, steps=50))


def test_affinities_have_the_perplexity_asked_for() -> None:
    """Equidistant points: every other point is a neighbour to the same degree."""
    p = affinities(np.eye(9), 5)
    np.testing.assert_allclose(p[~np.eye(9, dtype=bool)], 1 / 72, rtol=1e-6)
    near = affinities(np.arange(20.0)[:, None], 4)
    np.testing.assert_allclose(near.sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(near, near.T)
    assert near[0, 1] > near[0, 5] > near[0, 19]


def test_few_points_and_equal_points() -> None:
    assert np.isfinite(tsne(np.zeros((4, 3)), steps=20)).all()
    assert tsne(np.arange(3.0)[:, None], steps=20).shape == (3, 2)
    with pytest.raises(InputError, match="at least 3"):
        tsne(np.zeros((2, 3)))
    with pytest.raises(InputError, match="finite"):
        tsne(np.full((5, 3), np.nan))
