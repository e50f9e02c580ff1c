"""The Frechet distance against pytorch-fid's numbers, and the sums it is made from."""

from __future__ import annotations

import numpy as np
import pytest
from golden.synthetic_inputs import crc, features
from hypothesis import given, settings
from hypothesis import strategies as st
from support.perception import golden

from lipsync_eval.errors import InputError
from lipsync_eval.metrics.helpers.frechet import Moments, frechet_distance


def sets(tag: str) -> tuple[np.ndarray, np.ndarray]:
    g = golden("fid/case1_frechet")
    seed, n1, n2, d = map(int, g[f"{tag}_seed_N1_N2_D"])
    x, y = features(seed, n1, d, 0), features(seed, n2, d, 1)
    y = x if tag == "identical" else y
    assert [crc(x), crc(y)] == list(g[f"{tag}_crc32"])
    return x, y


def distance(a: Moments, b: Moments) -> float:
    return frechet_distance(a.mean, a.covariance, b.mean, b.covariance)


@pytest.mark.parametrize(("tag", "tolerance"), [("well", 1e-8), ("small", 1e-8), ("singular", 1e-5)])
def test_golden(tag: str, tolerance: float) -> None:
    x, y = sets(tag)
    found = distance(Moments.of(x), Moments.of(y))
    assert found == pytest.approx(float(golden("fid/case1_frechet")[f"{tag}_fid"]), rel=tolerance)
    assert distance(Moments.of(y), Moments.of(x)) == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize("tag", ["identical", "singular", "small", "well"])
def test_a_set_against_itself_is_0(tag: str) -> None:
    x, _ = sets(tag)
    assert abs(distance(Moments.of(x), Moments.of(x[::-1]))) < 1e-8


def test_known_case_by_hand() -> None:
    """Diagonal covariances: |m1 - m2|^2 + sum (s1 - s2)^2."""
    found = frechet_distance(np.array([0.0, 1.0]), np.diag([4.0, 9.0]), np.array([3.0, 1.0]), np.diag([1.0, 0.0]))
    assert found == pytest.approx(9 + (2 - 1) ** 2 + (3 - 0) ** 2, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 10_000), st.data())
def test_any_split_and_order_gives_the_same_moments(n: int, d: int, seed: int, data: st.DataObject) -> None:
    x = np.random.default_rng(seed).normal(5, 2, (n, d)).astype(np.float32)
    whole = Moments.of(x)
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=4)))
    parts = [Moments.of(p) for p in np.split(x[np.random.default_rng(seed + 1).permutation(n)], cuts)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    assert total.n == n
    np.testing.assert_allclose(total.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(total.scatter, whole.scatter, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        whole.covariance, np.cov(x.astype(np.float64), rowvar=False).reshape(d, d), rtol=1e-9, atol=1e-12
    )


def test_moments_survive_as_arrays() -> None:
    m = Moments.of(sets("small")[0])
    again = Moments.from_arrays(m.arrays("gen"), "gen")
    assert again.n == m.n and (again.mean == m.mean).all() and (again.scatter == m.scatter).all()


def test_wrong_input() -> None:
    good = Moments.of(np.ones((3, 2)))
    with pytest.raises(InputError, match="NaN"):
        Moments.of(np.full((3, 2), np.nan))
    with pytest.raises(InputError, match="N >= 1"):
        Moments.of(np.ones((0, 2)))
    with pytest.raises(InputError, match="at least 2"):
        _ = Moments.of(np.ones((1, 2))).covariance
    with pytest.raises(InputError, match="one dimension"):
        frechet_distance(good.mean, good.covariance, np.zeros(3), np.eye(3))
    with pytest.raises(InputError, match="NaN"):
        frechet_distance(good.mean * np.nan, good.covariance, good.mean, good.covariance)
