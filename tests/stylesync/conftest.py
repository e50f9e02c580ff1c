"""Prepared data and a trained-for-two-steps G that several tests share."""

import pytest
from support.radio import talking_video
from support.stylesync import micro, segment, write_data
from support.training import ALONE


@pytest.fixture(scope="session")
def style_data(tmp_path_factory):
    """Five entries of 20 synthetic frames, 32 px."""
    folder = tmp_path_factory.mktemp("style")
    write_data(folder, [segment(f"v{k}", seed=k) for k in range(5)])
    return folder


@pytest.fixture(scope="session")
def style_run(tmp_path_factory, style_data):
    """A run of two steps with a checkpoint."""
    from lipsync_eval.baselines.stylesync.training.generator import run_training

    out = tmp_path_factory.mktemp("runs") / "micro"
    run_training(micro(style_data, train={"steps": 2}), out, ALONE, resume=False, say=lambda text: None)
    return out


@pytest.fixture(scope="session")
def person(tmp_path_factory):
    """A talking video of one person, 30 frames."""
    return talking_video(tmp_path_factory.mktemp("person") / "talk.mkv", frames=30)
