"""SSIM and MS-SSIM against scikit-image, pytorch-msssim and piq, and their limits."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from golden.synthetic_inputs import image
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pictures import photograph, table

from lipsync_eval import ms_ssim, ssim
from lipsync_eval.errors import InputError
from lipsync_eval.metrics.helpers.ssim_windows import SMALLEST, SMALLEST_MULTISCALE, similarity


def skimage_ssim(a: np.ndarray, b: np.ndarray) -> float:
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=-1
        )
    )


def torch_ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """pytorch-msssim in float64, with its window in float64 too."""
    import torch

    peer = pytest.importorskip("pytorch_msssim", reason="pytorch-msssim is not installed")
    x = np.arange(11) - 5
    k = np.exp(-(x**2) / 4.5)
    window = torch.from_numpy(k / k.sum()).expand(3, 1, 1, 11)
    tensors = [torch.from_numpy(p.astype(np.float64)).permute(2, 0, 1)[None] for p in (a, b)]
    return float(peer.ms_ssim(*tensors, data_range=255, win=window))


@pytest.mark.parametrize("case", ["case1_192", "case2_256", "case3_96"])
def test_golden_ssim(case: str) -> None:
    t = table(case)
    values = ssim(np.broadcast_to(t.a, t.b.shape), t.b)
    np.testing.assert_allclose(values, t.columns["ssim_sk_gauss"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(values, t.columns["ssim_pytorch_msssim_f64"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["case1_192", "case2_256"])
def test_golden_ms_ssim(case: str) -> None:
    t = table(case)
    values = ms_ssim(np.broadcast_to(t.a, t.b.shape), t.b)
    np.testing.assert_allclose(values, t.columns["msssim_pytorch_msssim_f64"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        values, t.columns["msssim_piq_f64"], rtol=0, atol=1e-6
    )  # sides divisible by 16: the same definition


def test_golden_at_96_as_talklip_uses_it() -> None:
    import cv2

    t = table("case1_192")
    small = [cv2.resize(np.ascontiguousarray(x[..., ::-1]), (96, 96)) for x in (t.a, *t.b)]
    np.testing.assert_allclose(
        [ssim(small[0], x) for x in small[1:]], t.columns["ssim_sk_gauss_bgr96_talklip"], rtol=0, atol=1e-6
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(11, 150), st.integers(11, 150), st.sampled_from([2, 8, 40, 255]))
def test_any_size_against_scikit_image(seed: int, height: int, width: int, contrast: int) -> None:
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 256 - contrast, (1, 1, 1, 3)) if contrast < 255 else 0
    a, b = (rng.integers(0, contrast + 1, (2, height, width, 3)) + level).astype(np.uint8)
    value = ssim(a, b)
    assert value == pytest.approx(skimage_ssim(a, b), abs=1e-6)
    assert value == pytest.approx(ssim(b, a), abs=1e-7)
    assert -1 <= value <= 1


@pytest.mark.parametrize(("height", "width"), [(161, 161), (165, 181), (162, 175), (176, 320), (337, 163)])
def test_odd_sizes_against_pytorch_msssim(height: int, width: int) -> None:
    """At odd sides pytorch-msssim pads zeros and counts them; 165 and 337 are odd again after halving."""
    a = image(31, height, width)
    b = np.clip(a.astype(int) + np.random.default_rng(5).integers(-30, 31, a.shape), 0, 255).astype(np.uint8)
    assert ms_ssim(a, b) == pytest.approx(torch_ms_ssim(a, b), abs=1e-6)


def flat(level: tuple[int, int, int] | int) -> np.ndarray:
    return np.full((200, 190, 3), level, np.uint8)


def halves() -> np.ndarray:
    a = flat(0)
    a[:100] = 255
    return a


HARD = {
    "black": flat(0), "white": flat(255), "bright grey": flat(235), "green screen": flat((0, 177, 64)), "black and white": halves(),
    "dark photograph": photograph("case1_192")[:200, :190] // 16, "ramp": np.tile(np.linspace(0, 255, 190).astype(np.uint8)[None, :, None], (200, 1, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("noise", [1, 5, 12])
def test_flat_dark_and_bright_frames(name: str, noise: float) -> None:
    """Where E[x^2] - E[x]^2 in float32 fails: the same 1e-6 as elsewhere."""
    a = HARD[name]
    b = np.clip(np.rint(a + np.random.default_rng(int(noise)).normal(0, noise, a.shape)), 0, 255).astype(np.uint8)
    assert ssim(a, b) == pytest.approx(skimage_ssim(a, b), abs=1e-6)
    if min(a.shape[:2]) >= SMALLEST_MULTISCALE:
        assert ms_ssim(a, b) == pytest.approx(torch_ms_ssim(a, b), abs=1e-6)


@pytest.mark.parametrize("level", [10, 128, 245])
def test_opposite_noise_on_flat_frames(level: int) -> None:
    """The worst case for cancellation: gen + gt is constant, so the structure term hangs on a variance of zero."""
    n = np.rint(np.random.default_rng(3).normal(0, 3, (200, 200, 3))).clip(-9, 9)
    a, b = (level + n).astype(np.uint8), (level - n).astype(np.uint8)
    assert ssim(a, b) == pytest.approx(skimage_ssim(a, b), abs=1e-6)
    assert ms_ssim(a, b) == pytest.approx(torch_ms_ssim(a, b), abs=1e-6)


def test_black_against_white() -> None:
    """Five scales without any structure: all that is left is the luminance term, (C1 / (255^2 + C1))^0.1333."""
    expected = (6.5025 / (255**2 + 6.5025)) ** 0.1333
    a = flat(0)[:176, :176]  # even on all scales: no zeros are padded
    assert ms_ssim(a, 255 - a) == pytest.approx(expected, abs=1e-5)
    assert ssim(a, 255 - a) == pytest.approx(6.5025 / (255**2 + 6.5025), abs=1e-7)


@pytest.mark.parametrize("name", HARD)
def test_equal_frames_have_exactly_1(name: str) -> None:
    a = HARD[name]
    assert ssim(a, a.copy()) == 1.0
    if min(a.shape[:2]) >= SMALLEST_MULTISCALE:
        assert ms_ssim(a, a.copy()) == 1.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(161, 200), st.integers(161, 200))
def test_equal_noise_has_exactly_1(seed: int, height: int, width: int) -> None:
    a = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert ssim(a, a) == ms_ssim(a, a) == 1.0
    assert 0 <= ms_ssim(a, 255 - a) <= 1
    assert -1 <= ssim(a, 255 - a) < 0


def test_a_stack_is_its_frames() -> None:
    t = table("case1_192")
    a = np.broadcast_to(t.a, t.b.shape)
    for function in (ssim, ms_ssim):
        values = function(a, t.b)
        assert isinstance(values, np.ndarray)
        assert values.shape == (len(t.b),) and values.dtype == np.float64
        single = [function(t.a, x) for x in t.b]
        assert all(type(v) is float for v in single)
        assert list(values) == single


def test_neither_depends_on_the_other() -> None:
    a, b = photograph("case1_192"), table("case1_192").b[5]
    both = similarity(a, b)
    assert both == (ssim(a, b), ms_ssim(a, b))
    only, nothing = similarity(a, b, multi=False)
    assert only == both[0] and np.isnan(nothing)


def test_views_and_strides_do_not_matter() -> None:
    a, b = photograph("case2_256"), table("case2_256").b[4]
    assert ssim(a[:, ::-1], b[:, ::-1]) == ssim(a[:, ::-1].copy(), b[:, ::-1].copy())
    before = a.copy(), b.copy()
    ms_ssim(a[..., ::-1], b[..., ::-1])
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])


def test_threads_do_not_matter() -> None:
    """OpenCV's own threads, and calls from several threads at once."""
    import cv2

    a, b = photograph("case2_256"), table("case2_256").b[5]
    expected = similarity(a, b)
    threads = cv2.getNumThreads()
    try:
        for count in (1, 4):
            cv2.setNumThreads(count)
            assert similarity(a, b) == expected
    finally:
        cv2.setNumThreads(threads)
    found: list[tuple[float, float]] = []
    workers = [threading.Thread(target=lambda: found.append(similarity(a, b))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [expected] * 4
    assert cv2.getNumThreads() == threads


def test_more_blur_is_worse() -> None:
    import cv2

    a = photograph("case2_256")
    blurred = [a] + [cv2.GaussianBlur(a, (0, 0), sigma) for sigma in (0.5, 1, 2, 4, 8)]
    for function in (ssim, ms_ssim):
        values = [function(x, a) for x in blurred]
        assert values == sorted(values, reverse=True) and len(set(values)) == len(values)


@pytest.mark.parametrize(("function", "smallest"), [(ssim, SMALLEST), (ms_ssim, SMALLEST_MULTISCALE)])
def test_the_smallest_frame(function: object, smallest: int) -> None:
    assert callable(function)
    assert {ssim: 11, ms_ssim: 161}[function] == smallest
    a = np.random.default_rng(0).integers(0, 256, (smallest, smallest, 3), dtype=np.uint8)
    assert 0 <= abs(function(a, a // 2)) <= 1
    with pytest.raises(InputError, match=f"at least {smallest} px on both sides, got {smallest}x{smallest - 1}"):
        function(a[:, 1:], a[:, 1:])
    with pytest.raises(InputError, match="must be uint8 RGB"):
        function(a / 255, a / 255)
    with pytest.raises(InputError, match="must have one shape"):
        function(a, np.concatenate([a, a]))
