"""Audio, video and mouth ROI against the official front ends, and what the golden cases leave out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.avhubert import arrays, needs_golden

from lipsync_eval.errors import FaceError, InputError
from lipsync_eval.features.avhubert import (
    audio_input,
    cut_mouth,
    gray,
    locate_mouths,
    log_filter_banks,
    mouth_roi,
    sample_mouths,
    video_input,
    video_tensor,
)
from lipsync_eval.features.avhubert.roi import MEAN_FACE, STABLE, fill_missing, similarity, smoothed, whole_frame

AUDIO = ["exact25", "odd_short", "audio_longer", "audio_shorter", "silence_mid", "clipped", "tiny401"]


@needs_golden
@pytest.mark.parametrize("case", AUDIO)
def test_audio_equals_official(case):
    golden = {
        k.removeprefix(f"{case}__"): v
        for k, v in arrays("D_audio/audio_frontend.npz").items()
        if k.startswith(f"{case}__")
    }
    wave, frames = golden["wave"], int(golden["video_frames"])
    np.testing.assert_allclose(log_filter_banks(wave), golden["logfbank"], rtol=1e-5)
    np.testing.assert_allclose(audio_input(wave, frames, normalize=False), golden["stacked_trimmed"], rtol=1e-5)
    whole = audio_input(wave, len(golden["stacked_full"]), normalize=False)
    np.testing.assert_allclose(whole, golden["stacked_full"], rtol=1e-5)
    silent = golden["final"].std(axis=1) < 1e-6
    ours = audio_input(wave, frames)
    np.testing.assert_allclose(ours[~silent], golden["final"][~silent], atol=1e-5)
    np.testing.assert_allclose(ours[silent], golden["final"][silent], atol=2e-3)


@settings(max_examples=30, deadline=None)
@given(samples=st.integers(1, 1_400_000), seed=st.integers(0, 99))
def test_blocks_equal_one_pass(samples, seed):
    """The blockwise filter banks equal python_speech_features on the whole audio (float32 of the same float64)."""
    from python_speech_features import logfbank

    samples = min(samples, 700_000) if seed else samples
    wave = np.random.default_rng(seed).integers(-3000, 3000, samples).astype(np.int16)
    ours = log_filter_banks(wave)
    theirs = logfbank(wave, samplerate=16000).astype(np.float32)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wave", [np.zeros(0, np.int16), np.zeros(100, np.float32), np.zeros((100, 2), np.int16)])
def test_audio_refuses_other_input(wave):
    with pytest.raises(InputError, match=r"\(N,\) int16 at 16000 Hz"):
        audio_input(wave, 5)


@needs_golden
@pytest.mark.parametrize("case", ["rgb96", "gray96", "ramp256"])
def test_video_equals_official(case):
    golden = arrays("E_video/video_frontend.npz")
    pictures = gray(golden[f"{case}__rgb"]) if f"{case}__rgb" in golden else golden[f"{case}__gray_in"]
    np.testing.assert_array_equal(pictures, golden[f"{case}__gray"])
    np.testing.assert_allclose(video_input(pictures), golden[f"{case}__tensor"], atol=1e-6)


@needs_golden
def test_normalised_video_equals_official():
    pictures = arrays("C_features/inputs.npz")["video_u8_T8"]
    np.testing.assert_allclose(
        video_input(pictures), arrays("C_features/normalised_video_T8.npz")["video"][0, 0], atol=1e-6
    )


@pytest.mark.parametrize(
    "pictures", [np.zeros((3, 87, 90), np.uint8), np.zeros((3, 96, 96), np.float32), np.zeros((96, 96), np.uint8)]
)
def test_video_refuses_other_input(pictures):
    with pytest.raises(InputError):
        video_input(pictures)


def _frames(golden):
    height, width = golden["all_present__HW"]
    for dx, dy, light in zip(golden["all_present__dx"], golden["all_present__dy"], golden["all_present__brightness"]):
        part = golden["base_bgr"][dy : dy + height, dx : dx + width].astype(int)
        yield np.clip(part + light, 0, 255).astype(np.uint8)


def _points(golden, case):
    points = golden[f"{case}__landmarks_given"].astype(np.float64)
    points[~golden[f"{case}__landmarks_present"]] = np.nan
    return points


@needs_golden
@pytest.mark.parametrize(
    ("case", "missing"), [("all_present", []), ("missing", [0, 1, 5, 6, 7, 13, 18, 19]), ("short7", [])]
)
def test_mouth_roi_equals_official(case, missing):
    golden = arrays("F_roi/mouth_roi.npz")
    points, frames = _points(golden, case), list(_frames(golden))
    np.testing.assert_allclose(MEAN_FACE, golden["mean_face_68x2"][list(STABLE)], atol=1e-12)
    np.testing.assert_allclose(fill_missing(points)[0], golden[f"{case}__landmarks_interp"], atol=1e-9)
    stable = golden[f"{case}__smoothed_stable_points"]
    np.testing.assert_allclose(smoothed(fill_missing(points)[0][:, STABLE]), stable, atol=1e-9)
    mouths = locate_mouths(points)
    assert mouths.interpolated.tolist() == missing
    np.testing.assert_allclose(mouths.matrix, golden[f"{case}__transforms"][:, :2], atol=1e-9)
    crops = [cut_mouth(f, m, c) for f, m, c in zip(frames, mouths.matrix, mouths.corner)]
    stored = np.stack([crops[i] for i in golden[f"{case}__crops_index"]]).astype(int) - golden[f"{case}__crops"]
    assert np.abs(stored).max() <= 1
    assert np.mean(stored != 0) <= 4e-4
    np.testing.assert_allclose([c.mean() for c in crops], golden[f"{case}__crops_mean"], atol=0.01)
    rows = np.stack([c.mean(axis=(1, 2)) for c in crops])
    np.testing.assert_allclose(rows, golden[f"{case}__crops_rowmean"], atol=0.05)


@needs_golden
def test_no_face_is_an_error_not_a_whole_frame():
    """The official tool resizes the whole frame where no frame has a face. We refuse."""
    with pytest.raises(FaceError, match="no frame has a face"):
        locate_mouths(_points(arrays("F_roi/mouth_roi.npz"), "all_missing"))


@needs_golden
def test_whole_frame_equals_the_official_fallback():
    golden = arrays("F_roi/mouth_roi.npz")
    expected = golden["all_missing__crops_all"]
    ours = np.stack([whole_frame(f) for f, _ in zip(_frames(golden), expected)])
    assert np.abs(ours.astype(int) - expected).max() <= 1


def _face(rng, n=20, shift=(0.0, 0.0)):
    template = rng.uniform(60, 200, (68, 2))
    template[list(STABLE)] = MEAN_FACE
    template[48:] = rng.uniform((110, 150), (150, 190), (20, 2))
    return template + rng.normal(0, 1, (n, 1, 2)).cumsum(axis=0) * 0.5 + np.asarray(shift)


def test_no_level_between_black_and_the_darkest_of_the_picture():
    """scikit-image 0.17.2 (which the official tool pins) lifts what mixes with the black outside to the frame's darkest level."""
    rng = np.random.default_rng(3)
    frame = rng.integers(100, 256, (90, 120, 3), np.uint8)
    turned = np.array([[1.3, 0.2, 40.0], [-0.2, 1.3, 60.0]])
    found = cut_mouth(frame, turned, np.array([0, 0]), 256)
    assert (found == 0).any() and not ((found > 0) & (found < frame.min())).any()
    dark = frame.copy()
    dark[0, 0] = 0
    plain = cut_mouth(dark, turned, np.array([0, 0]), 256)
    assert ((plain > 0) & (plain < 100)).any()
    flat = cut_mouth(np.full((90, 120, 3), 77, np.uint8), turned, np.array([0, 0]), 256)
    assert set(np.unique(flat)) == {0, 77}


def test_88_pixels_are_the_middle_of_96():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (260, 300, 3), np.uint8)
    mouths = locate_mouths(_face(rng))
    whole = cut_mouth(frame, mouths.matrix[3], mouths.corner[3])
    np.testing.assert_array_equal(cut_mouth(frame, mouths.matrix[3], mouths.corner[3] + 4, 88), whole[4:92, 4:92])


def test_roi_follows_the_face_exactly():
    """Frame and points moved together by whole pixels: the same mouth crops."""
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (20, 260, 300, 3), np.uint8)
    points = _face(rng, shift=(10, -5))
    moved = np.roll(frames, (7, 11), axis=(1, 2))
    here, there = mouth_roi(frames, points), mouth_roi(moved, points + np.array([11, 7]))
    assert np.abs(here.astype(int) - there.astype(int)).max() <= 1
    assert here.shape == (20, 96, 96)


@settings(max_examples=50, deadline=None)
@given(
    angle=st.floats(-3, 3),
    scale=st.floats(0.2, 5),
    x=st.floats(-100, 100),
    y=st.floats(-100, 100),
    seed=st.integers(0, 9),
)
def test_similarity_finds_the_transform(angle, scale, x, y, seed):
    points = np.random.default_rng(seed).uniform(0, 100, (1, 5, 2))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity(points, points[0] @ turn.T + [x, y])
    np.testing.assert_allclose(found[0], np.column_stack([turn, [x, y]]), atol=1e-9)


def test_differentiable_roi_equals_the_uint8_one():
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 256, (6, 260, 300, 3), np.uint8)
    points = _face(rng, n=6, shift=(60, 30))
    mouths = locate_mouths(points)
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2).double().div(255).requires_grad_(True)
    ours = video_tensor(sample_mouths(pictures, mouths)[None])[0, 0]
    theirs = video_input(mouth_roi(frames, points))
    level = 1 / 255 / 0.165
    assert np.abs(ours.detach().numpy() - theirs).max() <= 1.6 * level
    ours.sum().backward()
    assert pictures.grad.abs().sum() > 0


@pytest.mark.parametrize("far", [0, 3, 40, 200])
def test_a_mouth_beyond_the_border_is_that_of_a_frame_in_black(far):
    rng = np.random.default_rng(far)
    frame = rng.integers(0, 256, (70, 50, 3), dtype=np.uint8)
    frame[0, 0] = 0  # no level is lifted
    wide = np.pad(frame, ((512, 512), (512, 512), (0, 0)))
    for corner in ((-far, -far), (-far, 30), (30, far), (far, -far)):
        scale, turn = rng.choice([(0.5, 0.0), (1.0, 0.0), (2.0, 0.0), (0.5, 0.5), (1.0, -1.0)])  # exact in binary
        matrix = np.array([[scale, -turn, 10.5], [turn, scale, -3.25]])
        moved = matrix.copy()
        moved[:, 2] -= matrix[:, :2] @ [512, 512]
        found = cut_mouth(frame, matrix, np.array(corner), 88)
        np.testing.assert_array_equal(found, cut_mouth(wide, moved, np.array(corner), 88))
