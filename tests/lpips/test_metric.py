"""The lpips metric: its weights, its contract, and real frames end to end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from support.clips import blurred, frames
from support.perception import linear, write_lpips

from lipsync_eval import check_metric
from lipsync_eval.engine.score import score
from lipsync_eval.errors import MissingWeights, UsageError
from lipsync_eval.features.lpips_weights import find
from lipsync_eval.media import write_video
from lipsync_eval.metrics.lpips import Lpips
from lipsync_eval.types import Settings


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    write_lpips(folder)
    return folder


def test_contract(weights: Path) -> None:
    report = check_metric("lpips", Settings(weights_dir=weights), n_frames=10)
    assert "worse with more noise" in report.passed


def test_signature_names_net_trunk_and_linear_layers(weights: Path) -> None:
    feat = Lpips(Settings(weights_dir=weights), frozenset({"lpips"})).signature("lpips")["feat"]
    assert feat.startswith("lpips-alex@") and "+" in feat
    torch.save(linear("alex") | {"lin0.model.1.weight": torch.zeros(1, 64, 1, 1)}, weights / "lpips_alex_v0.1.pth")
    assert Lpips(Settings(weights_dir=weights), frozenset({"lpips"})).signature("lpips")["feat"] != feat


def test_missing_weights_name_the_pull_line(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="weights pull lpips-vgg"):
        Lpips(Settings(weights_dir=tmp_path, options={"lpips_net": "vgg"}), frozenset({"lpips"})).check()
    with pytest.raises(UsageError, match="alex, vgg, squeeze"):
        Lpips(Settings(weights_dir=tmp_path, options={"lpips_net": "resnet"}), frozenset({"lpips"})).check()


def test_linear_layers_of_an_installed_package_are_found_and_not_imported(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (weights / "lpips_alex_v0.1.pth").unlink()
    with pytest.raises(MissingWeights, match="lpips-alex"):
        find(Settings(weights_dir=weights), "alex")
    package = tmp_path / "site" / "lpips"
    (package / "weights" / "v0.1").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    torch.save(linear("alex"), package / "weights" / "v0.1" / "alex.pth")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    _, found = find(Settings(weights_dir=weights), "alex")
    assert found.path == package / "weights" / "v0.1" / "alex.pth" and found.part == "lin"
    assert not found.verified and "not known to the registry" in found.note
    assert "lpips" not in sys.modules


def test_more_blur_is_worse_and_no_blur_is_0(weights: Path, tmp_path: Path) -> None:
    real = frames(6)
    write_video(tmp_path / "gt.mkv", real)
    values = []
    for sigma in (0, 1, 2, 4):
        write_video(tmp_path / "gen.mkv", blurred(real, sigma) if sigma else real)
        result = score(
            tmp_path / "gen.mkv", tmp_path / "gt.mkv", metrics="lpips", protocol="raw", cache=None, weights_dir=weights
        )
        assert not result.failures
        values.append(result.scores[0].value)
    assert values[0] == 0 and values == sorted(values) and len(set(values)) == 4


def test_frames_too_small_are_a_failure_row(weights: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "gt.mkv", frames(3, size=24))
    result = score(
        tmp_path / "gt.mkv", tmp_path / "gt.mkv", metrics="lpips,psnr", protocol="raw", cache=None, weights_dir=weights
    )
    assert [s.value for s in result.scores] == [100.0, None]
    assert result.failures[0].metric == "lpips" and "at least 31 x 31" in result.failures[0].message
