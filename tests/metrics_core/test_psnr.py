"""PSNR against scikit-image's, ATVGnet's and TalkLip's numbers, and its contract."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pictures import photograph, table

from lipsync_eval import psnr
from lipsync_eval.errors import InputError
from lipsync_eval.metrics.psnr import decibel, mean_squared_errors, psnr_pooled, psnr_uint8wrap

CASES = ["case1_192", "case2_256", "case3_96"]


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    t = table(case)
    a = np.broadcast_to(t.a, t.b.shape)
    np.testing.assert_allclose(mean_squared_errors(a, t.b), t.columns["psnr_pooled_note_mse"], rtol=1e-12)
    expected = np.where(np.isinf(t.columns["psnr_skimage"]), 100.0, t.columns["psnr_skimage"])
    np.testing.assert_allclose(psnr(a, t.b), expected, rtol=1e-9)
    for column in ("psnr_wrap_atvg_rgb", "psnr_wrap_talklip_rgb"):
        np.testing.assert_allclose(psnr_uint8wrap(a, t.b), t.columns[column], rtol=1e-9)


@pytest.mark.parametrize("size", [(256, 256), (96, 96)])
def test_the_use_of_the_legacy_codes(size: tuple[int, int]) -> None:
    """ATVGnet compares grey 256x256 frames, TalkLip 96x96 ones: the same function on what they feed it."""
    import cv2

    t = table("case1_192")
    area = cv2.INTER_AREA if size == (256, 256) else cv2.INTER_LINEAR
    resized = [cv2.resize(x[..., ::-1], size, interpolation=area) for x in (t.a, *t.b)]
    if size == (256, 256):
        resized = [np.dstack([cv2.cvtColor(x, cv2.COLOR_BGR2GRAY)] * 3) for x in resized]
    column = "psnr_wrap_atvg_gray256" if size == (256, 256) else "psnr_wrap_talklip_bgr96"
    values = psnr_uint8wrap(np.stack([resized[0]] * len(t.b)), np.stack(resized[1:]))
    np.testing.assert_allclose(values, t.columns[column], rtol=1e-9)


def test_one_frame_gives_a_float_and_a_stack_an_array() -> None:
    a, b = table("case3_96").a, table("case3_96").b
    one = psnr(a, b[4])
    assert type(one) is float
    many = psnr(np.stack([a, a]), b[4:6])
    assert isinstance(many, np.ndarray)
    assert many.shape == (2,) and many.dtype == np.float64 and many[0] == one
    assert type(psnr_uint8wrap(a, b[4])) is float
    assert type(psnr_pooled(a, b[4])) is float


def test_equal_frames_have_100() -> None:
    a = photograph("case3_96")
    assert psnr(a, a) == psnr_pooled(a, a) == psnr_uint8wrap(a, a) == 100.0
    assert list(psnr(np.stack([a, a]), np.stack([a, 255 - a]))) == [100.0, psnr(a, 255 - a)]


def test_nothing_is_above_100() -> None:
    a = np.zeros((256, 256, 3), np.uint8)
    b = a.copy()
    b[0, 0, 0] = 1  # 10 log10(255^2 * 196608) = 101.07
    assert psnr(a, b) == psnr_pooled(a, b) == 100.0
    assert psnr(a, np.full_like(a, 255)) == 0.0


def test_pooled_is_the_psnr_of_the_mean_error() -> None:
    t = table("case2_256")
    a = np.broadcast_to(t.a, t.b.shape)
    assert psnr_pooled(a, t.b) == pytest.approx(
        10 * np.log10(255**2 / t.columns["psnr_pooled_note_mse"].mean()), rel=1e-12
    )
    assert psnr_pooled(a[:2], t.b[:2]) < np.mean(psnr(a[:2], t.b[:2]))  # the first is equal: 100 dB lift the mean only


def test_the_legacy_number_is_not_monotone() -> None:
    a = np.full((32, 32, 3), 100, np.uint8)
    assert psnr_uint8wrap(a, a + np.uint8(16)) == 100.0  # 16^2 = 256 = 0 mod 256
    assert psnr_uint8wrap(a, a + np.uint8(17)) > psnr_uint8wrap(a, a + np.uint8(12))
    assert psnr(a, a + np.uint8(17)) < psnr(a, a + np.uint8(12))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_against_python_integers(seed: int, height: int, width: int) -> None:
    a, b = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    pairs = list(zip(a.ravel().tolist(), b.ravel().tolist()))
    mse = sum((x - y) ** 2 for x, y in pairs) / len(pairs)
    wrapped = sum(((x - y) % 256) ** 2 % 256 for x, y in pairs) / len(pairs)
    assert psnr(a, b) == pytest.approx(min(10 * np.log10(65025 / mse), 100), rel=1e-12)
    assert psnr_uint8wrap(a, b) == pytest.approx(10 * np.log10(65025 / wrapped) if wrapped else 100, rel=1e-12)
    assert psnr(a, b) == psnr(b, a)


def test_large_sums_are_exact() -> None:
    a = np.zeros((1, 1080, 1920, 3), np.uint8)
    assert mean_squared_errors(a, np.full_like(a, 255))[0] == 255**2
    assert decibel(0.0) == 100.0


GOOD = np.zeros((2, 12, 14, 3), np.uint8)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (GOOD.astype(np.float32) / 255, r"float32 in 0..0: write \(x \* 255\)\.round\(\)"),
        (GOOD.astype(np.float64) - 1.0, r"\(x \+ 1\) \* 127\.5"),
        (GOOD.astype(np.float64) + 200.0, r"x\.round\(\)\.clip\(0, 255\)\.astype\(np\.uint8\)"),
        (np.full(GOOD.shape, np.nan), "NaN or infinite"),
        (GOOD.astype(np.int64), r"write x\.astype\(np\.uint8\)"),
        (GOOD.astype(np.int16) - 5, r"in -5\.\.-5: bring it to 0\.\.255"),
        (GOOD.astype(bool), "uint8 RGB in 0..255, got bool"),
        (np.moveaxis(GOOD, -1, 1), r"np\.moveaxis\(x, -3, -1\)"),
        (GOOD[..., 0], r"\(H, W, 3\) or \(N, H, W, 3\)"),
        (GOOD[0, ..., 0], "grey frame"),
        (GOOD[..., :1], "grey frame"),
        (np.concatenate([GOOD, GOOD[..., :1]], -1), "alpha"),
        (GOOD[None], r"got \(1, 2, 12, 14, 3\)"),
        (GOOD[:0], "empty"),
        (GOOD[:, :6], r"must have one shape, got"),
        (GOOD[:1], r"must have one shape, got"),
        ([GOOD[0], GOOD[0, :5]], "differ in size"),
    ],
)
def test_wrong_input_says_what_to_write(bad: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        psnr(bad, GOOD)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=says):
        psnr_uint8wrap(bad, GOOD)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=says):
        psnr_pooled(bad, GOOD)  # type: ignore[arg-type]


def test_the_remedy_works() -> None:
    a = photograph("case3_96")
    x = a / 255.0
    np.testing.assert_array_equal((x * 255).round().clip(0, 255).astype(np.uint8), a)
    y = a / 127.5 - 1
    np.testing.assert_array_equal(((y + 1) * 127.5).round().clip(0, 255).astype(np.uint8), a)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 9, 255]))
def test_the_squared_error_is_exact(seed: int, height: int, width: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (2, height, width, 3)).astype(np.uint8)
    b = np.clip(a + rng.integers(-most, most + 1, a.shape), 0, 255).astype(np.uint8)
    sums = ((a.astype(np.int64) - b) ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_array_equal(mean_squared_errors(a, b), sums / (height * width * 3))
