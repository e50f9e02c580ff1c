"""Where a crop lies and what its pixels are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from lipsync_eval import warp
from lipsync_eval.errors import InputError

RNG = np.random.default_rng(5)
FRAME = RNG.integers(0, 256, (60, 80, 3), np.uint8)


def similarity(scale, angle=0.0, shift=(0.0, 0.0)):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def mirrored(i, n):
    while not 0 <= i < n:
        if n == 1:
            return 0
        i = -i if i < 0 else 2 * n - 2 - i
    return i


def bilinear(frame, matrix, size):
    """The definition for a crop that does not shrink, pixel by pixel in float64."""
    linear, shift = matrix[:, :2], matrix[:, 2]
    out = np.empty((*size, 3))
    for v in range(size[0]):
        for u in range(size[1]):
            x, y = np.linalg.solve(linear, np.array([u, v]) - shift)
            x0, y0 = int(np.floor(x)), int(np.floor(y))
            total = np.zeros(3)
            for dy in (0, 1):
                for dx in (0, 1):
                    weight = (1 - abs(x - x0 - dx)) * (1 - abs(y - y0 - dy))
                    total += weight * frame[mirrored(y0 + dy, frame.shape[0]), mirrored(x0 + dx, frame.shape[1])]
            out[v, u] = total
    return out


def test_identity_is_the_source_and_a_copy():
    out = warp.render(FRAME, similarity(1.0), FRAME.shape[:2])
    np.testing.assert_array_equal(out, FRAME)
    assert not np.shares_memory(out, FRAME)


@given(st.integers(-20, 70), st.integers(-20, 50), st.integers(1, 70), st.integers(1, 70))
@settings(max_examples=60, deadline=None)
def test_whole_pixel_shifts_are_exact(x, y, height, width):
    out = warp.render(FRAME, similarity(1.0, shift=(-x, -y)), (height, width))
    rows = [mirrored(y + i, 60) for i in range(height)]
    columns = [mirrored(x + i, 80) for i in range(width)]
    np.testing.assert_array_equal(out, FRAME[rows][:, columns])


@pytest.mark.parametrize("angle", [0.0, 0.3, -2.0, np.pi / 2])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, (0.3, -0.7)), (2.5, (-60.0, -40.0)), (4.0, (50.0, 30.0))])
def test_enlarging_is_bilinear(angle, scale, shift):
    matrix = similarity(scale, angle, shift)
    exact = bilinear(FRAME, matrix, (37, 41))
    assert np.abs(warp.render(FRAME, matrix, (37, 41)) - exact).max() <= 0.5 + 1e-3


def test_an_axis_aligned_scaling_may_stretch():
    matrix = np.array([[2.0, 0.0, 3.5], [0.0, 1.25, -9.0]])
    assert np.abs(warp.render(FRAME, matrix, (50, 90)) - bilinear(FRAME, matrix, (50, 90))).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_shrinking_is_antialiased_as_pillow_does(factor):
    """The kernel has Pillow's variance but another shape: on noise, the hardest frame, they differ by less than 6
    levels (root mean square); plain bilinear sampling differs by more than three times as much."""
    side = 40
    noise = RNG.integers(0, 256, (side * factor, side * factor, 3), np.uint8)
    matrix = np.array([[1 / factor, 0, (1 / factor - 1) / 2], [0, 1 / factor, (1 / factor - 1) / 2]])
    ours = warp.render(noise, matrix, (side, side)).astype(float)[4:-4, 4:-4]
    pillow = np.asarray(Image.fromarray(noise).resize((side, side), Image.Resampling.BILINEAR)).astype(float)[
        4:-4, 4:-4
    ]
    plain = bilinear(noise, matrix, (side, side))[4:-4, 4:-4]
    error, aliased = (float(np.sqrt(np.mean((a - pillow) ** 2))) for a in (ours, plain))
    assert error < 6.0
    assert error < aliased / 3


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_shrinking_a_smooth_frame_agrees_with_pillow(factor):
    y, x = np.mgrid[: 40 * factor, : 40 * factor] / factor
    wave = np.uint8(np.rint(127 + 100 * np.sin(x / 3) * np.cos(y / 4)))
    smooth = np.dstack([wave, wave[::-1], 255 - wave])
    matrix = np.array([[1 / factor, 0, (1 / factor - 1) / 2], [0, 1 / factor, (1 / factor - 1) / 2]])
    pillow = np.asarray(Image.fromarray(smooth).resize((40, 40), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(warp.render(smooth, matrix, (40, 40)) - pillow)[2:-2, 2:-2].max() <= 1


@given(st.integers(0, 255), st.floats(0.05, 8), st.floats(-3, 3), st.floats(-200, 200))
@settings(max_examples=40, deadline=None)
def test_a_flat_frame_stays_flat(level, scale, angle, shift):
    flat = np.full((23, 31, 3), level, np.uint8)
    assert (warp.render(flat, similarity(scale, angle, (shift, -shift)), (20, 24)) == level).all()


@given(st.floats(0.2, 4), st.floats(-3, 3), st.integers(1, 90))
@settings(max_examples=40, deadline=None)
def test_a_part_of_a_crop_is_that_part(scale, angle, height):
    """Rows are sampled in strips; where a crop ends must not matter to the pixels that both have."""
    matrix = similarity(scale, angle, (20.0, 30.0))
    whole = warp.render(FRAME, matrix, (90, 40))
    part = warp.render(FRAME, matrix, (height, 40))
    assert np.abs(whole[:height].astype(int) - part).max() <= 1
    assert (whole[:height] != part).mean() < 1e-3


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_frames_of_one_pixel_side(shape):
    frame = RNG.integers(0, 256, (*shape, 3), np.uint8)
    matrix = similarity(1.7, 0.2, (1.0, 2.0))
    out = warp.render(frame, matrix, (6, 6))
    assert out.min() >= frame.min()
    assert out.max() <= frame.max()


@pytest.mark.parametrize(
    ("matrix", "share"),
    [
        (similarity(1.0), 0.0),
        (similarity(1.0, shift=(2.0, 0.0)), 0.2),
        (similarity(1.0, shift=(0.0, -5.0)), 0.5),
        (similarity(1.0, shift=(5.0, 5.0)), 0.75),
        (similarity(1.0, shift=(50.0, 0.0)), 1.0),
        (similarity(0.5, shift=(2.25, 2.25)), 0.75),
        (similarity(1.0, np.pi / 4, (4.5, 4.5 - 4.5 * np.sqrt(2))), 1 - 2 * (np.sqrt(2) - 1)),
    ],
)
def test_overflow_is_exact(matrix, share):
    """A crop of 10 x 10 px on a frame of 10 x 10 px."""
    assert warp.overflow(matrix[None], (10, 10), (10, 10))[0] == pytest.approx(share, abs=1e-12)


def test_overflow_of_a_missing_crop_is_nan():
    both = np.stack([similarity(1.0), np.full((2, 3), np.nan)])
    np.testing.assert_array_equal(warp.overflow(both, (4, 4), (4, 4)), [0.0, np.nan])


@pytest.mark.parametrize(
    ("frame", "matrix", "words"),
    [
        (FRAME[..., 0], similarity(1.0), "render wants a frame"),
        (FRAME.astype(np.float32), similarity(1.0), "float32"),
        (FRAME[:0], similarity(1.0), "render wants a frame"),
        (FRAME, np.full((2, 3), np.nan), "finite"),
        (FRAME, np.eye(3), "finite"),
        (FRAME, np.zeros((2, 3)), "inverted"),
        (FRAME, similarity(1e-5), "at most"),
        (FRAME, similarity(1.0, shift=(1e20, 0.0)), "px away"),
    ],
)
def test_render_refuses(frame, matrix, words):
    with pytest.raises(InputError, match=words):
        warp.render(frame, matrix, (8, 8))


numbers = st.floats(-50, 50)


@given(arrays(float, (4, 7, 2), elements=numbers), st.floats(0.1, 9), st.floats(-3, 3), numbers, numbers)
@settings(max_examples=50, deadline=None)
def test_inverse_and_composition(points, scale, angle, x, y):
    one = np.tile(similarity(scale, angle, (x, y)), (4, 1, 1))
    np.testing.assert_allclose(warp.apply(warp.invert(one), warp.apply(one, points)), points, atol=1e-9)
    two = np.tile(similarity(1.3, 1.0, (4.0, -1.0)), (4, 1, 1))
    np.testing.assert_allclose(
        warp.apply(warp.compose(two, one), points), warp.apply(two, warp.apply(one, points)), atol=1e-9
    )


def test_the_quad_becomes_the_outline_of_the_crop():
    centre, half, angle = np.array([31.0, 17.0]), 12.5, 0.4
    x = half * np.array([np.cos(angle), np.sin(angle)])
    y = np.array([-x[1], x[0]])
    quad = np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])
    outline = [[-0.5, -0.5], [-0.5, 63.5], [63.5, 63.5], [63.5, -0.5]]
    np.testing.assert_allclose(warp.apply(warp.similarity_from_quad(quad, 64.0), quad), outline, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_frames_that_are_cropped_together_give_what_each_gives_alone(seed):
    rng = np.random.default_rng(seed)
    frames = [rng.integers(0, 256, (40, 56, 3)).astype(np.uint8) for _ in range(2)]
    angle, scale = rng.uniform(-np.pi, np.pi), 2.0 ** rng.uniform(-3, 2)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[c, -s, rng.uniform(-90, 90)], [s, c, rng.uniform(-90, 90)]])
    for together, frame in zip(warp.render_alike(frames, matrix, (24, 33)), frames):
        np.testing.assert_array_equal(together, warp.render(frame, matrix, (24, 33)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_crop_that_leaves_the_frame_sees_it_mirrored(seed):
    """A wider frame that holds the mirrored pixels gives the same crop, smoothed or not."""
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 256, (40, 56, 3)).astype(np.uint8)
    wide = np.pad(frame, ((39, 39), (55, 55), (0, 0)), mode="reflect")
    angle, scale = rng.uniform(-np.pi, np.pi), 2.0 ** rng.uniform(-0.7, 2)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    middle = np.array([[c, -s], [s, c]]) @ rng.uniform([0, 0], [56, 40])
    matrix = np.array([[c, -s, 12 - middle[0]], [s, c, 12 - middle[1]]])
    inside = matrix.copy()
    inside[:, 2] -= matrix[:, :2] @ [55, 39]
    one, other = warp.render(frame, matrix, (25, 25)), warp.render(wide, inside, (25, 25))
    assert np.abs(one.astype(int) - other).max() <= 1  # the order of sums differs where it is smoothed
    assert (one != other).mean() < 0.01
