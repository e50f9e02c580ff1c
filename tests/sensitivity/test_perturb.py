"""Every kind of damage does what it says, streams, repeats exactly and is graded."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_eval.engine.sensitivity.perturbations import PERTURBATIONS, damage, parse_perturbations, perturbed
from lipsync_eval.errors import MediaError, UsageError
from lipsync_eval.types import Audio, Clip

PICTURES = sorted(set(PERTURBATIONS) - {"delay", "silence"})


def _clip(height=48, width=64, n=6, sound=True):
    """Smooth frames in memory, and the numbers of those that were read."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 5 + t / 3) + np.cos(y / 4 + c) for t in range(n) for c in range(3)]
    frames = np.uint8(60 * np.stack(waves).reshape(n, 3, height, width).transpose(0, 2, 3, 1) + 128)
    asked = []

    def read(start, stop):
        for i in range(start, stop):
            asked.append(i)
            yield frames[i].copy()

    audio = Audio(np.arange(1, n * 640 + 1, dtype=np.float32) / 1e4, Path("a.wav")) if sound else None
    return Clip(Path("a.mkv"), n, height, width, 25.0, "d" * 64, audio, read), frames, asked


def _error(name, strength, **shape):
    clip, frames, _ = _clip(**shape)
    with perturbed(clip, name, strength) as copy:
        return float(np.mean((np.stack(list(copy.frames())).astype(float) - frames) ** 2))


@pytest.mark.parametrize("name", PICTURES)
def test_more_strength_is_more_damage(name):
    """In this range; large shifts, turns and scales of a wave may come back."""
    grades = {"shift": (0.5, 1, 2, 4), "rotate": (0.5, 1, 2, 3), "scale": (1, 2, 3, 4)}.get(
        name, PERTURBATIONS[name].grades
    )
    errors = [_error(name, s) for s in grades]
    assert errors == sorted(errors)
    assert errors[0] > 0


@pytest.mark.parametrize("name", ["shift", "rotate", "scale", "blur"])
def test_zero_strength_is_no_damage(name):
    assert _error(name, 0.0) == 0.0


def test_whole_pixels_move_byte_for_byte():
    clip, frames, _ = _clip()
    with perturbed(clip, "shift", 5.0) as copy:
        moved = np.stack(list(copy.frames()))
    np.testing.assert_array_equal(moved[:, :, 5:], frames[:, :, :-5])
    np.testing.assert_array_equal(moved[:, :, :5], frames[:, :, 5:0:-1])
    with perturbed(clip, "shift", -3.0) as copy:
        np.testing.assert_array_equal(np.stack(list(copy.frames()))[:, :, :-3], frames[:, :, 3:])


def test_jitter_moves_even_frames_right_and_odd_ones_left_wherever_reading_starts():
    clip, frames, _ = _clip()
    with perturbed(clip, "jitter", 2.0) as copy:
        moved = np.stack(list(copy.frames()))
        np.testing.assert_array_equal(np.stack(list(copy.frames(3, 5))), moved[3:5])
    np.testing.assert_array_equal(moved[::2, :, 2:], frames[::2, :, :-2])
    np.testing.assert_array_equal(moved[1::2, :, :-2], frames[1::2, :, 2:])


def test_silence_takes_the_start_of_the_audio_and_all_of_it_at_100():
    clip = _clip()[0]
    with perturbed(clip, "silence", 25.0) as copy:
        n = len(clip.audio.samples)
        assert not copy.audio.samples[: n // 4].any()
        np.testing.assert_array_equal(copy.audio.samples[n // 4 :], clip.audio.samples[n // 4 :])
    with perturbed(clip, "silence", 100.0) as copy:
        assert not copy.audio.samples.any()
    with pytest.raises(MediaError, match="no audio"), perturbed(_clip(sound=False)[0], "silence", 50.0):
        pass


def test_a_half_turn_is_a_flip_of_both_axes():
    frame = _clip()[1][0]
    np.testing.assert_array_equal(damage("rotate", 180.0, frame.shape[:2])(frame), frame[::-1, ::-1])


def test_clockwise_and_larger():
    frame = np.zeros((41, 41, 3), np.uint8)
    frame[20, 30] = 255
    turned = damage("rotate", 90.0, (41, 41))(frame)
    assert turned[30, 20, 0] == 255
    larger = damage("scale", 50.0, (41, 41))(frame)
    assert np.unravel_index(larger[..., 0].argmax(), (41, 41)) == (20, 35)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("shape", [(48, 64), (47, 61)])
def test_size_length_and_bytes_repeat(name, shape):
    clip, frames, _ = _clip(*shape)
    runs = []
    for _ in range(2):
        with perturbed(clip, name, PERTURBATIONS[name].grades[1]) as copy:
            runs.append(list(copy.frames()))
            assert (copy.n_frames, copy.size) == (clip.n_frames, shape)
            part = list(copy.frames(2, 4))
        np.testing.assert_array_equal(np.stack(part), np.stack(runs[-1][2:4]))
    np.testing.assert_array_equal(np.stack(runs[0]), np.stack(runs[1]))
    assert runs[0][0].shape == frames.shape[1:]
    assert all(f.flags["C_CONTIGUOUS"] and f.flags["OWNDATA"] for f in runs[0])


@pytest.mark.parametrize("name", sorted(set(PICTURES) - {"recode"}))
def test_pictures_stream(name):
    clip, _, asked = _clip()
    with perturbed(clip, name, PERTURBATIONS[name].grades[0]) as copy:
        next(copy.frames())
        assert asked == [0]


def test_copies_have_digests_and_notes_of_their_own():
    clip = _clip()[0]
    seen = {clip.digest}
    for name, kind in PERTURBATIONS.items():
        for strength in kind.grades:
            with perturbed(clip, name, strength) as copy:
                seen.add(copy.digest)
                assert copy.notes[-1] == f"perturbed: {name} {strength:g} {kind.unit}"
    assert len(seen) == 1 + sum(len(k.grades) for k in PERTURBATIONS.values())


@settings(max_examples=40, deadline=None)
@given(frames=st.floats(-8, 8))
def test_delay_moves_sound_and_nothing_else(frames):
    clip, pictures, _ = _clip()
    by = round(frames * 640)
    with perturbed(clip, "delay", frames) as copy:
        moved, before = copy.audio.samples, clip.audio.samples
        np.testing.assert_array_equal(np.stack(list(copy.frames())), pictures)
    assert moved.shape == before.shape
    expected = np.zeros_like(before)
    for i in range(0, len(before), 97):
        if 0 <= i - by < len(before):
            expected[i] = before[i - by]
        assert moved[i] == expected[i]


def test_delay_needs_sound():
    with pytest.raises(MediaError, match="no audio"), perturbed(_clip(sound=False)[0], "delay", 2.0):
        pass


def test_parse():
    assert parse_perturbations("shift, blur,shift", {"blur": "4,1,1"}) == {
        "shift": PERTURBATIONS["shift"].grades,
        "blur": (1.0, 4.0),
    }


@pytest.mark.parametrize(
    ("names", "grades", "message"),
    [
        ("shift,twist", {}, "no 'twist'.*choose out of: shift"),
        ("", {}, "choose out of"),
        ("shift", {"blur": "1"}, "blur is not among"),
        ("blur", {"blur": "one"}, "numbers from 0 to 1000"),
        ("blur", {"blur": "-1"}, "numbers from 0 to 1000"),
        ("jpeg", {"jpeg": "100"}, "numbers from 0 to 99"),
        ("blur", {"blur": "nan"}, "numbers from 0"),
    ],
)
def test_parse_refuses(names, grades, message):
    with pytest.raises(UsageError, match=message):
        parse_perturbations(names, grades)
