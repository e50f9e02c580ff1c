"""FFHQ alignment and DINet's radius against what the official code gave."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from golden import synthetic_inputs

from lipsync_eval import warp
from lipsync_eval.errors import InputError
from lipsync_eval.protocols.dinet import dinet_radius
from lipsync_eval.protocols.ffhq import ffhq_align, ffhq_alignment, ffhq_quad

GOLDEN = Path(__file__).parents[1] / "golden"
FACES = [("case1_astronaut", 0), ("case1_astronaut", 1), ("case2_shrink", 0)]


def load(folder, case):
    with np.load(GOLDEN / folder / f"{case}.npz") as file:
        return {name: file[name] for name in file.files}


def picture(case, golden):
    from skimage.data import astronaut

    found = astronaut() if case == "case1_astronaut" else synthetic_inputs.image(841, 1200, 1300)
    assert zlib.crc32(np.ascontiguousarray(found).tobytes()) == golden["image_crc32"]
    return found


@pytest.mark.parametrize(("case", "i"), FACES)
def test_alignment_takes_the_official_steps(case, i):
    golden = load("ffhq_align", case)
    got = ffhq_alignment(picture(case, golden), golden["landmarks68"][i], 256, 1024)
    np.testing.assert_allclose(got.quad, golden[f"f{i}_quad"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(got.qsize, golden[f"f{i}_qsize"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(got.quad_final, golden[f"f{i}_quad_final"], rtol=0, atol=1e-6)
    assert max(got.shrink, 1) == max(int(golden[f"f{i}_shrink"]), 1)
    assert got.border == golden[f"f{i}_border"]
    assert got.crop == tuple(golden[f"f{i}_crop"])
    assert got.pad == tuple(golden[f"f{i}_pad"])
    assert got.padded == bool(golden[f"f{i}_padded"])
    apart = np.abs(got.image.astype(int) - golden[f"f{i}_aligned_256_1024"])
    assert apart.max() <= 2
    assert apart.mean() <= 0.1


@pytest.mark.parametrize(("case", "i"), FACES[:2])
def test_alignment_through_4096(case, i):
    golden = load("ffhq_align", case)
    got = ffhq_align(picture(case, golden), golden["landmarks68"][i], 256, 4096).astype(float)
    blocks = got.reshape(32, 8, 32, 8, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks, golden[f"f{i}_aligned_256_4096_block8_mean"], rtol=0, atol=0.1)


@pytest.mark.parametrize("i", [0, 1])
def test_the_side_is_upstreams_to_the_last_bit(i):
    """Round numbers: the side is a multiple of the output but for its last bit, which decides the shrinking."""
    golden = load("ffhq_align", "case3_whole_side")
    seed, height, width = golden[f"f{i}_image_seed_h_w"].tolist()
    image = synthetic_inputs.image(seed, height, width, waves=3)
    assert synthetic_inputs.crc(image) == golden[f"f{i}_image_crc32"]
    points = synthetic_inputs.place(synthetic_inputs.face68(), golden[f"f{i}_centre_xy"], float(golden[f"f{i}_size"]))
    got = ffhq_alignment(image, points, *golden[f"f{i}_out_transform"].tolist())
    assert max(got.shrink, 1) == max(int(golden[f"f{i}_shrink"]), 1)
    apart = np.abs(got.image.astype(int) - golden[f"f{i}_aligned"])
    assert apart.max() <= 2
    assert apart.mean() <= 0.1


def test_the_golden_faces_reach_every_branch():
    seen = {key: set() for key in ("padded", "shrink")}
    for case, i in FACES:
        golden = load("ffhq_align", case)
        seen["padded"].add(int(golden[f"f{i}_padded"]))
        seen["shrink"].add(int(golden[f"f{i}_shrink"]) > 1)
    assert seen == {"padded": {0, 1}, "shrink": {False, True}}


def test_one_sampling_lies_where_the_official_image_lies():
    """The protocols' single sampling of FFHQ's square, against FFHQ's own steps: near, and nearest when not shifted."""
    golden = load("ffhq_align", "case1_astronaut")
    image, quad = picture("case1_astronaut", golden), golden["f0_quad"]
    official = golden["f0_aligned_256_1024"].astype(float)

    def apart(x, y):
        ours = warp.render(image, warp.similarity_from_quad(quad + np.array([x, y]), 256.0), (256, 256))
        return float(np.abs(ours - official)[4:-4, 4:-4].mean())

    assert apart(0, 0) < 1.0
    for shift in ((0.25, 0), (-0.25, 0), (0, 0.25), (0, -0.25)):
        assert apart(*shift) > 1.5 * apart(0, 0)


def test_without_padding_the_outside_is_black():
    points = synthetic_inputs.face68() * 60 + [20, 20]
    white = np.full((100, 100, 3), 255, np.uint8)
    assert ffhq_align(white, points, 64, 128).min() > 200
    bare = ffhq_align(white, points, 64, 128, enable_padding=False)
    assert bare[0, 0].max() == 0
    assert bare[-1, -1].min() == 255


@pytest.mark.parametrize(
    ("image", "points"),
    [
        (np.zeros((8, 8), np.uint8), np.ones((68, 2))),
        (np.zeros((8, 8, 3), np.float32), np.ones((68, 2))),
        (np.zeros((8, 8, 3), np.uint8), np.ones((67, 2))),
        (np.zeros((8, 8, 3), np.uint8), np.full((68, 2), np.nan)),
    ],
)
def test_alignment_refuses(image, points):
    with pytest.raises(InputError, match="ffhq_align wants"):
        ffhq_align(image, points)


def test_quad_of_a_clip_is_that_of_its_frames():
    clip = np.stack([synthetic_inputs.face68(s, 0.02) * 90 + 200 for s in range(5)])
    clip[3] = np.nan
    quads = ffhq_quad(clip)
    assert np.isnan(quads[3]).all()
    for i in (0, 1, 2, 4):
        np.testing.assert_array_equal(quads[i], ffhq_quad(clip[i]))


@pytest.mark.parametrize("i", range(4))
def test_dinet_radius(i):
    golden = load("dinet_crop", "case1")
    width, height, scale = golden[f"d{i}_wh_scale"]
    ok, radius = golden[f"d{i}_ok_radius"]
    assert dinet_radius(golden[f"d{i}_landmarks"], int(width), int(height), float(scale)) == (
        int(radius) if ok else None
    )


@pytest.mark.parametrize("points", [np.zeros((68, 2)), np.zeros((0, 68, 2)), np.full((5, 68, 2), np.inf)])
def test_dinet_radius_refuses(points):
    with pytest.raises(InputError, match="dinet_radius wants"):
        dinet_radius(points, 100, 100)
