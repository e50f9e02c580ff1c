"""The rules of following, with a detector and a landmark finder whose eyes are a table."""

import weakref

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_eval.faces.base import Detector, Face, Landmarker, iou, match
from lipsync_eval.faces.follow import AHEAD_BLOCKS, follow
from lipsync_eval.faces.result import MAX_GAP, build
from lipsync_eval.types import FILLED, FOUND, MISSING

SHAPE = np.random.default_rng(0).uniform(-0.4, 0.4, (68, 2))


class Table(Detector):
    """Reads the frame's number from its first pixels; knows where every face is then."""

    stride, sure = 8, 0.3

    def __init__(self, faces):
        self.faces = faces
        self.looked = []

    def detect(self, frame):
        time = number(frame)
        self.looked.append(time)
        return self.faces(time)


class Shape(Landmarker):
    """The same shape in every box; none where `seen` says no."""

    def __init__(self, seen=lambda time: True, place=lambda time, box: box):
        self.seen, self.place = seen, place

    def points(self, frame, box):
        time = number(frame)
        if not self.seen(time):
            return None
        box = self.place(time, box)
        return (box[:2] + box[2:]) / 2 + SHAPE * (box[2] - box[0])


def number(frame):
    return int(frame[0, 0, 0]) * 256 + int(frame[0, 0, 1])


def numbered_frames(n, scene=lambda time: 0):
    for time in range(n):
        frame = np.full((48, 48, 3), scene(time), np.uint8)
        frame[0, 0, :2] = divmod(time, 256)
        yield frame


def square(x, y=100.0, side=100.0, score=1.0):
    return Face(np.array([x, y, x + side, y + side]), score)


def status(followed, face="largest"):
    return "".join("-+~"[s] for s in build(followed, "table.1", face).status)


def test_a_still_face_is_looked_at_every_eighth_frame():
    detector = Table(lambda time: [square(50)])
    track = build(follow(numbered_frames(20), detector, Shape()), "table.1", "largest")
    assert detector.looked == [0, 8, 16, 19]
    assert (track.status == FOUND).all()
    assert track.n_faces.tolist() == [1 if t in detector.looked else -1 for t in range(20)]
    assert np.isfinite(track.score).tolist() == [t in detector.looked for t in range(20)]
    assert np.allclose(track.boxes, [50, 100, 150, 200])


def test_between_looks_boxes_are_on_the_line():
    track = build(
        follow(numbered_frames(17), Table(lambda t: [square(50 + 2 * t, side=100 + t)]), Shape()), "table.1", "largest"
    )
    expected = [square(50 + 2 * t, side=100 + t).box for t in range(17)]
    assert np.allclose(track.boxes, expected)
    assert track.points.shape == (17, 68, 2)


def test_a_fast_face_is_looked_at_more_often():
    detector = Table(lambda time: [square(50 + 15 * time)])
    assert status(follow(numbered_frames(17), detector, Shape())) == "+" * 17
    assert len(detector.looked) > 5


def test_points_that_leave_the_line_bring_a_look():
    # the face nods away between two looks and is back in time for the next one
    away = {3: 20, 4: 40, 5: 20}
    detector = Table(lambda time: [square(50, 100 + away.get(time, 0))])
    shape = Shape(place=lambda time, box: square(50, 100 + away.get(time, 0)).box)
    track = build(follow(numbered_frames(9), detector, shape), "table.1", "largest")
    assert 4 in detector.looked
    assert track.boxes[4].tolist() == [50, 140, 150, 240]


def test_frames_without_points_are_missing():
    track = build(
        follow(numbered_frames(40), Table(lambda t: [square(50)]), Shape(lambda t: t not in (11, 12))),
        "table.1",
        "largest",
    )
    assert np.flatnonzero(track.status == FILLED).tolist() == [11, 12]
    assert "face filled in 2 of 40" in track.notes[0]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 25)), min_size=1, max_size=8))
def test_found_is_never_more_than_what_is_there_and_all_that_a_planned_look_touches(runs):
    visible = [on for on, length in runs for _ in range(length)]
    n = len(visible)
    followed = follow(
        numbered_frames(n), Table(lambda t: [square(50)] if visible[t] else []), Shape(lambda t: visible[t])
    )
    found = {t for person in followed.persons for t in person.times}
    assert all(visible[t] for t in found)
    for time in {*range(0, n, 8), n - 1}:
        left = right = time
        while visible[time] and left > 0 and visible[left - 1]:
            left -= 1
        while visible[time] and right < n - 1 and visible[right + 1]:
            right += 1
        assert not visible[time] or found >= set(range(left, right + 1))
    assert len(followed.persons) <= 1


def test_gaps_are_filled_up_to_the_limit_and_ends_never():
    def gap(length):
        return follow(
            numbered_frames(60),
            Table(lambda t: [] if t < 4 or 20 <= t < 20 + length or t > 50 else [square(50)]),
            Shape(),
        )

    assert status(gap(MAX_GAP)) == "-" * 4 + "+" * 16 + "~" * 10 + "+" * 21 + "-" * 9
    assert status(gap(MAX_GAP + 1)) == "-" * 4 + "+" * 16 + "-" * 11 + "+" * 20 + "-" * 9
    track = build(gap(MAX_GAP + 1), "table.1", "largest")
    missing = track.status == MISSING
    assert np.isnan(track.points[missing]).all() and np.isnan(track.boxes[missing]).all()
    assert track.notes == ("face missing in 24 of 60 frames",)


def test_filled_points_are_on_the_line():
    track = build(
        follow(numbered_frames(12), Table(lambda t: [] if 4 <= t < 8 else [square(50 + t)]), Shape()),
        "table.1",
        "largest",
    )
    expected = np.linspace(track.points[3], track.points[8], 6)[1:-1]
    assert np.allclose(track.points[4:8], expected)


def test_the_larger_of_two_is_kept_and_does_not_hop():
    # the second person grows in the last frames only
    def two(time):
        return [square(400, side=90 + (time > 30) * 4 * (time - 30)), square(50, side=130)]

    track = build(follow(numbered_frames(40), Table(two), Shape()), "table.1", "largest")
    assert (track.boxes[:, 0] == 50).all()
    assert any(note.startswith("faces followed: 2") for note in track.notes)


def test_two_that_pass_each_other_stay_apart():
    def two(time):
        return [square(50 + 10 * time, 100, 100), square(450 - 10 * time, 190, 110)]

    followed = follow(numbered_frames(40), Table(two), Shape())
    assert len(followed.persons) == 2
    assert sorted(len(person.times) for person in followed.persons) == [40, 40]
    assert {tuple(np.unique([box[1] for box in person.boxes])) for person in followed.persons} == {(100.0,), (190.0,)}


def test_weak_faces_continue_a_track_but_start_none():
    def fading(time):
        return [square(50, score=1.0 if time < 9 else -0.2)]

    assert status(follow(numbered_frames(20), Table(fading), Shape())) == "+" * 20
    assert follow(numbered_frames(20), Table(lambda t: [square(50, score=0.29)]), Shape()).persons == []


def test_scores_that_are_not_given_count_as_sure():
    followed = follow(numbered_frames(20), Table(lambda t: [square(50, score=float("nan"))]), Shape())
    assert status(followed) == "+" * 20
    assert followed.n_faces[0] == 1


def test_a_cut_to_another_place_is_a_new_track():
    def cut(time):
        return [square(50)] if time < 15 else [square(300, side=120)]

    followed = follow(numbered_frames(40, lambda t: 0 if t < 15 else 200), Table(cut), Shape())
    assert followed.cuts == [15]
    track = build(followed, "table.1", "largest")
    assert (track.status != MISSING).tolist() == [t >= 15 for t in range(40)]
    assert any("before frame 15" in note for note in track.notes)


def test_faces_without_points_are_not_counted():
    followed = follow(numbered_frames(9), Table(lambda t: [square(50), square(300)]), Shape(lambda t: t != 8))
    assert followed.n_faces == {0: 2, 4: 2, 6: 2, 7: 2, 8: 0}


def test_only_a_few_frames_are_held():
    alive = []

    class Counting(Table):
        def detect(self, frame):
            return [square(50)]

    def stream():
        refs = []
        for frame in numbered_frames(100):
            refs.append(weakref.ref(frame))
            yield frame
            del frame
            alive.append(sum(ref() is not None for ref in refs))

    follow(stream(), Counting(None), Shape())
    assert max(alive) <= AHEAD_BLOCKS * Table.stride + 2


def test_of_large_frames_one_block_is_held(monkeypatch):
    alive, refs = [], []
    monkeypatch.setattr("lipsync_eval.faces.follow.AHEAD_BYTES", next(numbered_frames(1)).nbytes * 3)

    class Counting(Table):
        def detect(self, frame):
            return [square(50)]

    def stream():
        for frame in numbered_frames(60):
            refs.append(weakref.ref(frame))
            yield frame
            del frame
            alive.append(sum(ref() is not None for ref in refs))

    follow(stream(), Counting(None), Shape())
    assert max(alive) <= Table.stride + 2


def test_overlap_of_boxes():
    a = np.array([0.0, 0, 10, 10])
    assert iou(a, a) == 1
    assert iou(a, a + 5) == 25 / 175
    assert iou(a, a + 10) == 0
    assert match([a, a + 100], [a + 101, a + 1], 0.3) == [(0, 1), (1, 0)]
    assert match([a], [a + 8], 0.3) == []
