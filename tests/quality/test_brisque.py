"""BRISQUE against two public codes' numbers."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from support.perception import golden
from support.quality import MODELS, brisque_pypi_model, frame, write_quality

from lipsync_eval import check_metric
from lipsync_eval.errors import InputError, MetricError, MissingWeights, RefusedCheckpoint
from lipsync_eval.metrics.quality import brisque_score, nss
from lipsync_eval.metrics.quality.brisque import Brisque
from lipsync_eval.metrics.quality.brisque_score import Model, brisque, features
from lipsync_eval.metrics.quality.live_ranges import HIGH, LOW
from lipsync_eval.metrics.quality.models import load_brisque_live, load_brisque_pypi
from lipsync_eval.settings import Settings

CASE = golden("brisque/case1_images")
NAMES = list(map(str, CASE["names"]))


def test_the_model_is_the_wheels() -> None:
    model = brisque_pypi_model()
    assert (model.low == CASE["scale_min"]).all() and (model.high == CASE["scale_max"]).all()
    assert (len(model.weights), model.rho, model.gamma) == (CASE["n_sv"], CASE["rho"], CASE["gamma"])
    assert model.vectors.sum() == pytest.approx(CASE["sv_sum"]) and abs(model.weights).sum() == CASE["coef_abs_sum"]


@pytest.mark.parametrize("name", NAMES)
def test_golden_pypi(name: str) -> None:
    at, model = NAMES.index(name), brisque_pypi_model()
    found = features(frame(name), "pypi")
    np.testing.assert_allclose(found, CASE["pypi_features"][at], rtol=1e-5)
    assert brisque(frame(name), model, "pypi") == pytest.approx(CASE["pypi_score"][at], abs=1e-3)
    swapped = np.ascontiguousarray(frame(name)[..., ::-1])
    assert brisque(swapped, model, "pypi") == pytest.approx(CASE["pypi_bgr_score"][at], abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_golden_pyiqa(name: str) -> None:
    """The golden score used the wheel's vectors with the release's ranges."""
    at = NAMES.index(name)
    model = dataclasses.replace(brisque_pypi_model(), low=np.array(LOW), high=np.array(HIGH))
    np.testing.assert_allclose(features(frame(name), "pyiqa"), CASE["pyiqa_features"][at], rtol=5e-3, atol=6e-3)
    assert brisque(frame(name), model) == pytest.approx(CASE["pyiqa_score_f64"][at], abs=1e-2)


@pytest.mark.parametrize("shape", [(40, 33), (256, 256), (17, 700)])
def test_filter_is_scipys_to_the_last_bit(shape: tuple[int, int]) -> None:
    from scipy.signal import convolve2d

    values = np.random.default_rng(0).random(shape)
    values[5:15, 5:20] = 0.7
    np.testing.assert_array_equal(brisque_score._convolved(values), convolve2d(values, brisque_score._kernel(), "same"))


def test_an_empty_side_has_no_fit() -> None:
    """Values of one sign: NaN where zeros count on no side, and 0 for the empty side where they count right."""
    x = -np.abs(np.random.default_rng(0).normal(size=(1, 500)))
    moments = nss.Moments.of(x.copy())
    assert moments.positive[0] == 0 == moments.n_positive[0]
    assert np.isnan(nss.fit_table(moments, zeros_right=False).alpha).all()
    assert nss.fit_table(moments, zeros_right=True).right[0] == 0


def test_wrapped_products_are_those_of_a_roll() -> None:
    x = np.random.default_rng(0).normal(size=(3, 7, 5))
    for shift in (*nss.SHIFTS, (-1, 1), (0, -1)):
        np.testing.assert_array_equal(nss.wrapped_product(x, shift), x * np.roll(x, shift, (1, 2)))


def test_flat_and_wrong_input() -> None:
    with pytest.raises(MetricError, match="flat"):
        brisque(np.zeros((64, 64, 3), np.uint8), brisque_pypi_model())
    with pytest.raises(InputError, match="too small"):
        brisque(np.zeros((15, 64, 3), np.uint8), brisque_pypi_model())
    with pytest.raises(InputError, match="upper end"):
        Model(np.zeros(36), np.zeros(36), np.zeros((1, 36)), np.zeros(1), 0.0, 0.05)


def test_models_are_untrusted(tmp_path: Path) -> None:
    svm, ranges = MODELS / "brisque_svm.txt", MODELS / "brisque_normalize.pickle"
    bad = tmp_path / "bad"
    bad.write_bytes(pickle.dumps({"min_": [0.0] * 36, "max_": Path("x")}))
    with pytest.raises(RefusedCheckpoint):
        load_brisque_pypi(svm, bad)
    bad.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(RefusedCheckpoint, match="min_"):
        load_brisque_pypi(svm, bad)
    for old, new in (
        ("total_sv 770", "total_sv 7"),
        ("kernel_type rbf", "kernel_type linear"),
        (" 36:", " 37:"),
        ("SV\n", ""),
    ):
        bad.write_text(svm.read_text().replace(old, new, 1))
        with pytest.raises(RefusedCheckpoint, match="libsvm"):
            load_brisque_pypi(bad, ranges)
    torch.save(torch.zeros(3), bad)
    with pytest.raises(RefusedCheckpoint, match="two tensors"):
        load_brisque_live(bad, -153.591, 0.05)


def test_metric(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="weights pull brisque-live"):
        Brisque(Settings(weights_dir=tmp_path), frozenset({"brisque"})).check()
    write_quality(tmp_path)
    for variant, row in (("pyiqa", "brisque-live@"), ("pypi", "brisque-pypi@19526fb7+brisque-pypi.ranges@a91753fe")):
        settings = Settings(weights_dir=tmp_path, options={"brisque_variant": variant})
        assert "a clip against itself" in check_metric("brisque", settings=settings, n_frames=10).passed
        keys = Brisque(settings, frozenset({"brisque"})).keys("brisque")
        assert keys["variant"] == variant and keys["feat"].startswith(row)
