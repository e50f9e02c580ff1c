"""Real clips: read from the folder that LIPSYNC_EVAL_TEST_DATA names (not shipped)."""

import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.face_clips import clip_of

from lipsync_eval.faces import dlib68, track_faces
from lipsync_eval.faces.follow import follow
from lipsync_eval.faces.points import CHIN, MOUTH, mouth_opening
from lipsync_eval.types import FOUND, MISSING

_root = os.environ.get("LIPSYNC_EVAL_TEST_DATA")
ROOT = Path(_root) if _root else Path("absent")
pytestmark = pytest.mark.skipif(
    not (ROOT / "clips").is_dir(),
    reason="set LIPSYNC_EVAL_TEST_DATA to a folder with clips/ (real clips are not shipped)",
)
FILES = {"yunet": "face_detection_yunet_2023mar_int8bq.onnx", "face_landmarker": "face_landmarker.task"}
CLIPS = [
    "original/hdtf_menendez.mp4",
    "original/grid_sbia1a.mpg",
    "original/syncnet_example_offset3.avi",
    "dubbed/wav2lip_ak_gen.mp4",
]


def weights(name):
    return ROOT / "weights" / FILES[name]


@cache
def frames(name, n=40):
    import av

    with av.open(str(ROOT / "clips" / name)) as container:
        found = []
        for image in container.decode(video=0):
            found.append(np.ascontiguousarray(image.to_ndarray(format="rgb24")).copy())
            if len(found) == n:
                break
    return found


def at256(points):
    """px of the points' frame -> px of a crop from the brows to below the chin, 256 px high."""
    return 256 / (2 * (points[:, CHIN, 1] - points[:, 29, 1]).mean())


class EveryFrame(dlib68.HogDetector):
    stride = 1


@pytest.mark.parametrize("name", CLIPS)
def test_sparse_looks_give_the_points_of_looking_at_every_frame(name):
    sparse = track_faces(clip_of(frames(name)))
    dense = follow(iter(frames(name)), EveryFrame(), dlib68.ShapePredictor())
    assert len(dense.n_faces) == 40 and len(dense.persons) == 1
    assert (sparse.status == FOUND).all()
    distance = np.linalg.norm(sparse.points - np.array(dense.persons[0].points), axis=-1) * at256(sparse.points)
    assert distance.mean() < 0.4
    assert np.percentile(distance, 99) < 2.5


@pytest.mark.parametrize("name", CLIPS)
def test_points_survive_compression(name):
    def compressed(frame):
        ok, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 60])
        assert ok
        return cv2.imdecode(data, cv2.IMREAD_COLOR)

    a, b = track_faces(clip_of(frames(name))), track_faces(clip_of([compressed(f) for f in frames(name)]))
    distance = np.linalg.norm(a.points - b.points, axis=-1)[:, MOUTH] * at256(a.points)
    assert distance.mean() < 1.0


def test_turned_heads_are_followed():
    track = track_faces(clip_of(frames("original/lrs3_ted_headmotion.mp4", 100)))
    assert (track.status != MISSING).all()
    assert (
        track.status == FOUND
    ).sum() >= 85  # in some frames the face is seen from the side, and its points are refused


def test_another_person_after_a_cut_is_another_track():
    a, b = frames("original/hdtf_menendez.mp4"), frames("original/hdtf_katiehill_headmotion.mp4")
    track = track_faces(clip_of([*a[:12], *b[:20]]))
    assert not track.valid[:12].any() and track.valid[12:].all()
    assert any("before frame 12" in note for note in track.notes)


def test_the_same_person_after_a_cut_away_is_one_track():
    a, b = frames("original/grid_sbia1a.mpg"), frames("original/grid_bbaf2n.mpg")
    track = track_faces(clip_of([*a[:12], *[f // 8 for f in b[:12]], *a[12:24]]))
    assert track.valid[:12].all() and track.valid[-12:].all() and not track.valid[12:24].any()


@pytest.mark.parametrize("name", CLIPS)
def test_yunet_leads_to_the_same_points(name):
    hog = track_faces(clip_of(frames(name)))
    yunet = track_faces(clip_of(frames(name)), detector="yunet", weights=weights)
    assert yunet.backend == "dlib68.1,yunet.1@49f000ec"
    assert (yunet.status == FOUND).all()
    assert np.nanmin(yunet.score) > 0.8
    assert np.linalg.norm(hog.points - yunet.points, axis=-1).mean() * at256(hog.points) < 0.7


def test_yunet_does_not_depend_on_threads():
    before = cv2.getNumThreads()
    tracks = []
    try:
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            tracks.append(track_faces(clip_of(frames(CLIPS[0], 20)), detector="yunet", weights=weights))
    finally:
        cv2.setNumThreads(before)
    assert tracks[0].boxes.tobytes() == tracks[1].boxes.tobytes()
    assert tracks[0].points.tobytes() == tracks[1].points.tobytes()


@pytest.mark.skipif(not find_spec("mediapipe"), reason="mediapipe is not installed (optional backend)")
@pytest.mark.parametrize("name", CLIPS)
def test_mediapipe_agrees_with_dlib(name):
    ours = track_faces(clip_of(frames(name)))
    mesh = track_faces(clip_of(frames(name)), landmarks="mediapipe", weights=weights)
    assert mesh.backend.startswith("mediapipe.1@64184e22@")
    assert (mesh.status == FOUND).all()
    distance = np.linalg.norm(ours.points - mesh.points, axis=-1) * at256(ours.points)
    assert distance.mean() < 7
    if "wav2lip" not in name:  # a beard hides the lips
        assert np.corrcoef(mouth_opening(ours.points), mouth_opening(mesh.points))[0, 1] > 0.8


@pytest.mark.skipif(not find_spec("face_alignment"), reason="face-alignment is not installed (optional backend)")
@pytest.mark.slow
def test_fan_gives_what_face_alignment_gives(tmp_path, monkeypatch):
    """With random weights: the points mean nothing, but they are face-alignment's own."""
    import face_alignment
    import torch
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    torch.manual_seed(0)
    hub = tmp_path / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    files = {"fan2d": hub / "2DFAN4-11f355bf06.pth.tar", "fan-s3fd": hub / "s3fd.pth"}
    torch.save(FAN(4).state_dict(), files["fan2d"])
    torch.save(s3fd().state_dict(), files["fan-s3fd"])
    clip = clip_of(frames(CLIPS[1], 3))
    track = track_faces(clip, landmarks="fan", detector="hog", weights=files.__getitem__)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    theirs = face_alignment.FaceAlignment(
        face_alignment.LandmarksType.TWO_D,
        device="cpu",
        compile=False,
        face_detector_kwargs={"path_to_detector": str(files["fan-s3fd"])},
    )
    for time, frame in enumerate(frames(CLIPS[1], 3)):
        expected = theirs.get_landmarks_from_image(frame, detected_faces=[track.boxes[time]])[0]
        assert np.abs(expected - track.points[time]).max() < 1e-4
