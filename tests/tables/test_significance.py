"""Tests that share their draws give what each test alone gives."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_eval.reports.permutation import N_FLIPS, _patterns, families_sign_flip, family_sign_flip
from lipsync_eval.reports.significance import _TOO_MANY, ALPHA, N_BOOT, _certain, better, pair
from lipsync_eval.results.aggregate import bootstrap, bootstraps, draws


def alone(d: np.ndarray, seed: int) -> bool:
    """All resamples of one pair, nothing shared and nothing cut short."""
    drawn = np.random.default_rng(seed).integers(0, len(d), (N_BOOT, len(d)))
    return 2 * (int((d[drawn].mean(axis=1) <= 0).sum()) + 1) / (N_BOOT + 1) < ALPHA


@pytest.mark.parametrize("n", [6, 7, 40, 301])
def test_better_together_is_better_alone(n: int) -> None:
    dice = np.random.default_rng(n)
    columns = [dice.normal(z / np.sqrt(n), 1, n) for z in (-3, 0, 1.5, 1.9, 2, 2.1, 2.5, 5, 12, 40)]
    columns.append(dice.integers(-1, 3, n).astype(float))  # many resamples end at exactly 0
    pairs = [pair(list(d), [0.0] * n, "up") for d in columns]
    assert better(pairs, 7) == [alone(d, 7) for d in columns]
    assert better([*pairs, pair([1.0] * 9, [0.0] * 9, "up")], 7) == [*better(pairs, 7), True]


def test_intervals_together_are_intervals_alone() -> None:
    dice = np.random.default_rng(1)
    columns = [(list(dice.normal(size=n)), None) for n in (30, 30, 31, 1, 0)]
    columns.append((list(dice.normal(size=30)), [f"s{i % 7}" for i in range(30)]))  # type: ignore[arg-type]
    assert bootstraps(columns, 3) == [bootstrap(v, 3, groups=g) for v, g in columns]
    assert bootstraps(columns, 3)[3:5] == [None, None]
    x = np.array(columns[0][0])
    means = x[np.random.default_rng(3).integers(0, 30, (1000, 30))].mean(axis=1)
    assert (found := bootstraps(columns, 3)[0]) is not None
    assert [found.low, found.high] == np.quantile(means, [(1 - 0.95) / 2, (1 + 0.95) / 2]).tolist()


@pytest.mark.parametrize("n", [15, 20_001])
def test_the_draws_are_those_of_the_plain_call(n: int) -> None:
    rows = 300
    plain = np.random.default_rng(5).integers(0, n, (rows, n))
    assert (np.concatenate(list(draws(n, 5, rows))) == plain).all()
    plain = np.random.default_rng(5).integers(0, 2, (rows, n)) * 2 - 1
    kept, blocks = 0, []
    for block in _patterns(n, 5):
        blocks.append(block)
        kept += len(block)
        if kept >= rows:
            break
    assert (np.concatenate(blocks)[:rows] == plain).all()


def test_families_share_signs_and_keep_their_p() -> None:
    dice = np.random.default_rng(2)
    ids = [f"c{i}" for i in range(40)]
    families = [
        {name: dict(zip(ids, dice.normal(0.2, 1, 40).tolist(), strict=True)) for name in names}
        for names in (("a", "b"), ("c",))
    ]
    families.append({"few": dict.fromkeys(ids[:6], 0.1)})
    together = families_sign_flip(families, 4)
    assert together == [family_sign_flip(f, 4) for f in families]
    assert together[2] == ({"few": 1 / 64}, "exact sign-flip test")
    assert str(N_FLIPS) in together[0][1]


def test_what_is_certain_is_what_the_resamples_say() -> None:
    """On both sides of the bound: nothing is called certain that the resamples would not call significant."""
    rng, seen = np.random.default_rng(0), set()
    assert 2 * _TOO_MANY / (N_BOOT + 1) < ALPHA <= 2 * (_TOO_MANY + 1) / (N_BOOT + 1)
    for n in (8, 30, 200):
        for z in (0.5, 2.0, 2.5, 3.0, 3.5, 4.5, 7.0):
            for heavy in (False, True):
                x = rng.standard_t(2, n) if heavy else rng.normal(size=n)
                x = x - x.mean() + z * x.std() / np.sqrt(n)
                wrong = sum(int((x.take(d).mean(axis=1) <= 0).sum()) for d in draws(n, 1, N_BOOT))
                if _certain(x):
                    assert wrong < _TOO_MANY / 2, (n, z, heavy)
                seen.add(_certain(x))
    assert seen == {True, False}
