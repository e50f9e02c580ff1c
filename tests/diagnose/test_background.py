"""How loud music or noise under the speech is: mixes of known ratio."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.two_people import music

from lipsync_eval.features import voice
from lipsync_eval.features.background import HIGHEST, Background, background

RATE = 16000


def talk(seconds: float = 8.0, seed: int = 0) -> np.ndarray:
    """Something with the gaps of speech: harmonics of a gliding pitch, four syllables a second, root mean square 0.1."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voiced = sum(np.sin(h * phase) / h for h in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 4 * t + rng.uniform(0, 6)), 0, None) ** 1.5
    x = voiced * syllables
    return 0.1 * x / np.sqrt(np.mean(x**2))


def whole(x: np.ndarray) -> np.ndarray:
    return np.array([[0, len(x)]], np.intp)


def mixed(ratio: float, other: np.ndarray, seed: int = 0) -> Background:
    x = talk(seed=seed)
    found = background(x + 0.1 * 10 ** (-ratio / 20) * other[: len(x)], whole(x))
    assert found is not None
    return found


@settings(max_examples=12, deadline=None)
@given(ratio=st.floats(0, 9), seed=st.integers(0, 20))
def test_steady_noise_is_found_to_three_db(ratio: float, seed: int) -> None:
    found = mixed(ratio, np.random.default_rng(seed).standard_normal(8 * RATE), seed)
    assert abs(found.ratio - ratio) < 5  # within 0..4 kHz the noise has half its power
    assert found.kind == "noise"


def test_more_background_is_a_lower_ratio() -> None:
    found = [mixed(ratio, music(8 * RATE)).ratio for ratio in (20, 10, 5, 0, -5)]
    assert found == sorted(found, reverse=True) and found[0] > 10 and found[3] < 3


def test_clean_talk_is_at_the_top_and_loudness_does_not_matter() -> None:
    x = talk()
    clean, quiet = background(x, whole(x)), background(x / 30, whole(x))
    assert clean is not None and quiet is not None
    assert clean.ratio == quiet.ratio == HIGHEST
    assert clean.level - quiet.level == pytest.approx(20 * np.log10(30), abs=0.01)


def test_too_little_speech_has_no_estimate() -> None:
    x = talk(2)
    assert background(x, np.array([[0, 8000]], np.intp)) is None
    assert background(x, np.empty((0, 2), np.intp)) is None
    assert background(np.zeros(0), np.empty((0, 2), np.intp)) is None


@pytest.mark.parametrize(
    "name", ["hdtf_menendez.mp4", "hdtf_katiehill_headmotion.mp4", "grid_pwij3p.mpg", "lrs3_ted_headmotion.mp4"]
)
def test_real_speech_alone_and_mixed(data: Path, name: str) -> None:
    from lipsync_eval.media.audio import read_audio

    audio = read_audio(data / "clips" / "original" / name, origin=None, seconds=Fraction(8))
    assert audio is not None
    x = audio.samples[: 8 * RATE].astype(np.float64)

    def found(y: np.ndarray) -> Background:
        out = background(y, voice.segments(voice.probabilities(y.astype(np.float32)), len(y)))
        assert out is not None
        return out

    level = np.sqrt(np.mean(x**2))
    assert found(x).ratio > 10
    loud = found(x + level * music(len(x)))
    assert loud.ratio < 5 and loud.kind == "tonal"
    hiss = found(x + level * np.random.default_rng(0).standard_normal(len(x)))
    assert hiss.ratio < 5 and hiss.kind == "noise"
