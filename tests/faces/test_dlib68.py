"""The default backend on real frames of a face."""

import subprocess
import sys

import numpy as np
import pytest
from skimage import data
from support.face_clips import clip_of, head, scene

from lipsync_eval.cache import Cache
from lipsync_eval.errors import FaceError, MediaError, WeightsError
from lipsync_eval.faces import dlib68, track_faces
from lipsync_eval.faces.points import EYES, MOUTH, NOSE, face_box, face_square, interocular
from lipsync_eval.types import FILLED, FOUND, MISSING

A = head(160)
BLACK = np.zeros((240, 320, 3), np.uint8)


def still(n, x=80, y=40):
    return [scene((x, y, A))] * n


def letters(track):
    return "".join("-+~"[s] for s in track.status)


def test_points_are_where_the_features_are():
    track = track_faces(clip_of([data.astronaut()]))
    eyes, nose, mouth = (track.points[0, part].mean(axis=0) for part in (EYES, NOSE, MOUTH))
    assert np.linalg.norm(eyes - [225, 102]) < 5  # read off the frame by eye
    assert np.linalg.norm(mouth - [223, 146]) < 5
    assert eyes[1] < nose[1] < mouth[1]
    assert 45 < interocular(track.points)[0] < 75
    assert track.backend == "dlib68.1"
    assert track.n_faces.tolist() == [1]
    assert track.score[0] > 1


def test_points_move_with_the_frame():
    left, right = (track_faces(clip_of(still(1, x=x, y=y))).points[0] for x, y in ((60, 30), (101, 51)))
    assert np.abs(right - left - [41, 21]).max() < 2.5
    assert np.abs(right - left - [41, 21]).mean() < 0.5


def test_points_grow_with_the_frame():
    small, large = (track_faces(clip_of([head(side)])).points[0] for side in (128, 256))
    assert np.abs(2 * small + 0.5 - large).mean() < 0.015 * 256


def test_points_hardly_depend_on_the_box():
    frame = np.ascontiguousarray(data.astronaut())
    square = face_square(track_faces(clip_of([frame])).points[0])
    predictor = dlib68.ShapePredictor()
    side = square[2] - square[0]
    found = [
        predictor.points(frame, dlib68.moved(square, *shift))
        for shift in ((0, 0, 1), (0.08, -0.05, 1.1), (-0.06, 0.07, 0.9))
    ]
    assert max(np.abs(other - found[0]).mean() for other in found[1:]) < 0.01 * side


def test_background_has_no_points():
    predictor = dlib68.ShapePredictor()
    for image in (data.coffee(), data.chelsea(), data.rocket()):
        for x, y, side in ((30, 40, 120), (150, 100, 90), (200, 60, 150)):
            assert predictor.points(np.ascontiguousarray(image), np.array([x, y, x + side, y + side], float)) is None


def test_every_frame_of_a_moving_face_is_found():
    track = track_faces(clip_of([scene((20 + 4 * i, 40, A)) for i in range(20)]))
    assert letters(track) == "+" * 20
    steps = np.diff(track.points.mean(axis=1), axis=0)
    assert np.abs(steps - [4, 0]).max() < 1.2


def test_a_face_that_leaves_is_missing_from_there():
    track = track_faces(clip_of([*still(14), *[scene((80 + 30 * i, 40, A)) for i in range(1, 9)], *[scene()] * 12]))
    assert letters(track).startswith("+" * 15)
    assert letters(track).endswith("-" * 14)
    assert (track.status != FILLED).all()
    assert np.isnan(track.points[-12:]).all()


def test_a_short_gap_is_filled_and_a_long_one_is_not():
    short = track_faces(clip_of([*still(12), *[BLACK] * 4, *still(12)]))
    assert letters(short) == "+" * 12 + "~" * 4 + "+" * 12
    long = track_faces(clip_of([*still(12), *[BLACK] * 11, *still(12)]))
    assert letters(long) == "+" * 12 + "-" * 11 + "+" * 12
    assert any("missing in 11 of 35" in note for note in long.notes)


def test_a_flash_does_not_end_a_track():
    bright = np.clip(still(1)[0].astype(int) + 60, 0, 255).astype(np.uint8)
    track = track_faces(clip_of([*still(12), bright, *still(12)]))
    assert letters(track) == "+" * 25


@pytest.mark.parametrize(
    "frames",
    [
        [BLACK] * 9,
        [scene()] * 3,
        [np.ascontiguousarray(data.coffee())],
        [np.zeros((2, 300, 3), np.uint8)] * 2,
        [np.zeros((1, 1, 3), np.uint8)],
    ],
    ids=["black", "plain", "coffee", "thin", "one pixel"],
)
def test_no_face_is_an_error_that_says_so(frames):
    with pytest.raises(FaceError, match=rf"no face found in any of \d+ frames looked at \(of {len(frames)}\)"):
        track_faces(clip_of(frames))


@pytest.mark.parametrize("side", [2, 8, 16, 48, 96])
def test_tiny_frames_are_tracked_or_refused(side):
    try:
        track = track_faces(clip_of([head(side)] * 2))
    except FaceError:
        assert side < 48
    else:
        assert (track.status == FOUND).all()
        box = face_box(track.points[0])
        assert (box > -2).all() and (box < side + 2).all()


def test_a_tight_crop_is_found():
    box = np.round(face_box(track_faces(clip_of([data.astronaut()])).points[0])).astype(int)
    tight = np.ascontiguousarray(data.astronaut()[box[1] - 12 : box[3] + 3, box[0] : box[2]])
    track = track_faces(clip_of([tight] * 2))
    assert letters(track) == "++"


def test_several_faces():
    two = scene((0, 20, head(200)), (200, 60, head(110)))
    track = track_faces(clip_of([two] * 10))
    assert track.n_faces[0] == 2
    assert (track.boxes[:, 2] < 200).all()
    assert any(note.startswith("faces followed: 2") for note in track.notes)
    with pytest.raises(FaceError, match=r"frame 0 \(0.00 s\) shows 2 faces"):
        track_faces(clip_of([two] * 10), face="single")
    with pytest.raises(FaceError, match=r"frame 13 \(0.52 s\) shows 2 faces"):
        track_faces(clip_of([scene((0, 20, head(200)))] * 13 + [two] * 10), face="single")
    assert letters(track_faces(clip_of(still(9)), face="single")) == "+" * 9


def test_two_runs_and_any_way_of_reading_give_the_same_bits():
    frames = [scene((20 + 5 * i, 40 + i, A)) for i in range(18)]
    clip = clip_of(frames)
    first, second = track_faces(clip), track_faces(clip_of(frames))
    for name in ("boxes", "points", "score", "status", "n_faces"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert first.notes == second.notes


def test_a_stored_track_is_the_track(tmp_path):
    cache = Cache(tmp_path)
    clip = clip_of([*still(9), BLACK, *still(3)])
    first = track_faces(clip, cache=cache)

    def unread(start, stop):
        raise MediaError("read again")

    blind = type(clip)(clip.path, clip.n_frames, clip.height, clip.width, 25.0, clip.digest, None, unread)
    second = track_faces(blind, cache=cache)
    for name in ("boxes", "points", "score", "status", "n_faces"):
        a, b = getattr(first, name), getattr(second, name)
        assert a.tobytes() == b.tobytes() and a.dtype == b.dtype
    assert (second.notes, second.backend) == (first.notes, first.backend)
    with pytest.raises(MediaError, match="read again"):
        track_faces(blind, cache=cache, face="single")
    for file in tmp_path.rglob("*.npz"):
        np.savez(file, boxes=np.zeros((2, 4)))
    with pytest.raises(MediaError, match="read again"):
        track_faces(blind, cache=cache)


def test_a_clip_that_ends_early_is_an_error():
    with pytest.raises(MediaError, match="9 frames could be read of 12"):
        track_faces(clip_of(still(9), n_frames=12))


def test_another_model_file_is_refused(monkeypatch):
    monkeypatch.setattr(dlib68, "MODEL_SHA256", "0" * 64)
    monkeypatch.setattr(dlib68, "_held", {})
    with pytest.raises(WeightsError, match="sha256 differs"):
        dlib68.ShapePredictor().points(A, np.array([40.0, 40, 120, 120]))


def test_the_model_package_is_not_imported():
    code = "import sys; from lipsync_eval.faces import dlib68; dlib68._predictor(); print('face_recognition_models' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_statuses_and_arrays_have_their_types():
    track = track_faces(clip_of([*still(9), BLACK, *still(3)]))
    assert (track.boxes.dtype, track.points.dtype, track.score.dtype) == (np.float64, np.float64, np.float32)
    assert (track.status.dtype, track.n_faces.dtype) == (np.uint8, np.int16)
    assert set(track.status.tolist()) == {FOUND, FILLED}
    assert track.valid.tolist() == (track.status != MISSING).tolist()
