"""What `weights verify` finds about the networks of perception, identity and style."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.perception import GOLDEN, golden, linear, write_inception, write_lpips, write_r18

from lipsync_eval.errors import WeightsError
from lipsync_eval.metrics.checks import networks as module
from lipsync_eval.types import Settings
from lipsync_eval.weights.verify import verify


def test_lpips_and_a_file_that_hears_nothing(tmp_path: Path) -> None:
    write_lpips(tmp_path)
    assert "0.0000" in module.check_lpips(Settings(weights_dir=tmp_path), "lpips-alex", None)[0]
    torch.save({k: torch.zeros_like(v) for k, v in linear("alex").items()}, tmp_path / "lpips_alex_v0.1.pth")
    with pytest.raises(WeightsError, match="rising distances"):
        module.check_lpips(Settings(weights_dir=tmp_path), "lpips-alex", None)


def test_inception(tmp_path: Path) -> None:
    write_inception(tmp_path)
    assert (
        "blur of 1 and 4 px moves" in module.check_inception(Settings(weights_dir=tmp_path), "inception-fid", None)[0]
    )


def test_the_known_answer_of_mobilefacenet(data: Path, tmp_path: Path) -> None:
    said = verify(Settings(weights_dir=data / "weights"), "mobilefacenet")
    assert said[0].endswith("the sha256 is the published one") and "known answer 0.914" in said[1]
    other = Settings(weights={"mobilefacenet": write_r18(tmp_path / "backbone.pth")})
    with pytest.raises(WeightsError, match="known answer"):
        module.check_arcface(other, "mobilefacenet", None)


def test_diffposetalk(tmp_path: Path) -> None:
    g = golden("style_encoder/case2_nohead_51")
    np.savez(tmp_path / "stats_train.npz", **{k.removeprefix("stats_"): g[k] for k in g if k.startswith("stats_")})
    checkpoint = GOLDEN / "style_encoder" / "case2_nohead_51_iter_0034000.pt"
    settings = Settings(weights={"diffposetalk": checkpoint}, weights_dir=tmp_path)
    assert "order does not move the style" in module.check_diffposetalk(settings, "diffposetalk", None)[0]
