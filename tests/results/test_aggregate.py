from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from lipsync_eval.results.aggregate import bootstrap, clip_mean


def test_mean_by_hand() -> None:
    assert clip_mean([1.0, 2.0, 6.0]) == 3.0
    assert clip_mean([]) is None


def test_interval_agrees_with_scipy() -> None:
    x = np.random.default_rng(1).normal(5, 2, 60)
    ours = bootstrap(list(x), seed=7, n_boot=20_000)
    theirs = scipy_bootstrap(
        (x,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    assert ours is not None
    assert ours.low == pytest.approx(theirs.low, abs=0.03)
    assert ours.high == pytest.approx(theirs.high, abs=0.03)


def test_it_is_seeded_and_does_not_touch_the_global_generator() -> None:
    x = [1.0, 4.0, 2.0, 8.0]
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert bootstrap(x, 5) == bootstrap(x, 5)
    assert bootstrap(x, 5) != bootstrap(x, 6)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_chunks_do_not_move_it(monkeypatch: pytest.MonkeyPatch) -> None:
    x = list(np.random.default_rng(2).normal(size=50))
    whole = bootstrap(x, 5)
    monkeypatch.setattr("lipsync_eval.results.aggregate._CHUNK", 333)
    assert bootstrap(x, 5) == whole


def test_one_clip_has_no_interval() -> None:
    assert bootstrap([3.0], 1) is None
    assert bootstrap([], 1) is None


def test_negative_and_constant_values() -> None:
    interval = bootstrap([-2.0, -2.0, -2.0], 1)
    assert interval is not None
    assert (interval.low, interval.high) == (-2.0, -2.0)
