"""Into the crop and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_eval.baselines.kit.data.alignment import one_crop, to_crops
from lipsync_eval.baselines.kit.dubbing.pasting import face_mask, lower_mask, paste
from lipsync_eval.baselines.radio.data.alignment import ALIGNMENT
from lipsync_eval.warp import render

rng = np.random.default_rng(0)
# A plain frontal face: jaw, brows, nose, eyes, mouth; only eyes and mouth corners place the crop.
ANGLE = np.linspace(np.pi, 0, 17)
FACE = np.concatenate(
    [
        np.stack([60 * np.cos(ANGLE), 70 * np.sin(ANGLE) + 10], 1),
        np.stack([np.linspace(-50, 50, 10), np.full(10, -30.0)], 1),
        np.stack([np.zeros(4), np.linspace(-15, 15, 4)], 1),
        np.stack([np.linspace(-12, 12, 5), np.full(5, 22.0)], 1),
        np.stack([[-38, -32, -24, -18, -24, -32], [-12, -15, -15, -12, -9, -9]], 1),
        np.stack([[18, 24, 32, 38, 32, 24], [-12, -15, -15, -12, -9, -9]], 1),
        np.stack(
            [24 * np.cos(np.linspace(np.pi, -np.pi, 13)[:12]), 45 + 8 * np.sin(np.linspace(np.pi, -np.pi, 13)[:12])], 1
        ),
        np.stack(
            [16 * np.cos(np.linspace(np.pi, -np.pi, 9)[:8]), 45 + 3 * np.sin(np.linspace(np.pi, -np.pi, 9)[:8])], 1
        ),
    ]
)


def face(x=160.0, y=130.0, scale=1.0, degrees=0.0):
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return FACE @ turn.T * scale + [x, y]


def scene(height=260, width=320):
    y, x = np.mgrid[:height, :width]
    return np.stack([128 + 90 * np.sin(x / 19), 128 + 90 * np.cos(y / 23), 128 + 60 * np.sin((x + y) / 31)], 2).astype(
        np.uint8
    )


def test_the_mouth_lies_in_the_lower_half():
    """FFHQ shares measured on the neutral mean face: mouth at 0.752, nose base at 0.666, chin at 0.914 (of the height)."""
    points = to_crops(ALIGNMENT, face(degrees=12, scale=0.8), 192) / 192
    np.testing.assert_allclose(points[[48, 54]].mean(0)[0], 0.5, atol=0.01)
    assert (points[48:, 1] > 0.5).all() and (points[36:48, 1] < 0.5).all()


@settings(max_examples=25, deadline=None)
@given(st.floats(110, 210), st.floats(110, 150), st.floats(0.5, 1.4), st.floats(-40, 40))
def test_pasting_back_the_own_picture_changes_little(x, y, scale, degrees):
    frame = scene()
    points = face(x, y, scale, degrees)
    matrix = ALIGNMENT.matrices(points, 192)
    same = paste(frame, render(frame, matrix, (192, 192)), matrix, lower_mask(192))
    assert np.abs(same.astype(int) - frame).max() <= 6
    assert np.abs(same.astype(int) - frame).mean() < 0.6


@settings(max_examples=25, deadline=None)
@given(st.floats(-40, 360), st.floats(-40, 300), st.floats(0.3, 3.0), st.floats(-180, 180))
def test_only_the_lower_half_of_the_square_changes(x, y, scale, degrees):
    """Whatever the face's place, also outside the frame: elsewhere the pixels are the frame's own."""
    frame = scene()
    matrix = ALIGNMENT.matrices(face(x, y, scale, degrees), 96)
    made = paste(frame, np.full((96, 96, 3), 255, np.uint8), matrix, lower_mask(96))
    assert made.shape == frame.shape and made is not frame
    yy, xx = np.mgrid[: frame.shape[0], : frame.shape[1]]
    u = matrix[0, 0] * xx + matrix[0, 1] * yy + matrix[0, 2]
    v = matrix[1, 0] * xx + matrix[1, 1] * yy + matrix[1, 2]
    outside = (u < -1) | (u > 96) | (v < 47) | (v > 96)
    np.testing.assert_array_equal(made[outside], frame[outside])
    deep = (u > 8) & (u < 87) & (v > 56) & (v < 87)
    assert (made[deep] == 255).all()


def test_masks():
    mask = lower_mask(100)
    assert mask.shape == (100, 100) and mask.dtype == np.float32
    assert (mask[:50] == 0).all() and (mask[60:90, 10:90] == 1).all() and mask[-1].max() < 0.05
    assert (np.diff(mask[50:60, 50]) >= 0).all()
    points = to_crops(ALIGNMENT, face(), 100)
    hull = face_mask(points, 100)
    assert hull[round(points[66, 1]), round(points[66, 0])] > 0.9
    assert hull[95, 3] == 0 and (hull <= mask).all() and (hull[:50] == 0).all()


def test_a_frame_far_away_is_left_alone():
    frame = scene()
    matrix = ALIGNMENT.matrices(face(5000, 5000), 96)
    np.testing.assert_array_equal(paste(frame, np.zeros((96, 96, 3), np.uint8), matrix, lower_mask(96)), frame)


@pytest.mark.parametrize("size", [48, 96, 192])
def test_aligned_picture_and_matrix_agree(size):
    """FFHQ's own resampling and `matrices` show the same place: best agreement at no shift."""
    frame = scene()
    points = face(degrees=7, scale=0.7)
    crop = one_crop(ALIGNMENT, frame, points, size).astype(float)
    matrix = ALIGNMENT.matrices(points, size)
    errors = {}
    for dx in (-1.0, -0.5, 0.0, 0.5, 1.0):
        for dy in (-1.0, -0.5, 0.0, 0.5, 1.0):
            moved = matrix + np.array([[0, 0, dx], [0, 0, dy]])
            other = render(frame, moved, (size, size)).astype(float)
            errors[dx, dy] = np.abs(crop - other)[4:-4, 4:-4].mean()
    assert min(errors, key=errors.get) == (0.0, 0.0)
    assert errors[0.0, 0.0] < 1.5
