"""--face speaking: who is taken, who is refused, and the generated video that follows the real one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support.face_clips import clip_of, head, other_head, scene
from support.two_people import paste

import lipsync_eval
from lipsync_eval.cache import Cache
from lipsync_eval.cli import run
from lipsync_eval.errors import FaceError
from lipsync_eval.faces import People, track_people
from lipsync_eval.features import speaker
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.types import FOUND, Audio, Clip, Settings, Track

N = 200
TWO = scene((5, 60, head(130)), (150, 40, other_head(160)))


@cache
def drawn(seed: int) -> tuple[Track, np.ndarray]:
    side = synthetic_pair(N, 16, seed=seed).gen
    assert side.track is not None and side.audio is not None
    return side.track, side.audio.int16()


def people(*seeds: int) -> People:
    return People(tuple(drawn(seed)[0] for seed in seeds), len(seeds), ())


@pytest.mark.parametrize(("seeds", "voice"), [((0, 1), 0), ((1, 0), 0), ((2, 3, 4), 3), ((4, 3, 2), 3)])
def test_the_speaker_is_found_in_every_order(seeds: tuple[int, ...], voice: int) -> None:
    index, heard, note = speaker.choose(people(*seeds), drawn(voice)[1])
    assert seeds[index] == voice and len(heard) == len(seeds)
    assert f"kept person {index + 1}" in note


def test_nobody_is_taken_for_somebody_elses_voice() -> None:
    """Scores are in the message, for each person."""
    refused = 0
    for voice in range(5, 15):
        try:
            speaker.choose(people(0, 1), drawn(voice)[1])
        except FaceError as error:
            refused += 1
            assert "person 1: " in str(error) and "person 2: " in str(error) and "--face largest" in str(error)
    assert refused >= 7


def test_without_audio_or_with_silence_there_is_no_choice() -> None:
    with pytest.raises(FaceError, match="no audio, so it cannot be told who speaks"):
        speaker.choose(people(0, 1), None)
    with pytest.raises(FaceError, match="silent"):
        speaker.choose(people(0, 1), np.zeros(N * 640, np.int16))
    with pytest.raises(FaceError, match="no face"):
        speaker.choose(People((), 0, ()), drawn(0)[1])


def test_the_only_face_is_followed_and_doubt_is_noted() -> None:
    assert speaker.choose(people(0), drawn(0)[1])[2] == ""
    index, _, note = speaker.choose(people(0), np.zeros(N * 640, np.int16))
    assert index == 0 and "only one face" in note and "silent" in note


def test_a_still_mouth_never_speaks() -> None:
    still, audio = drawn(1)[0], drawn(0)[1]
    points = np.repeat(still.points[:1], N, axis=0)
    frozen = Track(still.boxes, points, still.score, still.status, still.backend, still.n_faces)
    index, heard, _ = speaker.choose(People((frozen, drawn(0)[0]), 2, ()), audio)
    assert index == 1 and "hardly moves" in heard[0].reason


def test_a_brief_face_does_not_outweigh_a_long_one() -> None:
    """Over one second any mouth may fit well by chance."""
    voice = drawn(0)[1]
    for seed in range(1, 6):
        other = drawn(seed)[0]
        points = other.points.copy()
        points[30:] = np.nan
        status = np.where(np.arange(N) < 30, other.status, 0).astype(np.uint8)
        brief = Track(other.boxes, points, other.score, status, other.backend, other.n_faces)
        assert speaker.choose(People((brief, drawn(0)[0]), 2, ()), voice)[0] == 1


def test_people_are_the_faces_largest_first_and_survive_the_cache(tmp_path: Path) -> None:
    frames = [TWO for _ in range(6)]
    clip, kept = clip_of(frames), Cache(tmp_path)
    found, again = track_people(clip, cache=kept), track_people(clip, cache=kept)
    assert found.found == len(found.tracks) == 2 and found.cuts == ()
    assert found.tracks[0].boxes[0, 0] > found.tracks[1].boxes[0, 0]
    for a, b in zip(found.tracks, again.tracks, strict=True):
        np.testing.assert_array_equal(a.points, b.points)
        assert (a.status == FOUND).all() and a.notes == b.notes
    np.testing.assert_array_equal(lipsync_eval.track_faces(clip).points, found.tracks[0].points)


def with_audio(clip: Clip) -> Clip:
    from dataclasses import replace

    return replace(clip, audio=Audio(np.full(clip.n_frames * 640, 0.1, np.float32), clip.path))


def test_the_generated_video_follows_the_place_of_the_real_speaker(tmp_path: Path) -> None:
    """Its own mouths have no say; a frame of another size is scaled; one of another shape with two faces is refused."""
    frames = [TWO for _ in range(6)]
    real, kept, settings = clip_of(frames), Cache(tmp_path), Settings()
    small = track_people(real).tracks[1]
    chosen = speaker.follow_same(settings, with_audio(real), kept, real, small)
    np.testing.assert_array_equal(chosen.track.points, small.points)
    assert [row["followed"] for row in chosen.people] == [False, True]
    assert any("where the real video's speaker is" in note for note in chosen.track.notes)

    cut = clip_of([frame[:, 120:] for frame in frames])
    with pytest.raises(FaceError, match="no face of this video lies where"):
        speaker.follow_same(settings, clip_of([scene((150, 20, other_head(150)))] * 6), kept, real, small)
    moved = clip_of([scene((150, 20, other_head(150)))] * 6)
    assert speaker.follow_same(settings, moved, kept, real, small, alone=True).track.valid.all()
    assert speaker.follow_same(settings, cut, kept, real, small).track.notes[-1].endswith("than the real one")
    wide = clip_of([np.hstack([frame, frame[:, :60]]) for frame in frames])
    with pytest.raises(FaceError, match="different parts of the scene"):
        speaker.follow_same(settings, wide, kept, real, small)


def test_a_reference_with_one_face_needs_no_audio(tmp_path: Path) -> None:
    one = clip_of([scene((60, 30, head(150)))])
    assert speaker.track_one(Settings(face="speaking"), one, Cache(tmp_path)).valid.all()
    two = clip_of([TWO])
    with pytest.raises(FaceError, match="cannot be told who speaks"):
        speaker.track_one(Settings(face="speaking"), two, Cache(tmp_path))


@pytest.mark.parametrize("speaks", [0, 1])
def test_two_real_people_through_the_command(data: Path, tmp_path: Path, speaks: int) -> None:
    """The person is right for both orders, also where the other one is larger; largest and speaking are told apart."""
    original = data / "clips" / "original"
    pair = original / "hdtf_menendez.mp4", original / "hdtf_katiehill_headmotion.mp4"
    clip = paste(*pair, tmp_path / "two.mkv", speaks=speaks)
    out = tmp_path / "out"
    line = [
        "score",
        str(clip),
        str(clip),
        "--metrics",
        "mouth_mel_corr",
        "--face",
        "speaking",
        "--out",
        str(out),
        "--quiet",
    ]
    assert run(line) == 0
    result = lipsync_eval.Result.load(out)
    assert "|face:speaking.1@" in result.scores[0].signature
    for side in ("gt", "gen"):
        followed = [row for row in result.clips[0].details[side]["people"] if row["followed"]]
        assert len(followed) == 1 and (followed[0]["box"][0] > 224) == bool(speaks)
    assert result.clips[0].values["mouth_mel_corr"] > 0.4


def test_a_pair_without_audio_fails_with_the_reason(tmp_path: Path) -> None:
    from support.videos import make_video

    frames = [TWO for _ in range(6)]
    clip = make_video(tmp_path / "a.mkv", frames)
    result = lipsync_eval.score(clip, clip, metrics="lmd", settings=Settings(face="speaking"))
    assert result["lmd"].value is None
    assert {f.stage for f in result.failures} == {"faces"}
    assert "cannot be told who speaks" in result.failures[0].message
