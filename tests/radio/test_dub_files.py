"""What a dub may not do to files, and what it is told before any work."""

import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from lipsync_eval.baselines.kit.dubbing.destinations import check_destinations
from lipsync_eval.baselines.kit.dubbing.dub import dub
from lipsync_eval.baselines.kit.progress import told
from lipsync_eval.baselines.radio.dubbing.generator import RadioGenerator, load_generator
from lipsync_eval.baselines.radio.network.generator import Radio
from lipsync_eval.baselines.radio.presets import load
from lipsync_eval.cli import run
from lipsync_eval.cli.radio import radio
from lipsync_eval.errors import FaceError, InputError, OutputError, UsageError
from lipsync_eval.media import write_video


@pytest.fixture
def no_tracking(monkeypatch):
    """Following the face takes long: whatever can be said before must be."""

    def refuse(*_, **__):
        raise AssertionError("the face was followed first")

    monkeypatch.setattr("lipsync_eval.baselines.kit.dubbing.dub.face_track", refuse)


@pytest.mark.usefixtures("no_tracking")
@pytest.mark.parametrize("name", ["v.mkv", "a.mkv", "r.png", "./x/../v.mkv"])
def test_no_input_is_replaced(micro_run, talking_clip, tmp_path, name):
    (tmp_path / "x").mkdir()
    for copy in ("v.mkv", "a.mkv"):
        shutil.copy(talking_clip, tmp_path / copy)
    cv2.imwrite(str(tmp_path / "r.png"), np.zeros((64, 64, 3), np.uint8))
    before = {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    with pytest.raises(OutputError):
        dub(
            tmp_path / "v.mkv",
            tmp_path / "a.mkv",
            tmp_path / name,
            load_generator(micro_run, "cpu"),
            reference=str(tmp_path / "r.png"),
        )
    assert {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_destinations(tmp_path):
    (tmp_path / "gt").mkdir()
    (tmp_path / "gen").mkdir()
    (tmp_path / "file").touch()
    inputs = [tmp_path / "gt" / "a.mkv", tmp_path / "a.wav"]
    for out, crops, size, words in (
        (tmp_path / "a.avi", None, (64, 64), r"--out 'a\.avi': dubbed video goes into \.mkv \(lossless\) or \.mp4"),
        (tmp_path / "none" / "a.mkv", None, (64, 64), "there is no folder .*none; make it first"),
        (tmp_path / "a.mp4", None, (64, 63), r"needs even sides, the video is 63x64; give --out a\.mkv"),
        (tmp_path / "a.mp4", tmp_path, (64, 64), r"a\.mkv is read for this dub and would be replaced"),
        (tmp_path / "gen" / "b.mkv", tmp_path, (64, 64), "lies where the crops go"),
        (tmp_path / "b.mkv", tmp_path / "file", (64, 64), "--crops .*file is there and is no folder"),
    ):
        with pytest.raises(OutputError, match=words):
            check_destinations(out, crops, inputs, size)
    check_destinations(tmp_path / "a.mkv", None, inputs, (63, 63))
    check_destinations(tmp_path / "b.mp4", tmp_path / "crops", inputs, (64, 64))


@pytest.mark.usefixtures("no_tracking")
def test_what_is_wrong_is_said_before_the_face_is_followed(micro_run, talking_clip, tmp_path):
    generator = load_generator(micro_run, "cpu")
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((128, 128, 3), 90, np.uint8))
    for options, error in (
        ({"reference": str(tmp_path / "wall.png")}, FaceError),
        ({"reference": "40"}, UsageError),
        ({"batch": 0}, InputError),
    ):
        with pytest.raises(error):
            dub(talking_clip, talking_clip, tmp_path / "out.mkv", generator, **options)


def test_exit_codes(micro_run, talking_clip, tmp_path, capsys):
    usual = ["--checkpoint", str(micro_run), "--device", "cpu"]

    def call(*more, video=talking_clip, out="o.mkv"):
        code = run(
            [
                "radio",
                "dub",
                "--video",
                str(video),
                "--audio",
                str(talking_clip),
                *usual,
                "--out",
                str(tmp_path / out),
                *more,
            ]
        )
        return code, capsys.readouterr().err

    code, text = call("--batch", "0")
    assert code == 2 and "0 is not in the range" in text
    code, text = call(video=tmp_path / "none.mkv")
    assert code == 2 and "does not exist" in text
    code, text = call(out="o.avi")
    assert code == 2 and "change the suffix" in text
    code, text = call(out="none/o.mkv")
    assert code == 2 and "there is no folder" in text
    looked = run(
        ["radio", "attention", "--video", str(talking_clip), *usual, "--out", str(tmp_path / "none" / "a.png")]
    )
    assert looked == 2 and "there is no folder" in capsys.readouterr().err


def test_silence_and_enlargement_are_noted(micro_run, talking_clip, tmp_path):
    write_video(
        tmp_path / "s.mkv", iter(np.zeros((2, 8, 8, 3), np.uint8)), audio=np.zeros(round(1.6 * 16000), np.float32)
    )
    report = dub(talking_clip, tmp_path / "s.mkv", tmp_path / "o.mkv", load_generator(micro_run, "cpu"))
    assert any("silent throughout" in note for note in report.notes)
    assert any("enlarged" in note and "blurred" in note for note in report.notes)


def test_the_usual_batch_keeps_maps_small_on_a_cpu():
    import torch

    def batch(preset, device):
        config = load(preset=preset)
        with torch.device("meta"):
            model = Radio(config.model)
        return RadioGenerator(model, None, torch.device(device)).batch

    assert [batch(p, "cpu") for p in ("radio-48", "radio-96-d", "radio-192")] == [16, 3, 1]
    assert batch("radio-192", "cuda") == 16


def test_progress(monkeypatch):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("lipsync_eval.baselines.kit.progress.time.monotonic", lambda: next(clock))
    said = []
    assert list(told(iter(range(7)), 7, "dubbed", said.append)) == list(range(7))
    assert said == ["dubbed: 2 of 7 frames, about 30 s left", "dubbed: 5 of 7 frames, about 10 s left"]
    assert "--batch" in CliRunner().invoke(radio, ["dub", "-h"]).output
