"""Several references, one report; and the command line."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from lipsync_eval.baselines.radio.dubbing.generator import load_generator
from lipsync_eval.baselines.radio.dubbing.robustness import names_of, robustness, spread, table
from lipsync_eval.cli.radio import radio
from lipsync_eval.errors import OutputError, UsageError
from lipsync_eval.media import open_clip


def test_spread_by_hand():
    found = spread([1.0, 2.0, 6.0])
    assert found == pytest.approx({"mean": 3.0, "sd": np.sqrt(7.0), "min": 1.0, "max": 6.0, "range": 5.0})


def test_names_are_plain_and_distinct():
    assert names_of(["a/x.png", "b/x.png", "12", "q .jpg"]) == ["00-x", "01-x", "02-12", "03-q_"]


@pytest.fixture(scope="module")
def report(micro_run, talking_clip, tmp_path_factory):
    """Three references of the talking clip."""
    out = tmp_path_factory.mktemp("robust") / "out"
    generator = load_generator(micro_run, "cpu")
    return out, robustness(talking_clip, talking_clip, ["0", "15", "15"], generator, out, metrics="psnr,lmd")


def test_every_reference_is_dubbed_and_scored(report):
    out, found = report
    assert sorted(p.name for p in (out / "gen").glob("*.mkv")) == ["00-0.mkv", "01-15.mkv", "02-15.mkv"]
    assert json.loads((out / "robustness.json").read_text()) == found
    scores = found["scores"]["psnr"]
    assert set(scores) == {"00-0", "01-15", "02-15"} and scores["01-15"] == scores["02-15"]
    moved = found["spread"]["psnr"]
    assert moved["mean"] == pytest.approx(np.mean(list(scores.values())))
    assert moved["range"] == pytest.approx(max(scores.values()) - min(scores.values()))
    assert "psnr" in table(found) and (out / "run" / "results.json").exists()


def test_what_cannot_be_compared(report, talking_clip, micro_run):
    out, _ = report
    generator = load_generator(micro_run, "cpu")
    with pytest.raises(UsageError, match="1 reference given; give at least two"):
        robustness(talking_clip, talking_clip, ["0"], generator, out)
    with pytest.raises(OutputError, match="is not empty"):
        robustness(talking_clip, talking_clip, ["0", "1"], generator, out)


def call(*arguments):
    return CliRunner().invoke(radio, [str(a) for a in arguments])


@pytest.mark.parametrize("command", ["train", "train-sync"])
def test_dry_run_prints_the_default_and_touches_no_data(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    result = call(command, "--dry-run")
    assert result.exit_code == 0 and not list(tmp_path.iterdir())
    text = result.stdout
    for line in (
        'name = "radio-192"',
        "size = 192",
        'variant = "D"',
        "# folder is not set",
        "E_c 6     512x12x12",
        "f_W       1024",
        "G 5       256x48x48 -> 128x96x96, ViT before it: 2 layers, 8 heads, 2x2 patches, 12x24 tokens",
        "output    3x192x192",
        "generator              61,984,488 parameters",
    ):
        assert line in text.splitlines(), line


def test_the_printed_configuration_can_be_read_again(tmp_path):
    from lipsync_eval.baselines.kit.configuration.resolve import toml
    from lipsync_eval.baselines.radio import presets

    for preset in presets.PRESETS:
        config = presets.load(preset=preset, overrides=["data.folder=/a b/c"])
        path = tmp_path / f"{preset}.toml"
        path.write_text(toml(config))
        assert presets.load(path) == config


def test_presets_and_overrides_on_the_command_line():
    text = call("train", "--dry-run", "--preset", "radio-96-a", "--set", "train.batch=4").stdout
    assert 'variant = "A"' in text and "batch = 4" in text and "f_W       512" in text and "f_s " not in text


def test_train_dub_and_look_from_the_command_line(made_data, talking_clip, tmp_path):
    from support.radio import micro

    from lipsync_eval.baselines.kit.configuration.resolve import toml

    (tmp_path / "micro.toml").write_text(toml(micro(train={"steps": 1})))
    out = tmp_path / "run"
    result = call("train", "--config", tmp_path / "micro.toml", "--data", made_data, "--out", out, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert result.stdout == "" and "step 1/1" in result.stderr
    result = call(
        "dub",
        "--video",
        talking_clip,
        "--audio",
        talking_clip,
        "--checkpoint",
        out,
        "--out",
        tmp_path / "o.mkv",
        "--device",
        "cpu",
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["frames"] == 40 and open_clip(tmp_path / "o.mkv").n_frames == 40
    result = call(
        "attention", "--video", talking_clip, "--checkpoint", out, "--out", tmp_path / "a.png", "--device", "cpu"
    )
    assert result.exit_code == 0, result.output
    assert cv2.imread(str(tmp_path / "a.png")).shape[0] == 384


def test_help_is_quick_and_imports_no_torch():
    code = "import sys; from lipsync_eval.cli import run; run(['radio', '-h']); print('torch' in sys.modules, 'cv2' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "100"}
    )
    assert found.stdout.splitlines()[-1] == "False False"
    for command in ("prepare", "train-sync", "train", "dub", "attention", "robustness"):
        assert f"  {command} " in found.stdout


def test_prepare_on_the_command_line(talking_clip, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "talk.mkv").write_bytes(talking_clip.read_bytes())
    (tmp_path / "videos" / "bad.mp4").write_bytes(b"no video")
    result = CliRunner().invoke(
        radio, ["prepare", str(tmp_path / "videos"), str(tmp_path / "data"), "--size", "64"], standalone_mode=False
    )
    assert result.return_value == 3  # some failed
    found = json.loads(result.stdout)
    assert (found["videos"], found["frames"], found["failures"][0]["source"]) == (1, 40, "bad.mp4")
    assert "failed: bad.mp4" in result.stderr


def test_references_may_follow_one_another(talking_clip, micro_run, tmp_path, monkeypatch):
    given = []

    def note(video, audio, references, *_, **__):
        given.append(references)
        return {"spread": {}}

    monkeypatch.setattr("lipsync_eval.baselines.radio.dubbing.robustness.robustness", note)
    usual = [
        "robustness",
        "--video",
        talking_clip,
        "--checkpoint",
        micro_run,
        "--device",
        "cpu",
        "--out",
        tmp_path / "o",
    ]
    for references in (["--references", "0", "15", "a.png"], ["--references", "0", "--references", "15", "a.png"]):
        assert call(*usual, *references).exit_code == 0
    assert call(*usual[:1], "--references", "0", "15", "a.png", *usual[1:]).exit_code == 0
    assert given == [("0", "15", "a.png")] * 3
