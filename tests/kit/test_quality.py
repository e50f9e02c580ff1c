"""Which runs are good enough to train on."""

import json

import cv2
import numpy as np
import pytest
from support.radio import talking_video
from support.toy import options

from lipsync_eval.baselines.kit.data.preparation import prepare
from lipsync_eval.baselines.kit.data.quality import face_height, sampled, sharpness
from lipsync_eval.baselines.kit.data.shards import load_manifest
from lipsync_eval.cli import run as cli
from lipsync_eval.errors import OutputError


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return talking_video(tmp_path_factory.mktemp("clip") / "talk.mkv", frames=30)


def entry(folder):
    return load_manifest(folder).entries()[0][2]


def test_by_hand():
    points = np.zeros((3, 68, 2))
    points[:, :, 1], points[:, 1, 1] = 10, [110, 90, 310]
    assert face_height(points) == 100
    assert sampled(10, 13) == [10, 11, 12] and sampled(0, 101) == [0, 12, 25, 38, 50, 62, 75, 88, 100]
    spot = np.zeros((5, 5, 3), np.uint8)
    spot[2, 2] = 100  # Laplacian: -400 once, 100 four times
    assert sharpness([spot]) == pytest.approx((400**2 + 4 * 100**2) / 25)
    assert sharpness([cv2.GaussianBlur(spot, (3, 3), 1), spot, spot]) == sharpness([spot])  # the median


def test_thresholds_and_measured_values_are_in_the_manifest(video, tmp_path):
    prepare(video, tmp_path / "plain", options(min_frames=5))
    plain = entry(tmp_path / "plain")
    assert plain.face > 30 and plain.sharpness is None
    assert not {"min_face", "min_sharpness"} & set(load_manifest(tmp_path / "plain").preprocessing)
    prepare(video, tmp_path / "kept", options(min_frames=5, min_face=plain.face - 1, min_sharpness=0.5))
    kept = entry(tmp_path / "kept")
    assert kept.face == plain.face and kept.sharpness > 0.5
    assert load_manifest(tmp_path / "kept").preprocessing["min_face"] == plain.face - 1
    assert (tmp_path / "kept" / load_manifest(tmp_path / "kept").shards[0].file).stat().st_size > 0
    with pytest.raises(OutputError, match="min_face"):
        prepare(video, tmp_path / "plain", options(min_frames=5, min_face=10.0))
    with pytest.raises(OutputError, match="min_face"):
        prepare(video, tmp_path / "kept", options(min_frames=5))


@pytest.mark.parametrize(
    ("more", "words"),
    [({"min_face": 5000.0}, "less than --min-face 5000"), ({"min_sharpness": 1e6}, "--min-sharpness")],
)
def test_what_is_left_out_is_a_failure_with_its_reason(video, tmp_path, more, words):
    manifest = prepare(video, tmp_path / "data", options(min_frames=5, **more))
    assert not manifest.shards and words in manifest.failures[0].message


def test_commands_take_the_thresholds(video, tmp_path, capsys):
    assert cli(["stylesync", "prepare", str(video), str(tmp_path / "d"), "--min-face", "4000"]) == 3
    assert "--min-face 4000" in json.loads(capsys.readouterr().out)["failures"][0]["message"]
    line = ["personatalk", "fit", str(video), "--provider", "points68", "--vertices", str(tmp_path / "v")]
    assert cli([*line, "--data", str(tmp_path / "p"), "--min-sharpness", "1e9"]) == 3


@pytest.mark.parametrize("command", [("stylesync", "prepare"), ("avhubert-expert", "prepare"), ("personatalk", "fit")])
@pytest.mark.parametrize(
    "more",
    [
        "--size=-4",
        "--size=0",
        "--workers=0",
        "--min-frames=0",
        "--min-face=-1",
        "--min-face=nan",
        "--min-sharpness=inf",
    ],
)
def test_numbers_without_a_meaning_are_refused(command, more, video, tmp_path, capsys):
    out = ["--data", str(tmp_path / "d")] if command[1] == "fit" else [str(tmp_path / "d")]
    assert cli([*command, str(video), *out, more]) == 2
    assert more.partition("=")[0] in capsys.readouterr().err and not (tmp_path / "d").exists()
