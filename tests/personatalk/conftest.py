"""A talking video, data fitted with 68 points, and both stages after three steps."""

import pytest
from support.personatalk import MICRO, as_options
from support.radio import talking_video

from lipsync_eval.cli import run as cli


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    talking_video(folder / "talk.mkv", frames=40)
    return folder


@pytest.fixture(scope="session")
def data(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "made"
    command = ["personatalk", "fit", str(videos), "--provider", "points68", "--data", str(folder), "--size", "48"]
    assert cli([*command, "--min-frames", "5"]) == 0
    return folder


@pytest.fixture(scope="session")
def runs(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    common = [*as_options(MICRO), "--data", str(data), "--device", "cpu"]
    assert cli(["personatalk", "train-geometry", *common, "--out", str(out / "geometry")]) == 0
    assert cli(["personatalk", "train-renderer", *common, "--out", str(out / "renderer")]) == 0
    return out / "geometry", out / "renderer"
