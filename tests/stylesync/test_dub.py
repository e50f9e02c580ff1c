"""Dubbing with StyleSync: the mask that is pasted, references, smoothing of the audio, and the commands."""

import json

import numpy as np
import pytest
import torch
from support.stylesync import face_points

from lipsync_eval.baselines.kit.dubbing.dub import dub as kit_dub
from lipsync_eval.baselines.stylesync.data.alignment import EYES
from lipsync_eval.baselines.stylesync.data.mask import u_mask
from lipsync_eval.baselines.stylesync.dubbing.generator import load_generator, smoothed
from lipsync_eval.baselines.stylesync.dubbing.mask import masker, soft_mask
from lipsync_eval.baselines.stylesync.presets import PRESETS
from lipsync_eval.cache import Cache
from lipsync_eval.cli import run as cli
from lipsync_eval.errors import InputError
from lipsync_eval.faces import track_faces
from lipsync_eval.media import open_clip
from lipsync_eval.warp import apply


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("tracks"))


def crops(path):
    return np.stack(list(open_clip(path).frames()))


def dub(generator, video, folder, cache, **options):
    folder.mkdir(exist_ok=True)
    report = kit_dub(video, video, folder / "out.mkv", generator, crops=folder / "crops", cache=cache, **options)
    return report, crops(folder / "crops" / "gen" / "out.mkv")


def test_soft_mask():
    alpha = soft_mask(u_mask(face_points()), 64)
    assert alpha.shape == (64, 64) and alpha.dtype == np.float32 and alpha.max() == 1
    assert alpha[42, 32] == 1 and not alpha[:12].any() and not alpha[-1, 0] and alpha[-1].max() < 0.05


def test_smoothing_by_hand():
    codes = torch.tensor([[1.0], [0.0], [2.0]])
    expected = torch.tensor([[1.25], [0.375], [1.8625]])  # 1; 0.3; 0.09 + 1.4; times 1.25
    torch.testing.assert_close(smoothed(codes, 0.3, 1.25), expected)
    assert torch.equal(smoothed(codes, 0.0, 1.0), codes)


def test_pixels_outside_the_mask_stay(style_run, person, cache, tmp_path):
    generator = load_generator(style_run, "cpu")
    alpha = masker(generator.mask, generator.size)
    report, _ = dub(generator, person, tmp_path, cache, mask=alpha)
    assert report.synthetic and report.reference == "frame 0" and report.generator == "StyleSync G (micro, 32 px)"
    before, after = crops(person), crops(tmp_path / "out.mkv")
    track = track_faces(open_clip(person), cache=cache)
    matrices = EYES.matrices(track.points, 32)
    y, x = np.mgrid[: before.shape[1], : before.shape[2]]
    place = np.stack([x, y], -1).reshape(-1, 2).astype(float)
    for i in (0, 17):
        outside = (apply(matrices[i], place) < -1).any(1) | (apply(matrices[i], place)[:, 1] < 6)
        np.testing.assert_array_equal(before[i].reshape(-1, 3)[outside], after[i].reshape(-1, 3)[outside])
    assert (before != after).any()


def test_batches_do_not_matter_even_with_smoothing(style_run, person, cache, tmp_path):
    plain = dub(load_generator(style_run, "cpu"), person, tmp_path / "a", cache, batch=4)[1]
    smooth = [
        dub(load_generator(style_run, "cpu", None, 0.3, 1.25), person, tmp_path / f"s{batch}", cache, batch=batch)
        for batch in (1, 7)
    ]
    assert np.abs(smooth[0][1].astype(int) - smooth[1][1]).max() <= 1
    assert smooth[0][0].checkpoint["audio"] == {"smooth": 0.3, "gain": 1.25}
    assert (smooth[0][1] != plain).any()
    with pytest.raises(InputError, match=r"must be in \[0, 1\)"):
        load_generator(style_run, "cpu", None, 1.0)


def test_every_frame_as_its_own_reference(style_run, person, cache, tmp_path):
    generator = load_generator(style_run, "cpu")
    report, own = dub(generator, person, tmp_path / "own", cache, own_frames=True)
    assert report.reference == "every frame itself, with its true mouth"
    fixed = dub(generator, person, tmp_path / "fixed", cache)[1]
    assert np.abs(own[0].astype(int) - fixed[0]).max() <= 1 and (own[20] != fixed[20]).any()


def test_commands(style_run, style_data, person, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LIPSYNC_EVAL_CACHE", str(tmp_path / "cache"))
    p, out = tmp_path / "p", tmp_path / "out.mkv"
    start = ["stylesync", "personalise", str(style_run), "--video", str(person), "--device", "cpu"]
    assert cli([*start, "--out", str(p)]) == 2
    assert "give --general DATA" in capsys.readouterr().err
    assert cli([*start, "--general", str(style_data), "--out", str(p), "--set", "personal.steps=1"]) == 0
    common = ["--video", str(person), "--audio", str(person), "--checkpoint", str(style_run), "--device", "cpu"]
    capsys.readouterr()
    more = ["--personal", str(p), "--reference", "each", "--audio-smooth", "0.3", "--out", str(out)]
    assert cli(["stylesync", "dub", *common, *more]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["generator"].startswith("StyleSync P") and report["reference"].startswith("every frame itself")
    assert open_clip(out).n_frames == 30


@pytest.mark.parametrize(
    "more", ["--audio-gain=nan", "--audio-gain=inf", "--audio-gain=0", "--audio-smooth=nan", "--audio-smooth=1"]
)
def test_numbers_without_a_meaning_are_refused(more, style_run, person, tmp_path, capsys):
    common = ["--video", str(person), "--audio", str(person), "--checkpoint", str(style_run), "--device", "cpu"]
    assert cli(["stylesync", "dub", *common, "--out", str(tmp_path / "out.mkv"), more]) == 2
    assert more.partition("=")[0] in capsys.readouterr().err and not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("preset", PRESETS)
def test_dry_run_needs_nothing(preset, capsys):
    assert cli(["stylesync", "train", "--dry-run", "--preset", preset]) == 0
    said = capsys.readouterr().out
    assert f'name = "{preset}"' in said and "generator" in said
    if preset == "stylesync-256":
        assert "synthesis              61,886,754 parameters" in said and "W+        14 style vectors" in said


def test_dry_run_without_arguments_and_the_baseline(capsys):
    assert cli(["stylesync", "train", "--dry-run"]) == 0 and "stylesync-256" in capsys.readouterr().out
    assert cli(["stylesync", "train-sync", "--dry-run"]) == 0
    capsys.readouterr()
    assert cli(["stylesync", "train", "--dry-run", "--model", "wav2lip-h"]) == 0
    assert 'network = "wav2lip-h"' in capsys.readouterr().out
