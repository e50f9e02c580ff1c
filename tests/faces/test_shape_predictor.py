"""The batched cascade against dlib's own program, and hostile files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dlib
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.data import astronaut

from lipsync_eval.errors import WeightsError
from lipsync_eval.faces import shape_predictor
from lipsync_eval.faces.dlib68 import ShapePredictor, gray, model_path
from lipsync_eval.faces.predictor_file import read_predictor
from lipsync_eval.faces.shape_predictor import CHUNK, Predictor


@cache
def ours() -> Predictor:
    return read_predictor(model_path())


@cache
def theirs() -> Any:
    return dlib.shape_predictor(str(model_path()))


def dlib_points(image: NDArray[np.uint8], window: NDArray[np.int64]) -> NDArray[np.float64]:
    shape = theirs()(image, dlib.rectangle(*map(int, window)))
    return np.array([(p.x, p.y) for p in shape.parts()], np.float64)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, CHUNK + 9))
@example(239816, 260)  # window 107 has a place exactly between two pixels
def test_every_point_equals_dlibs(seed: int, n: int) -> None:
    """Any windows, also of no face, partly outside, of one pixel; images of unlike size; more windows than a chunk."""
    rng = np.random.default_rng(seed)
    face = gray(astronaut())
    images = [face, face[:300, 60:400].copy(), rng.integers(0, 256, (40, 70)).astype(np.uint8)]
    which = rng.integers(0, len(images), n)
    windows = np.empty((n, 4), np.int64)
    for k, image in enumerate(which):
        height, width = images[image].shape
        side = rng.integers(1, max(height, width))
        left, top = rng.integers(-side, width), rng.integers(-side, height)
        windows[k] = left, top, left + side, top + side
    found = ours().points(images, list(which), windows)
    expected = np.stack([dlib_points(images[k], w) for k, w in zip(which, windows, strict=True)])
    for k in np.flatnonzero((found != expected).any(axis=(1, 2))):
        # dlib's map into the image is a pseudo-inverse, so its rounding decides where a place lies exactly between two pixels.
        with patch.object(shape_predictor, "_nearest", nearest_with_halves_down):
            other = ours().points([images[which[k]]], [0], windows[[k]])[0]
        np.testing.assert_array_equal(other, expected[k])


def nearest_with_halves_down(place: NDArray[np.float32], size: Any, start: Any) -> NDArray[np.float64]:
    """As shape_predictor's, but for places exactly between two pixels."""
    return np.ceil(place * size + start - 0.5)


def test_no_window_gives_no_points() -> None:
    assert ours().points([], [], np.empty((0, 4), np.int64)).shape == (0, 68, 2)


def test_faces_taken_together_have_the_points_that_each_has_alone() -> None:
    frame = astronaut()
    boxes = [np.array([170.0, 70, 280, 180]) + k for k in range(7)] + [np.array([10.0, 300, 90, 380])]
    finder = ShapePredictor()
    together = finder.points_of([frame] * len(boxes), boxes)
    assert together[0] is not None
    for box, points in zip(boxes, together, strict=True):
        alone = finder.points(frame, box)
        assert (points is None) == (alone is None)
        if points is not None:
            np.testing.assert_array_equal(points, alone)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    whole = model_path().read_bytes()
    cut = tmp_path / "cut.dat"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(WeightsError, match="expected a shape predictor"):
        read_predictor(cut)


@pytest.mark.parametrize("content", [b"\x01\x02", b"PK\x03\x04" * 100, bytes(1000), b"\xff" * 1000])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    other = tmp_path / "other.dat"
    other.write_bytes(content)
    with pytest.raises(WeightsError, match="get the file again"):
        read_predictor(other)
