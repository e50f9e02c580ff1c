"""mouth_audio_corr and mouth_audio_offset: sign, shifts, refusals, and the shifted SyncNet example."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden import synthetic_inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scoring import score

from lipsync_eval.errors import MetricError
from lipsync_eval.metrics import mouth_audio as m


def talk(n: int, seed: int = 0) -> np.ndarray:
    """(n,) a smooth random course of openings in 0..1."""
    walk = np.random.default_rng(seed).standard_normal(n + 6)
    smooth = np.convolve(walk, np.ones(4) / 4, "valid")[:n]
    return (smooth - smooth.min()) / np.ptp(smooth)


def sound(level: np.ndarray) -> np.ndarray:
    """int16 noise whose level under frame t is -40 dBFS + 30 dB x level[t]."""
    noise = np.random.default_rng(1).standard_normal(len(level) * 640)
    gain = 10 ** ((-40 + 30 * np.repeat(level, 640)) / 20)
    return np.clip(noise * gain * 32768 / 3, -32768, 32767).astype(np.int16)


def faces(opening: np.ndarray, size: float = 200.0) -> np.ndarray:
    """(n, 68, 2) faces whose mouth opens as told."""
    return np.stack(
        [synthetic_inputs.place(synthetic_inputs.face68(mouth_open=0.1 * o), (128, 120), size) for o in opening]
    )


@settings(max_examples=25, deadline=None)
@given(late=st.integers(-15, 15), seed=st.integers(0, 50))
def test_peak_lies_at_the_shift(late: int, seed: int) -> None:
    """Audio that comes `late` frames after the lips gives offset -late, with a correlation of nearly 1."""
    course = talk(180, seed)
    lips, heard = course[20:140], course[20 - late : 140 - late]
    curve = m.correlations(m.opening(faces(lips)), m.speech_level(sound(heard), 120))
    assert m._peak(curve)["mouth_audio_offset"] == -late
    assert m._peak(curve)["mouth_audio_corr"] > 0.95


def test_size_of_the_face_and_loudness_do_not_matter() -> None:
    course = talk(100)
    mouth, samples = m.opening(faces(course)), sound(course)
    a = m.correlations(mouth, m.speech_level(samples, 100))
    b = m.correlations(m.opening(faces(course, size=50.0)), m.speech_level((samples // 4).astype(np.int16), 100))
    np.testing.assert_allclose(a, b, atol=0.01)


def test_missing_frames_are_left_out() -> None:
    course = talk(120)
    mouth = m.opening(faces(course))
    mouth[30:50] = np.nan
    found = m._peak(m.correlations(mouth, m.speech_level(sound(course), 120)))
    assert found["mouth_audio_offset"] == 0 and found["mouth_audio_corr"] > 0.95


def test_unrelated_mouth_has_a_low_value() -> None:
    values = [m._peak(m.correlations(talk(250, s), talk(250, s + 100)))["mouth_audio_corr"] for s in range(20)]
    assert np.mean(values) < 0.4


def test_short_clip_has_fewer_shifts() -> None:
    curve = m.correlations(talk(29), talk(29))
    assert np.isfinite(curve).sum() == 9 and np.isfinite(curve[15 - 4 : 15 + 5]).all()


@pytest.mark.parametrize("n", range(17))
def test_a_clip_shorter_than_the_shifts_has_no_correlation(n: int) -> None:
    assert np.isnan(m.correlations(talk(40)[:n], talk(40)[:n])).all()


def test_nothing_that_moves_has_no_correlation() -> None:
    assert np.isnan(m.correlations(np.full(100, 0.3), talk(100))).all()


@pytest.mark.parametrize(
    ("samples", "reason"), [(np.zeros(64000, np.int16), "silent"), (np.full(3000, 9, np.int16), "lasts 0.19 s")]
)
def test_audio_that_says_nothing(samples: np.ndarray, reason: str) -> None:
    with pytest.raises(MetricError, match=reason):
        m.speech_level(samples, 100)


def test_audio_beyond_its_end_counts_as_silence() -> None:
    level = m.speech_level(sound(np.ones(50)), 100)
    assert level[:50].min() > level[50:].max() and (level[50:] == level[60]).all()


def peak(path: Path, cache: Path) -> dict[str, float]:
    from lipsync_eval.cache import Cache
    from lipsync_eval.faces import track_faces
    from lipsync_eval.media import open_clip

    clip = open_clip(path)
    track = track_faces(clip, landmarks="dlib68", detector=None, face="largest", cache=Cache(cache))
    assert clip.audio is not None
    return m._peak(m.correlations(m.opening(track.points), m.speech_level(clip.audio.int16(), clip.n_frames)))


def test_follows_the_shifted_example(data: Path, tmp_path: Path) -> None:
    """By timestamp the audio of shift5 and shift12 lies 4.7 and 11.7 frames later than in the original."""
    found = {
        n: peak(data / "clips" / "original" / f"syncnet_example_{n}.avi", tmp_path)
        for n in ("offset3", "shift5", "shift12")
    }
    still = found["offset3"]["mouth_audio_offset"]
    for name, moved in (("shift5", 4.7), ("shift12", 11.7)):
        assert abs(still - found[name]["mouth_audio_offset"] - moved) <= 2
    assert all(f["mouth_audio_corr"] > 0.4 for f in found.values())


def test_real_clips_through_the_command(data: Path, tmp_path: Path) -> None:

    clip = data / "clips" / "original" / "grid_pwij3p.mpg"
    silent = data / "clips" / "original" / "edtalk_klobuchar_gtvideo.mp4"
    result = score(clip, clip, metrics="mouth_audio_corr,mouth_audio_offset", cache=tmp_path)
    row = result.clips[0]
    assert row.values == pytest.approx(row.gt_values) and row.values["mouth_audio_corr"] > 0.3
    missing = score(clip, silent, metrics="mouth_audio_corr", align="shortest", cache=tmp_path)
    assert any(
        "real video has no score of its own: the video has no audio to score" in n for n in missing.clips[0].notes
    )
