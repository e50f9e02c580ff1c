"""The plain functions give what the families give; the package offers them by name and stays quick."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import syncnet_official as official
from support.clips import frames, sound, write
from support.perception import write_inception, write_lpips, write_r18

import lipsync_eval
from lipsync_eval import Settings
from lipsync_eval.errors import InputError, MetricError, MissingWeights

ROOT = Path(__file__).parents[2]
NAMES = [
    "score",
    "Result",
    "Settings",
    "list_metrics",
    "get_metric",
    "list_protocols",
    "psnr",
    "psnr_pooled",
    "ssim",
    "ms_ssim",
    "lmd",
    "lmd_centered",
    "lmd_norm",
    "f_lmd",
    "lmd_atvg_sum",
    "lpips",
    "fid",
    "lse",
    "avs",
    "csim",
    "stylesim",
    "gate",
    "table",
    "open_clip",
    "track_faces",
    "check_metric",
    "LipsyncError",
]
RNG = np.random.default_rng(0)
CROPS = RNG.integers(0, 256, (4, 64, 64, 3), np.uint8)
NOISY = np.clip(CROPS.astype(int) + RNG.integers(-20, 21, CROPS.shape), 0, 255).astype(np.uint8)


def test_every_name_is_offered_and_importing_is_quick_and_quiet() -> None:
    code = (
        "import sys, lipsync_eval\n"
        "heavy = {'numpy', 'torch', 'cv2', 'pandas', 'pydantic', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        f"names = {NAMES!r}\n"
        "for name in names: getattr(lipsync_eval, name)\n"
        "assert 'torch' not in sys.modules, 'names load without torch'\n"
        "assert set(names) <= set(dir(lipsync_eval))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""
    with pytest.raises(AttributeError, match="psnr"):
        lipsync_eval.nothing  # noqa: B018


def test_lists() -> None:
    assert "psnr" in lipsync_eval.list_metrics()
    assert set(lipsync_eval.list_metrics("core")) < set(lipsync_eval.list_metrics())
    assert lipsync_eval.get_metric("psnr").title == "PSNR"
    assert "radio" in lipsync_eval.list_protocols()


def test_stylesim_on_points() -> None:
    rng = np.random.default_rng(3)
    base = rng.uniform(50, 200, (68, 2))
    moving = base + np.cumsum(rng.normal(0, 0.5, (60, 68, 2)), 0)
    holes = moving.copy()
    holes[7] = np.nan
    assert lipsync_eval.stylesim(moving, moving) == pytest.approx(1.0)
    assert -1 <= lipsync_eval.stylesim(holes, moving[:40]) <= 1
    for bad in (moving[:, :60], moving[:5], np.full((20, 68, 2), np.nan)):
        with pytest.raises(InputError):
            lipsync_eval.stylesim(bad, moving)


def test_missing_weights_name_the_pull_line(tmp_path: Path) -> None:
    how = Settings(weights_dir=tmp_path)
    for call in (
        lambda: lipsync_eval.lpips(CROPS, NOISY, settings=how),
        lambda: lipsync_eval.fid(CROPS, NOISY, settings=how),
        lambda: lipsync_eval.csim(
            np.zeros((1, 112, 112, 3), np.uint8), np.zeros((1, 112, 112, 3), np.uint8), settings=how
        ),
        lambda: lipsync_eval.lse(
            np.zeros((9, 224, 224, 3), np.uint8), RNG.normal(0, 0.1, 9 * 640).clip(-1, 1), settings=how
        ),
        lambda: lipsync_eval.avs(np.zeros((9, 96, 96), np.uint8), np.zeros((9, 96, 96), np.uint8), settings=how),
    ):
        with pytest.raises(MissingWeights, match=r"--weights"):
            call()


def test_wrong_arrays_are_named() -> None:
    for call, words in (
        (lambda: lipsync_eval.lpips(CROPS, NOISY[:3]), "one shape"),
        (lambda: lipsync_eval.fid(CROPS[0], NOISY), "at least two crops"),
        (lambda: lipsync_eval.lse(CROPS, np.zeros(9999)), "224, 224"),
        (lambda: lipsync_eval.lse(np.zeros((9, 224, 224, 3), np.uint8), np.full(9999, 3.0)), r"\[-1, 1\]"),
        (lambda: lipsync_eval.avs(np.zeros((9, 96, 96), np.uint8)), "at least one"),
        (lambda: lipsync_eval.avs(CROPS, CROPS), "96, 96"),
        (lambda: lipsync_eval.csim(CROPS, NOISY[:2]), "one shape"),
    ):
        with pytest.raises(InputError, match=words):
            call()
    with pytest.raises(MetricError, match="silent"):
        lipsync_eval.lse(np.zeros((9, 224, 224, 3), np.uint8), np.zeros(9999))


def film(folder: Path, size: int = 64, n: int = 8) -> dict[str, np.ndarray]:
    """gen.mkv and gt.mkv in a folder, and their frames as they are read back."""
    real = list(frames(n, size=size))
    write(folder / "gt.mkv", real, sound(n))
    write(folder / "gen.mkv", [np.roll(f, 2, 1) for f in real], sound(n))
    return {name: np.stack(list(lipsync_eval.open_clip(folder / f"{name}.mkv").frames())) for name in ("gen", "gt")}


def test_lpips_and_fid_are_what_score_gives(tmp_path: Path) -> None:
    """Seeded weights: the run's numbers and the functions' on the same crops."""
    write_lpips(tmp_path)
    write_inception(tmp_path)
    how = Settings(protocol="raw", cache_dir=None, weights_dir=tmp_path)
    clips = film(tmp_path, n=3)
    run = lipsync_eval.score(tmp_path / "gen.mkv", tmp_path / "gt.mkv", metrics="lpips,fid", settings=how)
    gen, gt = clips["gen"], clips["gt"]
    assert np.mean(lipsync_eval.lpips(gen, gt, settings=how)) == pytest.approx(run["lpips"].value, rel=1e-6)
    assert isinstance(lipsync_eval.lpips(gen[0], gt[0], settings=how), float)
    assert lipsync_eval.fid(gen, gt, settings=how) == pytest.approx(run["fid"].value, rel=1e-6)


def test_lse_is_what_score_gives(tmp_path: Path) -> None:
    weights = official.seeded_file(tmp_path / "syncnet_v2.model")
    how = Settings(protocol="lrs", cache_dir=None, weights={"syncnet": weights})
    clips = film(tmp_path, size=224, n=24)
    run = lipsync_eval.score(tmp_path / "gen.mkv", tmp_path / "gt.mkv", metrics="lse_c,lse_d,av_offset", settings=how)
    audio = lipsync_eval.open_clip(tmp_path / "gen.mkv").audio
    assert audio is not None
    found = lipsync_eval.lse(clips["gen"], audio.samples, settings=how)
    for name in ("lse_c", "lse_d", "av_offset"):
        assert getattr(found, name) == pytest.approx(run[name].value, rel=1e-5, abs=1e-6)
    assert lipsync_eval.lse(clips["gen"], audio.int16(), settings=how) == found


def test_csim_of_aligned_faces(tmp_path: Path) -> None:
    how = Settings(cache_dir=None, weights={"w600k_r50": write_r18(tmp_path / "backbone.pth")})
    faces = np.stack(frames(3, size=112))
    assert lipsync_eval.csim(faces, faces, settings=how) == pytest.approx(np.ones(3), abs=1e-6)
    other = lipsync_eval.csim(faces, faces[:, ::-1], settings=how)
    assert other.shape == (3,) and (other < 0.999).all() and (other >= -1).all()


def test_avs_of_mouth_crops(data: Path) -> None:
    """The tiny checkpoint of the golden numbers: a video against itself is 1, and the parts agree with the metric's own."""
    from lipsync_eval.features.avhubert import audio_input, features, load
    from lipsync_eval.metrics.avs import frame_mean

    tiny = data / "golden" / "avhubert" / "B_pretrained" / "avhubert_tiny_pretrained.pt"
    if not tiny.exists():
        pytest.skip("the tiny AV-HuBERT checkpoint is not in the test data")
    how = Settings(cache_dir=None, weights={"avhubert": tiny}, device="cpu")
    mouths = RNG.integers(0, 256, (12, 96, 96), np.uint8)
    other = np.ascontiguousarray(mouths[::-1])
    audio = (3000 * np.sin(np.arange(12 * 640) / 9)).astype(np.int16)
    found = lipsync_eval.avs(mouths, other, audio, settings=how)
    model = load(tiny)
    heard = audio_input(audio, 12, model.config.normalize)
    assert found.avs_u == pytest.approx(frame_mean(features(model, mouths), features(model, audio=heard)), abs=1e-6)
    assert found.avs_v == pytest.approx(frame_mean(features(model, mouths), features(model, other)), abs=1e-6)
    assert lipsync_eval.avs(mouths, mouths, settings=how) == (None, None, pytest.approx(1.0, abs=1e-6))
    assert lipsync_eval.avs(mouths, audio=audio, settings=how).avs_m is None
