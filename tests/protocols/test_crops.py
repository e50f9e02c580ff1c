"""Where each built-in protocol puts its crop."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.faces68 import clip, view

from lipsync_eval import protocols, warp
from lipsync_eval.errors import ProtocolError, UsageError
from lipsync_eval.protocol import View
from lipsync_eval.protocols.ffhq import ffhq_quad
from lipsync_eval.protocols.geometry import _averaged_ahead

FACED = ("radio", "radio-tight", "personatalk", "stylesync", "wav2lip")
MIDDLE = 127.5


def crop_of(name, points, size=(512, 512), **options):
    return protocols.get(name, options).crops(view(points, size), view(points, size))[1]


def similarity(scale, angle, shift):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


@given(st.floats(0.3, 3), st.floats(-3.1, 3.1), st.floats(-300, 300), st.floats(-300, 300))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("name", ["radio", "radio-tight", "stylesync"])
def test_the_crop_moves_turns_and_grows_with_the_face(name, scale, angle, x, y):
    points = clip(4)
    moved = np.tile(similarity(scale, angle, (x, y)), (4, 1, 1))
    before, after = crop_of(name, points).matrix, crop_of(name, warp.apply(moved, points)).matrix
    np.testing.assert_allclose(warp.compose(after, moved), before, rtol=1e-9, atol=1e-6)


@given(st.floats(0.3, 3), st.floats(-300, 300), st.floats(-300, 300))
@settings(max_examples=25, deadline=None)
def test_the_upright_box_moves_and_grows_with_the_face(scale, x, y):
    points = clip(4)
    moved = np.tile(similarity(scale, 0.0, (x, y)), (4, 1, 1))
    before, after = crop_of("personatalk", points).matrix, crop_of("personatalk", warp.apply(moved, points)).matrix
    np.testing.assert_allclose(warp.compose(after, moved), before, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.35, -1.2])
def test_radio_lies_where_its_definition_says(angle):
    points = warp.apply(np.tile(similarity(1.0, angle, (100.0, 20.0)), (6, 1, 1)), clip())
    crop = crop_of("radio", points)
    seen = crop.points(points)
    np.testing.assert_allclose(seen[:, 33], MIDDLE, atol=1e-9)
    tall = seen[:, :, 1].max(axis=1) - seen[:, 29, 1]
    wide = seen[:, 54, 0] - seen[:, 48, 0]
    assert (tall > wide).all()
    np.testing.assert_allclose(tall, 128.0, atol=1e-9)
    corners = crop.points(ffhq_quad(points))
    np.testing.assert_allclose(corners[:, 0, 1], corners[:, 3, 1], atol=1e-9)
    np.testing.assert_allclose(corners[:, 0, 0], corners[:, 1, 0], atol=1e-9)


def test_radio_takes_the_wider_of_the_two_lengths():
    points = clip()
    points[:, 48, 0] -= 200
    points[:, 54, 0] += 200
    seen = crop_of("radio", points).points(points)
    np.testing.assert_allclose(seen[:, 54, 0] - seen[:, 48, 0], 128.0, atol=1e-9)


def test_radio_tight_is_radio_with_a_smaller_radius():
    points = clip()
    near, far = crop_of("radio-tight", points), crop_of("radio", points)
    np.testing.assert_allclose(near.matrix[:, :, :2], far.matrix[:, :, :2] * 2 / 1.05, rtol=1e-12)
    np.testing.assert_allclose(near.points(points)[:, 33], MIDDLE, atol=1e-9)


def test_stylesync_puts_the_eyes_level_at_fixed_places():
    points = warp.apply(np.tile(similarity(1.3, 0.5, (100.0, -60.0)), (6, 1, 1)), clip(yaw=0.3))
    seen = crop_of("stylesync", points).points(points)
    left, right = seen[:, 36:42].mean(axis=1), seen[:, 42:48].mean(axis=1)
    side = 256 / 3.15
    np.testing.assert_allclose(left, np.tile([MIDDLE - side / 2, MIDDLE - 0.43 * 128], (6, 1)), atol=1e-9)
    np.testing.assert_allclose(right, np.tile([MIDDLE + side / 2, MIDDLE - 0.43 * 128], (6, 1)), atol=1e-9)


def test_personatalk_is_an_upright_square_around_the_face():
    points = clip()
    crop = crop_of("personatalk", points)
    m = crop.matrix
    assert (m[:, 0, 1] == 0).all()
    assert (m[:, 1, 0] == 0).all()
    np.testing.assert_allclose(m[:, 0, 0], m[:, 1, 1], rtol=1e-12)
    low, high = points.min(axis=1), points.max(axis=1)
    w, h = (high - low).T
    side = np.maximum(1.2 * w, 1.35 * h)
    np.testing.assert_allclose(m[:, 0, 0], 256 / side, rtol=1e-12)
    middle = np.stack([(low + high)[:, 0] / 2, (low[:, 1] - 0.3 * h + high[:, 1] + 0.05 * h) / 2], axis=1)
    np.testing.assert_allclose(crop.points(middle[:, None])[:, 0], MIDDLE, atol=1e-9)


def test_wav2lip_stretches_a_padded_smoothed_box():
    points = clip(12)
    low, high = points.min(axis=1), points.max(axis=1)
    low[:, 1] -= 0.31 * (high - low)[:, 1]
    high[:, 1] += 10
    boxes = np.concatenate([low, high], axis=1)
    for i in range(12):
        boxes[i] = (boxes[7:12] if i + 5 > 12 else boxes[i : i + 5]).mean(axis=0)
    crop = crop_of("wav2lip", points)
    assert crop.size == (96, 96)
    seen = crop.points(boxes.reshape(12, 2, 2))
    np.testing.assert_allclose(seen[:, 0], -0.5, atol=1e-9)
    np.testing.assert_allclose(seen[:, 1], 95.5, atol=1e-9)


def test_smoothing_leaves_out_missing_frames_and_keeps_them_missing():
    rows = np.arange(12.0).reshape(6, 2)
    rows[2] = np.nan
    out = _averaged_ahead(rows, 3)
    np.testing.assert_array_equal(out[0], rows[:2].mean(axis=0))
    assert np.isnan(out[2]).all()
    np.testing.assert_array_equal(out[3], rows[3:6].mean(axis=0))
    np.testing.assert_array_equal(_averaged_ahead(rows[3:5], 5)[0], rows[3:5].mean(axis=0))


@pytest.mark.parametrize("name", FACED)
def test_frames_without_a_face_have_no_crop(name):
    crop = crop_of(name, clip(missing=(1, 4)))
    np.testing.assert_array_equal(crop.valid, [True, False, True, True, False, True])
    assert np.isnan(crop.matrix[[1, 4]]).all()
    assert np.isnan(crop.overflow[[1, 4]]).all()
    assert np.isfinite(crop.matrix[crop.valid]).all()


@pytest.mark.parametrize("name", FACED)
def test_no_face_at_all_fails_the_clip(name):
    with pytest.raises(ProtocolError, match=r"no frame of the (real|generated) video can be cropped"):
        crop_of(name, clip(missing=range(6)))
    bare = View(64, 64, 6, None)
    with pytest.raises(ProtocolError, match="needs a face track"):
        protocols.get(name).crops(bare, bare)


def test_a_track_shorter_than_the_clip_leaves_the_rest_without_crops():
    known = view(clip(4))
    crop = protocols.get("radio").crops(replace(known, n_frames=6), replace(known, n_frames=6))[0]
    np.testing.assert_array_equal(crop.valid, [True] * 4 + [False] * 2)


def test_a_face_of_one_point_has_no_crop():
    points = clip()
    points[2] = points[2, 0]
    np.testing.assert_array_equal(crop_of("radio", points).valid, [True, True, False, True, True, True])


@pytest.mark.parametrize("name", FACED)
def test_the_real_crop_serves_both_where_sizes_match(name):
    gen, gt = view(clip() + np.array([9.0, -4.0])), view(clip())
    a, b = protocols.get(name).crops(gen, gt)
    np.testing.assert_array_equal(a.matrix, b.matrix)
    np.testing.assert_array_equal(b.matrix, protocols.get(name).crops(gt, gt)[1].matrix)
    explicit = protocols.get(name, {"crop_from": "gt"}).crops(gen, gt)[0]
    np.testing.assert_array_equal(explicit.matrix, a.matrix)


@pytest.mark.parametrize("name", FACED)
def test_own_crops_follow_each_face(name):
    gen, gt = view(clip() + np.array([9.0, -4.0])), view(clip())
    a, b = protocols.get(name, {"crop_from": "own"}).crops(gen, gt)
    np.testing.assert_allclose(a.points(gen.track.points), b.points(gt.track.points), atol=1e-6)
    assert not np.array_equal(a.matrix, b.matrix)


def test_other_sizes_take_their_own_crops_and_say_so():
    gen, gt = view(clip() / 2, size=(256, 256)), view(clip())
    a, b = protocols.get("radio").crops(gen, gt)
    np.testing.assert_allclose(a.points(gen.track.points), b.points(gt.track.points), atol=1e-9)
    for crop in (a, b):
        assert any("crop_from=own" in n and "generated 256x256, real 512x512" in n for n in crop.notes)
    with pytest.raises(ProtocolError, match=r"crop_from=gt.*generated 256x256, real 512x512"):
        protocols.get("radio", {"crop_from": "gt"}).crops(gen, gt)


@pytest.mark.parametrize("name", ["radio", "personatalk", "stylesync"])
def test_clip_median_keeps_one_scale(name):
    points = clip(7, missing=(2,))
    each, one = crop_of(name, points), crop_of(name, points, radius="clip-median")
    scales = np.hypot(one.matrix[:, 0, 0], one.matrix[:, 0, 1])[one.valid]
    assert np.isnan(one.matrix[2]).all()
    if name == "radio":
        base = warp.similarity_from_quad(ffhq_quad(points), 1.0)[one.valid]
        scales = scales / np.hypot(base[:, 0, 0], base[:, 0, 1])
        own = np.hypot(each.matrix[:, 0, 0], each.matrix[:, 0, 1])[each.valid] / np.hypot(base[:, 0, 0], base[:, 0, 1])
        np.testing.assert_allclose(1 / scales, np.median(1 / own), rtol=1e-9)
    elif name == "personatalk":
        np.testing.assert_allclose(1 / scales, np.median(1 / each.matrix[each.valid, 0, 0]), rtol=1e-9)
    else:
        np.testing.assert_allclose(one.matrix, each.matrix, rtol=1e-9)


def test_overflow_is_counted_and_noted():
    points = clip(centre=(256.0, 470.0))
    crop = crop_of("radio", points)
    assert (crop.overflow > 0.05).all()
    note = next(n for n in crop.notes if "overflow" in n)
    assert "6 of 6 frames" in note
    assert f"{100 * crop.overflow.max():.1f} %" in note
    assert not any("overflow" in n for n in crop_of("radio", clip(scale=60.0)).notes)


def test_the_common_length_is_cropped():
    a, b = protocols.get("radio").crops(view(clip(9)), view(clip(6)))
    assert len(a.matrix) == len(b.matrix) == 6


def test_raw_is_the_frame_itself():
    gen, gt = View(48, 64, 5, None), View(48, 64, 4, None)
    a, b = protocols.get("raw").crops(gen, gt)
    for crop in (a, b):
        assert crop.size == (48, 64)
        assert len(crop.matrix) == 4
        assert crop.valid.all()
        assert (crop.overflow == 0).all()
        np.testing.assert_array_equal(crop.matrix, np.tile([[1.0, 0, 0], [0, 1, 0]], (4, 1, 1)))
    with pytest.raises(ProtocolError, match="generated 64x48, real 64x50"):
        protocols.get("raw").crops(gen, View(50, 64, 4, None))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("radio", {"margin": "2"}, r"no option 'margin'. There are: crop_from, radius"),
        ("radio", {"crop_from": "both"}, r"crop_from='both': expected one of auto, gt, own"),
        ("radio", {"radius": "mean"}, r"radius='mean': expected one of per-frame, clip-median"),
        ("raw", {"crop_from": "gt"}, r"no option 'crop_from'. It has none"),
        ("wav2lip", {"radius": "clip-median"}, r"no option 'radius'. There are: crop_from"),
        ("radoi", {}, r"no protocol 'radoi'. Did you mean radio"),
    ],
)
def test_wrong_names_and_options(name, options, words):
    with pytest.raises(UsageError, match=words):
        protocols.get(name, options)


def test_signatures():
    assert protocols.get("radio").signature() == "radio.1"
    assert protocols.get("radio", {"crop_from": "auto", "radius": "per-frame"}).signature() == "radio.1"
    assert (
        protocols.get("radio", {"crop-from": "gt"}).signature() == "radio.1"
    )  # signed by the engine, as it was resolved
    both = {"radius": "clip-median", "crop_from": "own"}
    assert protocols.get("radio-tight", both).signature() == "radio-tight.1,radius=clip-median"
    assert protocols.get("raw").signature() == "raw.1"


@pytest.mark.parametrize("name", protocols.names())
def test_every_protocol_declares_itself(name):
    spec = protocols.spec(name)
    signature = protocols.get(name).signature()
    assert signature == f"{name}.{spec.version}"
    assert not set(signature) & set(":|")
    assert spec.name == name
    assert spec.version >= 1
    assert spec.summary
    assert spec.citation
    assert spec.choices
    assert all(choice.endswith((".", ")")) for choice in spec.choices)
