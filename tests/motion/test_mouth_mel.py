"""mouth_mel_corr and mouth_mel_offset: sign, shifts, refusals, constants, and real clips."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_eval.errors import MetricError, ParseError
from lipsync_eval.features import mouth_mel as mm
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.metrics.mouth_mel import Found, measure

STEP = 640


@cache
def drawn(n: int = 150, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    side = synthetic_pair(n, 16, seed=seed).gen
    assert side.track is not None and side.audio is not None
    return side.track.points, side.audio.int16()


def shifted(late: int, n: int = 125, seed: int = 0) -> Found:
    """The drawn face with its audio `late` frames later."""
    points, audio = drawn(n + 40, seed)
    return measure(points[20 : 20 + n], audio[(20 - late) * STEP : (20 - late + n) * STEP])


@settings(max_examples=15, deadline=None)
@given(late=st.integers(-12, 12), seed=st.integers(0, 4))
def test_the_offset_follows_the_shift(late: int, seed: int) -> None:
    """Audio that comes `late` frames after the lips gives -late: a positive offset means that the audio leads."""
    found = shifted(late, seed=seed)
    if not found.refusal:
        assert abs(found.shift + late) <= 1


def test_most_drawn_clips_have_an_offset() -> None:
    given_offsets = [not shifted(late, seed=seed).refusal for late in (-6, 0, 6) for seed in range(5)]
    assert np.mean(given_offsets) > 0.6


def test_size_place_loudness_and_gain_do_not_matter() -> None:
    points, audio = drawn()
    a, b = measure(points, audio), measure(points * 2.5 + 40, (audio // 2).astype(np.int16))
    np.testing.assert_allclose(a.curve, b.curve, atol=0.01)
    assert a.shift == b.shift


def test_frames_without_a_face_are_left_out() -> None:
    points, audio = drawn()
    gap = points.copy()
    gap[40:60] = np.nan
    whole, found = measure(points, audio), measure(gap, audio)
    assert (whole.frames, found.frames) == (150, 130)
    assert found.corr == pytest.approx(whole.corr, abs=0.15)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda p, a: (p, np.zeros_like(a)), "the audio is silent"),
        (lambda p, a: (p, a[:5000]), "the audio lasts 0.31 s"),
        (lambda p, a: (np.full_like(p, np.nan), a), "a mouth was seen in 0 frames"),
        (lambda p, a: (np.repeat(p[:1], len(p), axis=0), a), "the mouth hardly moves: 0 %"),
    ],
)
def test_nothing_to_compare(change, why: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MetricError, match=why):
        measure(*change(*drawn()))


def test_a_frozen_mouth_with_jitter_has_no_score() -> None:
    points, audio = drawn()
    rng = np.random.default_rng(0)
    frozen = points[:1] + 0.01 * rng.normal(size=points.shape)
    with pytest.raises(MetricError, match="hardly moves"):
        measure(frozen, audio)


def test_foreign_audio_is_mostly_refused() -> None:
    refused = []
    for seed in range(12):
        points, _ = drawn(125, seed)
        _, audio = drawn(125, seed + 100)
        refused.append(bool(measure(points, audio).refusal))
    assert np.mean(refused) >= 0.75


def test_the_end_of_the_range_is_no_offset() -> None:
    found = shifted(-15)
    assert found.refusal and ("may lie beyond" in found.refusal or "not surely" in found.refusal)


def test_a_short_clip_says_so() -> None:
    points, audio = drawn()
    found = measure(points[20:49], audio[20 * STEP : 49 * STEP])
    assert "leaves 9 shifts" in found.refusal


def test_constants_are_read_back_and_checked(tmp_path: Path) -> None:
    shipped = mm.shipped()
    path = tmp_path / "a.json"
    mm.write(shipped, path)
    again = mm.read(path)
    np.testing.assert_allclose(again.weights, shipped.weights, rtol=1e-5)
    assert again.limit == shipped.limit and len(again.digest) == 8 and "14 speakers" in shipped.provenance
    held = json.loads(path.read_text())
    for change in ({"version": 2}, {"weights": [[1.0]]}, {"spread": ["x"] * 8}, {"limit": "high"}):
        path.write_text(json.dumps(held | change))
        with pytest.raises(ParseError):
            mm.read(path)


def test_fit_finds_a_map_that_is_there() -> None:
    """A map fitted on drawn faces predicts another drawn face's audio better than the shipped one."""
    samples = [(*drawn(150, seed), 0) for seed in range(4)]
    fitted = mm.fit(samples)
    points, audio = drawn(150, 9)
    assert measure(points, audio, fitted).corr > measure(points, audio).corr


@pytest.fixture(scope="module")
def example(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """SyncNet's example and its copy with later audio: points and audio."""
    from lipsync_eval.cache import Cache
    from lipsync_eval.faces import track_faces
    from lipsync_eval.media import open_clip

    out = {}
    for name in ("offset3", "shift12"):
        clip = open_clip(data / "clips" / "original" / f"syncnet_example_{name}.avi")
        cache = Cache(tmp_path_factory.mktemp("tracks"))
        track = track_faces(clip, landmarks="dlib68", detector=None, face="largest", cache=cache)
        assert clip.audio is not None
        out[name] = track.points, clip.audio.int16()
    return out


def test_syncnet_example_and_its_shifted_copy(example: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """SyncNet's README says 3; by timestamp the copy's audio lies 11.7 frames later."""
    for name, offset in (("offset3", 3.0), ("shift12", 3 - 11.7)):
        found = measure(*example[name])
        assert not found.refusal and abs(found.shift - offset) <= 1 and found.corr > 0.6


def test_three_seconds_of_the_example_moved_both_ways(example: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """The clip on which mouth_audio_offset gave -5 for +5 and for -5: every offset that is given is right."""
    points, audio = example["offset3"]
    given_offsets = 0
    for start in range(20, 220, 25):
        for late in (-5, 5):
            found = measure(points[start : start + 75], audio[(start - late) * STEP : (start - late + 75) * STEP])
            if not found.refusal:
                given_offsets += 1
                assert abs(found.shift - (3 - late)) <= 1
    assert given_offsets >= 8


def test_through_the_command(data: Path, tmp_path: Path) -> None:
    import lipsync_eval

    clip = data / "clips" / "original" / "grid_pwij3p.mpg"
    result = lipsync_eval.score(clip, clip, metrics="mouth_mel_corr,mouth_mel_offset")
    row = result.clips[0]
    assert row.values["mouth_mel_corr"] == row.gt_values["mouth_mel_corr"] > 0.4
    refused = [f for f in result.failures if f.metric == "mouth_mel_offset"]
    assert (row.values["mouth_mel_offset"] is None) == bool(refused)
    assert all("standard errors" in f.message for f in refused)
