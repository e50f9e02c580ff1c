"""CPBD against the PyPI package's numbers, and what it must do."""

from __future__ import annotations

import numpy as np
import pytest
from golden.synthetic_inputs import crc
from hypothesis import given, settings
from hypothesis import strategies as st
from support.perception import golden
from support.quality import frame

from lipsync_eval import check_metric
from lipsync_eval.errors import InputError
from lipsync_eval.metrics.quality import cpbd_score
from lipsync_eval.metrics.quality.cpbd_score import cpbd
from lipsync_eval.metrics.quality.grey import pillow_l

CASE = golden("cpbd/case1_images")
NAMES = list(map(str, CASE["names"]))


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    at, grey = NAMES.index(name), pillow_l(frame(name))
    assert crc(grey) == CASE["gray_crc32"][at]
    widths = cpbd_score.edge_widths(grey)
    found = (cpbd_score.canny_edges(grey), cpbd_score.sobel_edges(grey), widths > 0, widths)
    assert [int(x.sum()) for x in found] == CASE["counts"][at].tolist()
    np.testing.assert_array_equal(np.bincount(widths[widths > 0], minlength=40)[:40], CASE["width_hist"][at])
    assert cpbd(grey) == pytest.approx(CASE["cpbd"][at], abs=1e-12)


def test_golden_edges() -> None:
    """No full block, a rest beyond full blocks, and a flat frame."""
    grey = pillow_l(frame(NAMES[0]))
    frames = (grey[:63, :200], grey[20:150, 30:180], np.full((128, 128), 77, np.uint8))
    found = [cpbd(np.ascontiguousarray(x)) for x in frames]
    assert found == pytest.approx(golden("cpbd/case2_edges")["cpbd"].tolist(), abs=1e-12)


def by_hand(grey: np.ndarray) -> np.ndarray:
    """Widths as the paper's code walks them, one pixel after the other."""
    edges, out = cpbd_score.sobel_edges(grey), np.zeros(grey.shape, int)
    v = grey.astype(int)
    gy, gx = np.gradient(grey.astype(float))
    angle = np.where(gx != 0, np.degrees(np.arctan2(gy, gx)), 0.0)
    if not angle.any():
        return out
    quarter = 45 * np.round(angle / 45)
    height, width = grey.shape
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            sign = {0: 1, 180: -1, -180: -1}.get(quarter[y, x])
            if not edges[y, x] or sign is None:
                continue
            left, right = x - 1, x + 1
            while left > 0 and x - 1 - left < 100 and sign * (v[y, left] - v[y, left - 1]) > 0:
                left -= 1
            while right < width - 1 and right - x - 1 < 100 and sign * (v[y, right + 1] - v[y, right]) > 0:
                right += 1
            out[y, x] = right - left
    return out


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 24), st.integers(3, 24), st.integers(0, 10_000), st.sampled_from([2, 4, 40, 256]))
def test_widths_are_those_of_a_plain_walk(height: int, width: int, seed: int, levels: int) -> None:
    grey = np.random.default_rng(seed).integers(0, levels, (height, width)).astype(np.uint8)
    grey = np.sort(grey, axis=1) if seed % 3 == 0 else grey
    np.testing.assert_array_equal(cpbd_score.edge_widths(grey), by_hand(grey))


def test_one_direction_of_slopes_has_no_width() -> None:
    """As in the package: where every gradient has angle 0, nothing is measured."""
    ramp = np.tile(np.arange(128, dtype=np.uint8), (128, 1))
    assert cpbd_score.edge_widths(ramp).sum() == 0 == cpbd(ramp)


def test_narrow_enough_is_the_just_noticeable_width() -> None:
    widths = np.arange(1, 203)
    for jnb in (3, 5):
        np.testing.assert_array_equal(cpbd_score.unseen(widths, jnb), widths <= jnb)


def test_wrong_input() -> None:
    with pytest.raises(InputError, match="3 x 3"):
        cpbd(np.zeros((2, 70), np.uint8))
    with pytest.raises(InputError, match="uint8"):
        pillow_l(np.zeros((9, 9, 3), np.float32))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="RGB"):
        pillow_l(np.zeros((9, 9, 4), np.uint8))


def test_metric() -> None:
    assert "any batching, and again" in check_metric("cpbd", n_frames=20).passed
