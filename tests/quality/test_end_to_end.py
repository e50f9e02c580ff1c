"""cpbd, niqe and brisque through the command line, and on real clips: what gets worse, scores worse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.quality import brisque_pypi_model, niqe_model, write_quality

from lipsync_eval.media import open_clip, write_video
from lipsync_eval.metrics.quality.brisque_score import brisque
from lipsync_eval.metrics.quality.cpbd_score import cpbd
from lipsync_eval.metrics.quality.grey import pillow_l
from lipsync_eval.metrics.quality.niqe_score import niqe


def pair(root: Path, n: int = 3) -> tuple[str, str]:
    """Two clips of moving parts of a photograph and their blurred copies."""
    from skimage.data import astronaut

    whole = astronaut()
    for name in "ab":
        real = [np.ascontiguousarray(whole[k : k + 200, 150 + 9 * ord(name) % 60 :][:, :200]) for k in range(n)]
        for side, frames in (("gt", real), ("gen", [cv2.GaussianBlur(f, (0, 0), 2.0) for f in real])):
            (root / side).mkdir(exist_ok=True)
            write_video(root / side / f"{name}.mkv", frames)
    return str(root / "gen"), str(root / "gt")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The real command, with weights and cache in one folder."""
    environment = os.environ | {"LIPSYNC_EVAL_WEIGHTS": str(folder), "LIPSYNC_EVAL_CACHE": str(folder / "cache")}
    line = [sys.executable, "-m", "lipsync_eval", *words]
    return subprocess.run(line, capture_output=True, text=True, env=environment, check=False)


def test_score(tmp_path: Path) -> None:
    gen, gt = pair(tmp_path)
    write_quality(tmp_path)
    common = ["score", gen, gt, "--protocol", "raw", "--quiet", "--format", "json"]
    asked = ["--metrics", "cpbd,niqe,brisque", "--option", "brisque_variant=pypi", "--out", str(tmp_path / "run")]
    done = run(tmp_path, *common, *asked)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    scores = {s["metric"]: s for s in result["scores"]}
    assert scores["cpbd"]["value"] < scores["cpbd"]["gt_value"]
    assert scores["niqe"]["value"] > scores["niqe"]["gt_value"]
    assert scores["brisque"]["value"] > scores["brisque"]["gt_value"]
    assert "variant:pyiqa" in scores["niqe"]["signature"] and "feat:niqe-live@2a7c182a" in scores["niqe"]["signature"]
    assert "variant:pypi" in scores["brisque"]["signature"] and not result["failures"]
    assert set(result["clips"][0]["gt_values"]) == {"cpbd", "niqe", "brisque"}


def test_missing_models_end_the_run_before_any_work(tmp_path: Path) -> None:
    gen, gt = pair(tmp_path, 1)
    common = ["score", gen, gt, "--protocol", "raw", "--out", str(tmp_path / "run")]
    done = run(tmp_path, *common, "--metrics", "niqe")
    assert done.returncode == 2 and "weights pull niqe-live" in done.stderr and not (tmp_path / "run").exists()
    done = run(tmp_path, *common, "--metrics", "niqe", "--option", "niqe_variant=matlab")
    assert done.returncode == 2 and "pyiqa, basicsr, skvideo" in done.stderr
    done = run(tmp_path, *common, "--metrics", "fvd_videogpt", "--option", "fvd_frames=16")
    assert done.returncode == 2 and "weights pull i3d-kinetics400" in done.stderr


@pytest.mark.parametrize("clip", ["grid_bbaf2n.mpg", "hdtf_menendez.mp4", "edtalk_klobuchar_gtvideo.mp4"])
def test_real_frames_move_the_right_way(clip: str) -> None:
    folder = os.environ.get("LIPSYNC_EVAL_TEST_DATA")
    if not folder:
        pytest.skip("LIPSYNC_EVAL_TEST_DATA is not set: no real clips here")
    frame = next(iter(open_clip(Path(folder) / "clips" / "original" / clip).frames(10, 11)))
    noise = np.random.default_rng(0).normal(0, 25, frame.shape)
    packed = cv2.imdecode(cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 8])[1], 1)[..., ::-1]
    blurred = [cv2.GaussianBlur(frame, (0, 0), s) for s in (1.0, 3.0)]
    others = [np.clip(frame + noise, 0, 255).astype(np.uint8), np.ascontiguousarray(packed)]
    sharpness = [cpbd(pillow_l(f)) for f in (frame, *blurred)]
    assert sharpness[0] > sharpness[1] >= sharpness[2]
    for score in (lambda f: niqe(f, niqe_model("pyiqa")), lambda f: brisque(f, brisque_pypi_model(), "pypi")):
        real, little, much = (score(f) for f in (frame, *blurred))
        assert real < little < much
        assert real < min(score(f) for f in others)
