"""Which crops are scored, what becomes of several tracks, and the protocols' own crops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import synthetic_inputs
from support import syncnet_official as official

from lipsync_eval import protocols
from lipsync_eval.errors import MetricError, UsageError, WeightsError
from lipsync_eval.features.syncnet import check as syncnet_check
from lipsync_eval.features.syncnet import regions as syncnet_regions
from lipsync_eval.features.syncnet import tracking
from lipsync_eval.features.syncnet.lossy import crop_chain, source_chain
from lipsync_eval.features.syncnet.net import Folded
from lipsync_eval.features.syncnet.shots import Shots
from lipsync_eval.features.syncnet.side_scorer import SideScorer, TrackDistances
from lipsync_eval.features.syncnet.summary import remarks, summarise
from lipsync_eval.features.syncnet.track_scorer import Reading, read
from lipsync_eval.protocol import View
from lipsync_eval.types import FOUND, MISSING, Track
from lipsync_eval.warp import render


def track_of(points: np.ndarray) -> Track:
    n = len(points)
    seen = np.isfinite(points).all(axis=(1, 2))
    status = np.where(seen, FOUND, MISSING).astype(np.uint8)
    return Track(
        np.full((n, 4), np.nan), points, np.full(n, np.nan, np.float32), status, "test.1", np.full(n, -1, np.int16)
    )


def test_a_gap_makes_two_regions_and_short_ones_are_dropped() -> None:
    points = synthetic_inputs.track68(1, 300)
    points[120:130] = np.nan
    points[140] = np.nan
    found = syncnet_regions.from_track(track_of(points), 300, 100)
    assert [(r.first, r.n_frames) for r in found] == [(0, 120), (141, 159)]


def test_short_clips_need_four_fifths() -> None:
    points = synthetic_inputs.track68(1, 29)
    assert syncnet_regions.from_track(track_of(points), 29, 100)[0].n_frames == 29
    points[:8] = np.nan
    with pytest.raises(MetricError, match=r"the longest has 21 frames, more than 23\.2 are needed"):
        syncnet_regions.from_track(track_of(points), 29, 100)


def test_cuts_end_tracks() -> None:
    faces = [np.array([[50.0, 50, 150, 150, 0.99]])] * 300
    assert [(r.first, r.n_frames) for r in syncnet_regions.from_faces(faces, [140], (480, 640), 100)] == [
        (0, 140),
        (140, 160),
    ]
    with pytest.raises(MetricError, match="300 of 300 frames"):
        syncnet_regions.from_faces(faces, [90, 180, 270], (480, 640), 100)
    with pytest.raises(MetricError, match="a face of more than 100 px"):
        syncnet_regions.from_faces([f * (0.5, 0.5, 0.5, 0.5, 1) for f in faces], [], (1080, 1920), 100)


def test_shots_are_found_at_hard_cuts_only() -> None:
    shots = Shots()
    a, b = synthetic_inputs.clip(1, 40, 120, 160), synthetic_inputs.clip(2, 40, 120, 160)
    for frame in [*a, *(255 - b)]:
        shots.add(frame)
    assert shots.cuts == [40]


def cuts(release: str, levels: list[int], width: int = 64) -> list[int]:
    """Cuts of grey frames; a change of n levels is one of n / 3 in HSV."""
    shots = Shots(release)  # type: ignore[arg-type]
    for level in levels:
        shots.add(np.full((48, width, 3), level, np.uint8))
    return shots.cuts


def test_the_two_releases_of_the_shot_detector() -> None:
    """0.5.1 cuts at a change of 30, at once; 0.6.1 at 27, not in the first 15 frames; both not within 15 of a cut."""
    levels = [10] * 3 + [100] * 20 + [182] * 5 + [10] * 30
    assert cuts("0.5.1", levels) == [3, 28]
    assert cuts("0.6.1", levels) == [23]
    assert cuts("0.6.1", [10] * 15 + [90] * 9) == [] and cuts("0.6.1", [10] * 15 + [91] * 9) == [15]


@pytest.mark.parametrize(
    ("width", "step"), [(399, 1), (400, 2), (600, 3), (900, 4), (1200, 5), (1700, 6), (2100, 8), (3200, 12)]
)
def test_the_shot_detector_looks_at_every_kth_pixel(width: int, step: int) -> None:
    shots = Shots("0.5.1")
    first = np.zeros((step * 6, width, 3), np.uint8)
    second, unseen = first.copy(), np.full_like(first, 255)
    second[::step, ::step] = 255
    unseen[::step, ::step] = 0
    for frame in (first, unseen, second):
        shots.add(frame)
    assert shots.cuts == [2]


def distances(seed: int, rows: int, best: int) -> np.ndarray:
    made = np.random.default_rng(seed).uniform(9, 11, (rows, 31)).astype(np.float32)
    made[:, best] -= 4
    return made


def test_longest_track_or_mean_over_tracks() -> None:
    tracks = [
        TrackDistances(0, 125, distances(0, 120, 15)),
        TrackDistances(130, 205, distances(1, 200, 12)),
        TrackDistances(0, 205, distances(2, 200, 20)),
    ]
    one, mean = summarise(tracks, mean=False), summarise(tracks, mean=True)
    readings = [read(t.distances) for t in tracks]
    assert one.used == (tracks[1],) and one.values["av_offset"] == 3 and one.values["lse_d"] == readings[1].distance
    assert mean.values["lse_c"] == pytest.approx(np.mean([r.confidence for r in readings]))
    assert mean.values["av_offset"] == int((0 + 3 - 5) / 3)
    assert any("3 face tracks; the longest is the score" in text for text in remarks(tracks, 1.0, 350, mean=False))
    assert any("205 of 350 frames are scored" in text for text in remarks(tracks, 1.0, 350, mean=False))
    assert any("hardly any speech" in text for text in remarks(tracks, 0.1, 350, mean=False))


def test_boxes_from_points_do_not_depend_on_place_and_scale() -> None:
    points = synthetic_inputs.track68(2, 20)
    boxes = tracking.boxes_from_points(points)
    np.testing.assert_allclose(tracking.boxes_from_points(points * 3 + 7), boxes * 3 + 7)
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    np.testing.assert_allclose(wide, high)
    assert (boxes[:, 1] < points[..., 1].min(axis=1)).all()  # above the brows, as a WIDER FACE box


@pytest.mark.parametrize("name", ["syncnet", "latentsync"])
def test_protocol_crop_is_upstreams_square(name: str) -> None:
    """The matrix that all metrics use and the slices that SyncNet uses show the same part of the frame."""
    points = synthetic_inputs.track68(3, 30, size=120.0, centre=(256.0, 240.0))
    frame = synthetic_inputs.image(4, 512, 512, waves=3, noise=0)
    view = View(512, 512, 30, track_of(points))
    crop, _ = protocols.get(name).crops(view, view)
    where = tracking.windows(tracking.boxes_from_points(points))
    ours, theirs = render(frame, crop.matrix[15], (224, 224)), tracking.cut(frame, where, 15)
    assert theirs is not None
    assert np.abs(ours.astype(int) - theirs).mean() < 3


def test_protocols_take_no_options() -> None:
    for name in ("syncnet", "latentsync", "lrs"):
        with pytest.raises(UsageError):
            protocols.get(name, {"radius": "per-frame"})
        assert protocols.get(name).signature() == f"{name}.1"


def test_lossy_steps_repeat_and_lose_little() -> None:
    frames = synthetic_inputs.clip(6, 6, waves=3, noise=0)
    for make in (source_chain, lambda: crop_chain(written=True), lambda: crop_chain(written=False)):
        first, second = make(), make()
        for frame in frames:
            once, again = first.through(frame), second.through(frame)
            np.testing.assert_array_equal(once, again)
            assert 0 < np.abs(once.astype(int) - frame).mean() < 12


def test_whole_frames_become_jpeg_before_they_are_resized() -> None:
    """As calculate_scores_LRS.py: ffmpeg writes JPEGs of the file's own size, cv2 resizes what it reads."""
    net = Folded(official.seeded_net(), torch.device("cpu"))
    frames, sound = synthetic_inputs.clip(8, 7, 120, 160), synthetic_inputs.audio(8, 7 * 640)

    def distances(shown: list[np.ndarray], *, lossy: bool) -> np.ndarray:
        scorer = SideScorer(net, syncnet_regions.whole(7), sound, lossy=lossy)
        scorer.update(0, shown)
        return scorer.finish()[0].distances

    jpeg = crop_chain(written=False)
    wanted = distances([jpeg.through(frame) for frame in frames], lossy=False)
    np.testing.assert_array_equal(distances(list(frames), lossy=True), wanted)
    assert np.abs(wanted - distances(list(frames), lossy=False)).max() > 0.1


def reading(offset: int, distance: float, confidence: float) -> Reading:
    return Reading(confidence, distance, offset, np.zeros(31), np.zeros(1))


def test_known_answer_is_judged() -> None:
    syncnet_check.judge(reading(3, 5.9, 9.1), reading(3, 5.4, 9.9))
    for plain, jpeg in (
        (reading(2, 5.353, 10.021), reading(3, 5.353, 10.021)),
        (reading(3, 5.353, 10.021), reading(3, 5.7, 10.021)),
        (reading(3, 5.353, 10.021), reading(3, 5.353, float("nan"))),
    ):
        with pytest.raises(WeightsError, match="known-answer check failed"):
            syncnet_check.judge(plain, jpeg)
