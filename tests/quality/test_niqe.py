"""NIQE against three public codes' numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden.synthetic_inputs import crc
from support.perception import golden
from support.quality import MODELS, frame, niqe_model, write_quality

from lipsync_eval import check_metric
from lipsync_eval.errors import InputError, MetricError, RefusedCheckpoint
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.metrics.quality.models import load_niqe
from lipsync_eval.metrics.quality.niqe import Niqe
from lipsync_eval.metrics.quality.niqe_score import VARIANTS, features, luma, niqe
from lipsync_eval.settings import Settings

CASE = golden("niqe/case1_images")
NAMES = list(map(str, CASE["names"]))


@pytest.mark.parametrize(
    ("variant", "key", "tolerance"),
    [("pyiqa", "pyiqa_yiq", 1e-6), ("basicsr", "basicsr_y", 3e-4), ("skvideo", "skvideo_scipy110", 1e-5)],
)
def test_golden(variant: str, key: str, tolerance: float) -> None:
    """BasicSR works in float32, which in flat parts is noise of that size; scikit-video's numbers have 4 decimals."""
    found = [niqe(frame(name), niqe_model(variant), variant) for name in NAMES]  # type: ignore[arg-type]
    np.testing.assert_allclose(found, CASE[key], rtol=tolerance)


@pytest.mark.parametrize(("variant", "key"), [("pyiqa", "pyiqa_one_channel_L"), ("basicsr", "basicsr_hw_L")])
def test_golden_grey(variant: str, key: str) -> None:
    from lipsync_eval.metrics.quality.grey import pillow_l

    found = [niqe(pillow_l(frame(name)), niqe_model(variant), variant) for name in NAMES]  # type: ignore[arg-type]
    np.testing.assert_allclose(found, CASE[key], rtol=1e-6 if variant == "pyiqa" else 3e-4)


@pytest.mark.parametrize(
    ("variant", "key", "tolerance"),
    [
        ("pyiqa", "pyiqa_features_yiq", 2e-6),
        ("basicsr", "basicsr_features_y", 1e-5),
        ("skvideo", "skvideo_features", 2e-2),
    ],
)
def test_golden_features(variant: str, key: str, tolerance: float) -> None:
    found = features(luma(frame(NAMES[0]), variant), variant)  # type: ignore[arg-type]
    if variant != "skvideo":  # their blocks run down the columns
        found = found.reshape(2, 2, 36).transpose(1, 0, 2).reshape(4, 36)
    np.testing.assert_allclose(found, CASE[key], atol=tolerance)


def test_golden_sizes() -> None:
    case = golden("niqe/case2_sizes")
    height, width, _ = case["big_shape"]
    big = np.ascontiguousarray(np.tile(frame(NAMES[0]), (2, 2, 1))[:height, :width])
    assert crc(big) == case["big_crc32"]
    assert niqe(big, niqe_model("pyiqa")) == pytest.approx(case["pyiqa_yiq"], rel=1e-6)
    assert niqe(big, niqe_model("basicsr"), "basicsr") == pytest.approx(case["basicsr_y"], rel=3e-4)
    assert niqe(big, niqe_model("skvideo"), "skvideo") == pytest.approx(case["skvideo"], rel=1e-2)
    tiny = np.ascontiguousarray(big[:100, :190])
    assert niqe(tiny, niqe_model("pyiqa")) == pytest.approx(case["tiny_pyiqa_yiq"], rel=1e-6)
    with pytest.raises(MetricError, match="2 blocks"):
        niqe(tiny, niqe_model("basicsr"), "basicsr")  # NaN there


@pytest.mark.parametrize("variant", VARIANTS)
def test_flat_and_small(variant: str) -> None:
    if variant != "skvideo":
        with pytest.raises(MetricError, match="flat"):
            niqe(np.full((200, 200, 3), 90, np.uint8), niqe_model(variant), variant)
    with pytest.raises(InputError, match="too small"):
        niqe(np.zeros((95, 300, 3), np.uint8), niqe_model(variant), variant)


def test_models_are_untrusted(tmp_path: Path) -> None:
    bad = tmp_path / "m.npz"
    np.savez(bad, mu_pris_param=np.zeros(36), cov_pris_param=np.zeros((3, 3)))
    with pytest.raises(RefusedCheckpoint, match="36 x 36"):
        load_niqe(bad)
    np.savez(bad, mu_pris_param=np.array([object()] * 36, object), cov_pris_param=np.zeros((36, 36)))
    with pytest.raises(RefusedCheckpoint):
        load_niqe(bad)
    bad.write_bytes(b"x" * 500)
    with pytest.raises(RefusedCheckpoint, match=r"no \.npz or \.mat"):
        load_niqe(bad)
    bad.write_bytes((MODELS / "niqe_image_params.mat").read_bytes() + b"\0" * (1 << 17))
    with pytest.raises(RefusedCheckpoint, match="smaller"):
        load_niqe(bad)


def test_metric(tmp_path: Path) -> None:
    write_quality(tmp_path)
    settings = Settings(weights_dir=tmp_path)
    assert "any batching, and again" in check_metric("niqe", settings=settings, n_frames=25).passed


def test_variants_stand_in_the_signature_and_ask_for_large_crops(tmp_path: Path) -> None:
    write_quality(tmp_path)
    feats = {"pyiqa": "niqe-live@2a7c182a", "basicsr": "niqe-live@2a7c182a", "skvideo": "niqe-skvideo@269cd2d5"}
    for variant, feat in feats.items():
        family = Niqe(Settings(weights_dir=tmp_path, options={"niqe_variant": variant}), frozenset({"niqe"}))
        assert family.keys("niqe") == {"variant": variant, "feat": feat}
        with pytest.raises(MetricError, match=f"at least {family.smallest} px"):
            family.start(synthetic_pair(3, 95))
