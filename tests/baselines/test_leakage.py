"""The leakage experiment on a generator that copies the old mouth and on one that does not, over real clips."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import clips
from support import syncnet_official as official

from lipsync_eval import Result, Settings, score
from lipsync_eval.cli import run
from lipsync_eval.errors import UsageError
from lipsync_eval.media import open_clip
from lipsync_eval.metrics.leakage import IDS, lip_leak, lsd, mouth_aspect_ratio

N = 24
TOY = """
import json, sys, wave
import cv2
import numpy as np
from pathlib import Path
from lipsync_eval.media import open_clip, write_video

job, mode = json.load(open(sys.argv[1])), sys.argv[2]
frames = list(open_clip(Path(job["video"])).frames())
with wave.open(job["audio"], "rb") as w:
    sound = np.frombuffer(w.readframes(w.getnframes()), "<i2").astype(np.float32) / 32768
n = min(len(frames), len(sound) // 640)
if mode == "clean":  # the first frame, its lower half pulled down where the new speech is loud: nothing of the old mouth
    loud = [float(np.sqrt(np.mean(sound[640 * i : 640 * (i + 1)] ** 2))) for i in range(n)]
    h, w = frames[0].shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    frames = [cv2.remap(frames[0], x, y - np.float32(60 * a) * (y > h * 0.62), cv2.INTER_LINEAR) for a in loud]
write_video(Path(job["output"]), frames[:n], audio=sound[: n * 640], codec="h264", crf=14)
"""


def folder(root: Path, names: list[str], source: Path | None) -> list[str]:
    """Clips, a manifest (each with its own speech) and two generators; the command line without its options."""
    (root / "toy.py").write_text(TOY)
    table = [
        f"[{m}]\nrepo = '.'\npython = {json.dumps(sys.executable)}\ncommand = ['{{python}}', 'toy.py', '{{job}}', '{m}']\n"
        for m in ("copy", "clean")
    ]
    (root / "baselines.toml").write_text("\n".join(table))
    rows = ["id,video,audio"]
    for i, name in enumerate(names):
        if source is None:
            frames, sound = clips.frames(N, 192, i), clips.sound(N, i)
        else:
            clip = open_clip(source / f"{name}.mpg")
            frames, sound = tuple(clip.frames(0, N)), clip.audio.samples[: N * 640]  # type: ignore[union-attr]
        clips.write(root / "real" / f"{name}.mkv", frames, sound)
        rows.append(f"{name},real/{name}.mkv,real/{name}.mkv")
    (root / "m.csv").write_text("\n".join(rows) + "\n")
    line = ["compare", "--experiment", "leakage", "--methods", "copy,clean", "--data", str(root / "m.csv")]
    return [*line, "--config", str(root / "baselines.toml"), "--out", str(root / "cmp"), "--quiet"]


def test_a_copied_mouth_leaks_and_a_new_one_does_not(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = folder(tmp_path, ["grid_bbaf2n", "grid_pwij3p"], data / "clips" / "original")
    weights = official.seeded_file(tmp_path / "syncnet.model")
    assert run([*line, "--weights", f"syncnet={weights}"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("LipLeak", "LSE-C silent", "LSE-D silent", "LSD", "copy", "clean", "GT"))
    copy, clean = (Result.load(tmp_path / "cmp" / "leakage" / "runs" / m) for m in ("copy", "clean"))
    assert [s.metric for s in copy.scores] == list(IDS)
    assert copy["lip_leak"].gt_value > 0.1  # type: ignore[operator]
    assert copy["lip_leak"].value == pytest.approx(copy["lip_leak"].gt_value, abs=0.05)  # all of it
    assert clean["lip_leak"].value == 0
    # A copied mouth fits the old speech as well as the real video does, whatever it was dubbed with.
    # (With seeded weights distances are about 155; H.264 moves them by less than a hundredth.)
    assert copy["lse_c_s"].value == pytest.approx(copy["lse_c_s"].gt_value, abs=0.3)
    assert copy["lse_d_s"].value == pytest.approx(copy["lse_d_s"].gt_value, rel=0.01)
    assert clean["lse_d_s"].value != copy["lse_d_s"].value
    assert all(r["lsd"].value > 0 for r in (copy, clean))  # type: ignore[operator]
    assert "experiment:leakage" in copy["lsd"].signature and "feat:syncnet@" in copy["lsd"].signature
    assert "faces:dlib68.1" in copy["lip_leak"].signature
    with (tmp_path / "cmp" / "leakage" / "runs" / "copy.mismatched.csv").open() as file:
        heard = {r["id"]: Path(r["audio"]).name for r in csv.DictReader(file)}
    assert heard == {"grid_bbaf2n": "grid_pwij3p.speech.wav", "grid_pwij3p": "grid_bbaf2n.speech.wav"}


def test_without_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPSYNC_EVAL_WEIGHTS", str(tmp_path / "none"))
    line = folder(tmp_path, ["a"], None)
    assert run(line) == 2
    assert "--metrics lip_leak" in capsys.readouterr().err
    assert not (tmp_path / "cmp").exists()  # nothing was run
    assert run([*line, "--metrics", "psnr"]) == 2
    assert "psnr is none of them" in capsys.readouterr().err
    assert run([*line, "--metrics", "lip_leak"]) == 0
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "cmp" / "leakage" / "gen").rglob("*.mp4")}
    copy, clean = (Result.load(tmp_path / "cmp" / "leakage" / "runs" / m) for m in ("copy", "clean"))
    assert [s.metric for s in copy.scores] == ["lip_leak"]
    assert copy["lip_leak"].value == pytest.approx(copy["lip_leak"].gt_value, abs=0.1)
    assert clean["lip_leak"].value in (0.0, 1.0)  # one frame, held
    assert run([*line, "--skip-missing"]) == 0
    assert len(made) == 2 and all(p.stat().st_mtime_ns == t for p, t in made.items())  # what is done is not run again
    assert "left out for lack of weights: lse_c_s, lse_d_s, lsd" in capsys.readouterr().err


def test_one_speech_is_too_few_for_lsd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = folder(tmp_path, ["a"], None)
    weights = official.seeded_file(tmp_path / "syncnet.model")
    assert run([*line, "--weights", f"syncnet={weights}", "--metrics", "lsd"]) == 2
    assert "at least two different speeches" in capsys.readouterr().err


@pytest.mark.parametrize("metric", IDS)
def test_a_plain_score_refuses_and_points_to_the_experiment(
    metric: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips.write(tmp_path / "a.mkv", clips.frames(5))
    with pytest.raises(UsageError, match="compare --experiment leakage"):
        score(tmp_path / "a.mkv", tmp_path / "a.mkv", metrics=f"psnr,{metric}", settings=Settings(protocol="raw"))
    assert run(["list"]) == 0 and run(["show", metric]) == 0
    out = capsys.readouterr().out
    assert metric in out and "opt-in" in out


@given(st.floats(0, 30), st.floats(5, 60))
def test_the_aspect_ratio_is_height_over_width(height: float, width: float) -> None:
    points = np.zeros((3, 68, 2))
    points[:, 60], points[:, 64] = (0, 0), (width, 0)
    for k, (a, b) in enumerate(((61, 67), (62, 66), (63, 65))):
        points[:, a], points[:, b] = (k, -height / 2), (k, height / 2)
    points[2] = np.nan
    ratio = mouth_aspect_ratio(points)
    assert ratio[0] == pytest.approx(height / width)
    assert np.isnan(ratio[2])
    assert lip_leak(points) == float(ratio[0] > 0.25)
    assert np.isnan(lip_leak(points[2:]))


def test_lsd_is_the_mean_of_both_distances() -> None:
    assert lsd(7.0, 6.0, 5.0, 9.0) == 2.5
    assert lsd(5.0, 9.0, 7.0, 6.0) == 2.5
