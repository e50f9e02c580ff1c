"""Random changes of training windows: what they do, how far they go, and that they repeat."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_eval.baselines.kit.data.mel import LEVELS
from lipsync_eval.baselines.kit.sync.augmentation import _move, augment_audio, augment_crops
from lipsync_eval.baselines.kit.sync.mouth_shape import level_and_motion, mouth_shape
from lipsync_eval.baselines.kit.sync.settings import SyncAugmentConfig
from lipsync_eval.baselines.radio.config import SyncConfig

BOX = SyncConfig().box
NONE = dict.fromkeys(SyncAugmentConfig.model_fields, 0)


def only(**settings):
    return SyncAugmentConfig(**NONE | settings)


def window(seed=0, side=32):
    return np.random.default_rng(seed).integers(0, 256, (5, side, side, 3), np.uint8)


def audio(seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.2, (80, 20)).astype(np.float32)


def test_nothing_is_changed_when_every_setting_is_zero():
    np.testing.assert_array_equal(augment_crops(window(), BOX, only(), np.random.default_rng(1)), window())
    np.testing.assert_array_equal(augment_audio(audio(), LEVELS, only(), np.random.default_rng(1)), audio())


def test_the_same_draw_gives_the_same_window():
    a, b, c = (augment_crops(window(), BOX, SyncAugmentConfig(), np.random.default_rng(k)) for k in (7, 7, 8))
    np.testing.assert_array_equal(a, b)
    assert (a != c).mean() > 0.5
    a, b, c = (augment_audio(audio(), LEVELS, SyncAugmentConfig(), np.random.default_rng(k)) for k in (7, 7, 8))
    np.testing.assert_array_equal(a, b)
    assert (a != c).mean() > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_the_five_pictures_are_changed_alike(seed):
    still = window()[:1].repeat(5, 0)
    out = augment_crops(still, BOX, SyncAugmentConfig(), np.random.default_rng(seed))
    assert out.dtype == np.uint8 and (out != still).any()
    for frame in out[1:]:
        np.testing.assert_array_equal(frame, out[0])


def test_a_mirrored_window_is_exactly_mirrored():
    """The tight face is symmetric in the crop, so its mirror image needs no interpolation."""
    out = augment_crops(window(), BOX, only(flip=1.0), np.random.default_rng(3))
    np.testing.assert_array_equal(out, window()[:, :, ::-1])


def test_turn_scale_and_move_about_the_centre_of_the_face():
    """Side 32: the box is 6..26 by 12..32, its centre (15.5, 21.5) in pixels counted from centres, its width 20."""
    matrix = _move(32, BOX, only(rotate=90, scale=np.log(2), shift=0.1), np.array([1, 1, 1, 1, -1.0]))
    np.testing.assert_allclose(matrix @ [15.5, 21.5, 1], [17.5, 19.5])  # moved by 0.1 x 20 px
    np.testing.assert_allclose(matrix @ [16.5, 21.5, 1], [17.5, 21.5], atol=1e-12)  # right -> down, twice as far


def test_tones_by_hand():
    """Brightness moves every value by the same amount; contrast keeps the mean; gamma keeps black and white."""
    middle = np.clip(window(), 80, 170)
    moved = augment_crops(middle, BOX, only(brightness=0.2), np.random.default_rng(0)).astype(int) - middle
    assert len(np.unique(moved)) == 1 and 0 < abs(moved.flat[0]) <= 51
    spread = augment_crops(middle, BOX, only(contrast=0.3), np.random.default_rng(0))
    assert spread.mean() == pytest.approx(middle.mean(), abs=0.5) and spread.std() != pytest.approx(middle.std(), abs=1)
    curved = augment_crops(window(), BOX, only(gamma=0.3), np.random.default_rng(0))
    assert {*curved[window() == 0]} == {0} and {*curved[window() == 255]} == {255} and (curved != window()).any()


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_loudness_and_tilt_stay_within_their_decibels(seed):
    gained = (augment_audio(audio(), LEVELS, only(gain=4), np.random.default_rng(seed)) - audio()) * 40  # 40 dB a unit
    inside = gained[audio() > -0.85]
    assert np.ptp(inside) < 1e-4 and abs(inside[0]) <= 4
    tilted = (augment_audio(audio(), LEVELS, only(tilt=4), np.random.default_rng(seed)) - audio()).mean(1) * 40
    assert tilted[0] == pytest.approx(-tilted[-1], abs=1e-4) and abs(tilted[0]) <= 4.001


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_hidden_bands_and_moments_are_at_most_as_many_as_said(seed):
    bands = (augment_audio(audio(), LEVELS, only(mask_bands=10), np.random.default_rng(seed)) == -1).all(1)
    assert bands.sum() <= 10
    out = augment_audio(audio(), LEVELS, only(mask_frames=3), np.random.default_rng(seed))
    moments = np.flatnonzero(np.ptp(out, axis=0) == 0)
    assert len(moments) <= 3 and np.ptp(moments) == len(moments) - 1 if len(moments) else True
    np.testing.assert_array_equal(np.delete(out, moments, 1), np.delete(audio(), moments, 1))


def test_bands_are_stretched_by_hand():
    ramp = np.linspace(-1, 0, 80, dtype=np.float32)[:, None].repeat(20, 1)
    out = augment_audio(ramp, LEVELS, only(warp=0.1), np.random.default_rng(0))
    factor = (out[40, 0] + 1) / (ramp[40, 0] + 1)
    assert abs(np.log(factor)) <= 0.1 and abs(np.log(factor)) > 1e-3
    expected = np.minimum(np.arange(80) * factor, 79) / 79 - 1
    np.testing.assert_allclose(out, expected[:, None].repeat(20, 1), atol=1e-5)


def test_noise_has_the_decibels_that_are_said():
    quiet = np.full((80, 20), -0.5, np.float32)
    added = (augment_audio(quiet, LEVELS, only(noise=2), np.random.default_rng(0)) - quiet) * 40
    assert added.std() == pytest.approx(2, rel=0.1) and abs(added.mean()) < 0.2


def test_loud_and_silent_values_stay_in_the_mels_scale():
    for level in (-1.0, 1.0):
        out = augment_audio(np.full((80, 20), level, np.float32), LEVELS, SyncAugmentConfig(), np.random.default_rng(2))
        assert out.dtype == np.float32 and out.min() >= -1 and out.max() <= 1


def test_the_mouths_shape_by_hand():
    points = np.zeros((1, 68, 2))
    points[0, 27], points[0, 33], points[0, 8] = (0, 0), (0, 10), (0, 30)
    for k, (a, b) in enumerate(((61, 67), (62, 66), (63, 65))):
        points[0, a], points[0, b] = (k, 15), (k, 15 + 1 + k)  # 1, 2, 3
    for a, b in ((50, 58), (51, 57), (52, 56)):
        points[0, a], points[0, b] = (0, 12), (3, 16)  # 5
    points[0, 48], points[0, 54], points[0, 60], points[0, 64] = (-6, 15), (6, 15), (-4, 15), (4, 15)
    np.testing.assert_allclose(mouth_shape(points), [[0.2, 0.5, 1.2, 0.8, 2.0]])


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(-3, 3), st.floats(0.3, 3))
def test_the_mouths_shape_does_not_feel_the_windows_changes(seed, angle, scale):
    points = np.random.default_rng(seed).uniform(0, 96, (5, 68, 2))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (points * [-1, 1]) @ turn.T + [5, -3]
    np.testing.assert_allclose(mouth_shape(moved), mouth_shape(points), rtol=1e-4)


def test_level_and_motion_by_hand():
    shape = np.array([[1, 0, 0, 0, 4], [2, 0, 0, 0, 4], [6, 0, 0, 0, 4]], np.float32)
    np.testing.assert_array_equal(level_and_motion(shape)[:, 0], [3, -2, -1, 3])
    np.testing.assert_array_equal(level_and_motion(shape)[:, 4], [4, 0, 0, 0])
