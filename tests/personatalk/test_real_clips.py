"""The default provider on real clips; needs mediapipe, its model and LIPSYNC_EVAL_TEST_DATA."""

import os
from pathlib import Path

import numpy as np
import pytest

from lipsync_eval.baselines.personatalk.geometry.mediapipe import MediaPipe
from lipsync_eval.cli import run as cli
from lipsync_eval.faces import track_faces
from lipsync_eval.faces.mediapipe import MESH_TO_68
from lipsync_eval.media import open_clip

DATA = os.environ.get("LIPSYNC_EVAL_TEST_DATA")


@pytest.fixture
def shared():
    pytest.importorskip("mediapipe", reason="mediapipe is an optional package")
    if DATA is None:
        pytest.skip("LIPSYNC_EVAL_TEST_DATA is not set")
    return Path(DATA)


def test_the_mesh_lies_on_the_landmarks(shared):
    clip = open_clip(shared / "clips" / "original" / "grid_bbaf2n.mpg")
    track = track_faces(clip)
    face = MediaPipe(shared / "weights" / "face_landmarker.task").fit(clip, track)
    posed = face.camera.pose(face.vertices)[:, list(MESH_TO_68), :2]
    eyes = np.linalg.norm(track.points[:, 36] - track.points[:, 45], axis=1)
    distance = np.linalg.norm(posed - track.points, axis=2)[:, 27:].mean(1) / eyes
    assert face.valid.all() and distance.mean() < 0.08  # of the outer eye corners' distance; two landmark finders


def test_fit_writes_what_stylesim_reads(shared, tmp_path, capsys):
    for side in ("gen", "gt"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "a.mpg").symlink_to(shared / "clips" / "original" / "grid_bbaf2n.mpg")
        command = [
            "personatalk",
            "fit",
            str(tmp_path / side),
            "--landmarker",
            str(shared / "weights" / "face_landmarker.task"),
        ]
        assert cli(command) == 0
    scored = ["score", str(tmp_path / "gen"), str(tmp_path / "gt"), "--metrics", "stylesim_vertices"]
    assert cli([*scored, "--cache", str(tmp_path / "cache")]) == 0
    assert "stylesim_vertices" in capsys.readouterr().out
