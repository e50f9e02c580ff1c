"""Prepared data and a trained-for-two-steps generator that several tests share."""

import pytest
from support.radio import micro, segment, talking_video, write_data


@pytest.fixture(scope="session")
def made_data(tmp_path_factory):
    """Five entries of 20 synthetic frames, 32 px."""
    folder = tmp_path_factory.mktemp("made")
    write_data(folder, [segment(f"v{k}", seed=k) for k in range(5)])
    return folder


@pytest.fixture(scope="session")
def talking_clip(tmp_path_factory):
    """A talking video, 40 frames of 192 px, lossless, with audio."""
    return talking_video(tmp_path_factory.mktemp("clip") / "talk.mkv")


@pytest.fixture(scope="session")
def micro_run(tmp_path_factory, made_data):
    """A run of two steps with a checkpoint."""
    from lipsync_eval.baselines.kit.training.processes import ranks
    from lipsync_eval.baselines.radio.training.generator import run_training

    out = tmp_path_factory.mktemp("runs") / "micro"
    with ranks("cpu") as mine:
        run_training(micro(made_data, train={"steps": 2}), out, mine, resume=False, say=lambda text: None)
    return out
