"""`style train --features vertices`, and the metric that its encoder is for."""

from functools import partial

import numpy as np
import pytest
from support.radio import talking_video
from support.vertices import vertices_encoder

from lipsync_eval.cli import run as cli
from lipsync_eval.engine.score import score
from lipsync_eval.errors import MissingWeights, RefusedCheckpoint
from lipsync_eval.features.style.training import load
from lipsync_eval.types import Settings

POINTS = 12


def write(path, speaker, frames=90, lost=()):
    rng = np.random.default_rng(speaker)
    t = np.arange(frames)[:, None, None] / 25
    moved = np.sin(2 * np.pi * (1 + speaker) * t + rng.uniform(0, 6, (POINTS, 3))) * 0.1
    valid = ~np.isin(np.arange(frames), lost)
    moved[~valid] = 1e3
    rest = rng.normal(size=(POINTS, 3))
    np.savez(path, vertices=rest + moved, template=rest, valid=valid)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    corpus = tmp_path_factory.mktemp("corpus")
    how = ("--steps", "30", "--rate", "0.001")
    return vertices_encoder(corpus, corpus / "encoder.pt", 3, partial(write, lost=(3,)), *how)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for side in ("gen", "gt"):
        (folder / side).mkdir()
        talking_video(folder / side / "a.mkv", frames=40)
    return folder


def scored(clips, encoder, **more):
    options = {"style_encoder": str(encoder)} if encoder else {}
    settings = Settings(options=options, cache_dir=clips / "cache", **more)
    return score(clips / "gen", clips / "gt", metrics="stylesim_vertices_encoder", settings=settings)


def test_the_same_manner_is_1_and_lost_frames_do_not_count(clips, encoder):
    write(clips / "gen" / "a.vertices.npz", 0, 40, lost=(5, 6))
    write(clips / "gt" / "a.vertices.npz", 0, 40)
    same = scored(clips, encoder)
    assert same.scores[0].value > 0.9 and "vertices-encoder@" in same.scores[0].signature
    assert load(encoder).constants.features == "vertices"
    write(clips / "gt" / "a.vertices.npz", 2, 40)
    assert scored(clips, encoder).scores[0].value < same.scores[0].value - 0.1


def test_what_is_missing_is_told(clips, encoder, tmp_path):
    with pytest.raises(MissingWeights, match="style train"):
        scored(clips, None)
    np.savez(clips / "gt" / "a.vertices.npz", vertices=np.zeros((40, 5, 3)))
    assert "the encoder takes 36 numbers" in scored(clips, encoder).failures[0].message
    (tmp_path / "other.pt").write_bytes(b"x")
    with pytest.raises(RefusedCheckpoint):
        scored(clips, tmp_path / "other.pt")
    np.savez(clips / "gt" / "a.vertices.npz", vertices=np.zeros((40, 12, 3)), valid=np.zeros(3))
    assert "valid should be (40,)" in scored(clips, encoder).failures[0].message


def test_commands_that_know_no_vertices_say_so(clips, tmp_path, capsys):
    assert cli(["style", "map", str(clips), "--features", "vertices", "--out", str(tmp_path / "m.png")]) == 2
    assert "personatalk style" in capsys.readouterr().err
    assert cli(["style", "constants", str(clips), "--features", "vertices", "--out", str(tmp_path / "c.json")]) == 2
