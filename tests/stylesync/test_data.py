"""Alignment, the mask, and the windows that StyleSync is shown."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from support.faces68 import view
from support.stylesync import face_points, micro

from lipsync_eval.baselines.kit.configuration.sections import DataConfig
from lipsync_eval.baselines.kit.data.alignment import to_crops
from lipsync_eval.baselines.kit.data.holdout import Pool
from lipsync_eval.baselines.kit.data.windows import TrainingSet
from lipsync_eval.baselines.stylesync.data.alignment import AUTHORS, EYES, TEMPLATE
from lipsync_eval.baselines.stylesync.data.inputs import model_input, open_pool
from lipsync_eval.baselines.stylesync.data.mask import mask_of, u_mask
from lipsync_eval.baselines.stylesync.data.person import PersonalSet, open_person, steps, tiles
from lipsync_eval.errors import InputError, UsageError
from lipsync_eval.protocols import get as get_protocol
from lipsync_eval.warp import apply


def placed(angle=0.2, scale=1.7, shift=(140.0, 25.0)):
    """(68, 2) the plain face turned, scaled and moved."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return face_points() @ turn.T + shift


def test_eyes_alignment_is_the_protocols():
    points = np.stack([placed(angle) for angle in (-0.3, 0.0, 0.4)])
    crop = get_protocol("stylesync", {}).crops(view(points), view(points))[1]
    np.testing.assert_allclose(EYES.matrices(points, 256), crop.matrix, atol=1e-9)
    eyes = to_crops(EYES, points, 256)[:, 36:48].reshape(3, 2, 6, 2).mean(2)
    np.testing.assert_allclose(np.diff(eyes[:, :, 1], axis=1), 0, atol=1e-6)  # level
    np.testing.assert_allclose(np.diff(eyes[:, :, 0], axis=1), 256 / 3.15, atol=1e-6)


def test_authors_alignment_puts_brows_and_nose_on_the_template():
    points = np.repeat(placed()[None], 3, axis=0)
    found = apply(AUTHORS.matrices(points, 280), points)[0]
    means = np.stack([found[17:22].mean(0), found[22:27].mean(0), found[27:36].mean(0)])
    wanted = (TEMPLATE + 0.5) * [280 / 210, 1] - 0.5
    assert np.abs(means - wanted).max() < 12  # a similarity of three points, then the stretch
    moved = placed() + np.array([[[0.0, 0]], [[0.5, 0]], [[30.0, 0]]])
    alone = AUTHORS.matrices(moved[2:], 256)[0]
    smooth = AUTHORS.matrices(moved, 256)
    assert not np.allclose(smooth[1], AUTHORS.matrices(moved[1:2], 256)[0])  # held back by the frame before
    np.testing.assert_allclose(apply(smooth[2:], moved[2:]), apply(alone[None], moved[2:]), atol=1.0)  # a jump is not


def test_mask_of_a_plain_face():
    mask = u_mask(face_points())
    assert mask.shape == (256, 256) and mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 1}
    at = np.rint(face_points()).astype(int)
    inside = mask[at[:, 1].clip(0, 255), at[:, 0]]
    assert (
        inside[48:].all() and inside[[3, 5, 8, 11, 13]].all() and inside[31:36].all()
    )  # mouth, cheeks, chin, nose wings
    assert not inside[17:27].any() and not inside[36:48].any()  # brows, eyes
    assert mask[255, 128] == 1 and not mask[255, 0] and not mask[:70].any()  # a U that reaches the lower edge
    with pytest.raises(InputError, match="no upright face"):
        u_mask(face_points()[:, ::-1])


def test_mask_on_real_clips():
    """Mouth and chin inside, eyes outside, also where the mouth is widest."""
    root = os.environ.get("LIPSYNC_EVAL_TEST_DATA")
    if root is None:
        pytest.skip("LIPSYNC_EVAL_TEST_DATA is not set: no real clips here")
    from lipsync_eval.faces import track_faces
    from lipsync_eval.media import open_clip

    found = {}
    for name in ("grid_bbaf2n.mpg", "grid_sbia1a.mpg"):
        track = track_faces(open_clip(Path(root) / "clips" / "original" / name))
        found[name] = to_crops(EYES, track.points[track.valid], 256)
    mask = u_mask(np.mean([x.mean(0) for x in found.values()], axis=0))
    points = np.concatenate(list(found.values()))
    at = np.rint(points).astype(int).clip(0, 255)
    inside = mask[at[..., 1], at[..., 0]] == 1
    assert inside[:, 48:].all() and not inside[:, 36:48].any()
    jaw = inside[:, 4:13].all(1)
    wide = np.linalg.norm(points[:, 62] - points[:, 66], axis=1)
    share = jaw[wide >= np.quantile(wide, 0.9)].mean()
    print(f"jaw of wide-open mouths inside the mask: {share:.3f} of frames; all frames {jaw.mean():.3f}")
    assert share >= 0.99 and jaw.mean() >= 0.99


def test_windows_share_a_reference_and_s_hears_from_the_first_frame(style_data):
    config = micro(style_data)
    pool = open_pool(config)
    sample = TrainingSet(pool, 3)[1]
    assert sample.target.shape == (5, 3, 32, 32) and sample.audio.shape == (5, 1, 80, 16)
    assert all(torch.equal(sample.reference[0], x) for x in sample.reference)
    assert model_input(config).sync_frame == 1
    assert mask_of(pool).shape == (256, 256) and mask_of(pool)[200, 128] == 1
    with pytest.raises(UsageError, match="was prepared with align"):
        open_pool(micro(style_data, model={"align": "authors"}))


def test_person_is_seen_once_an_epoch_and_mixed_one_to_one(style_data):
    config = micro(style_data, data={"holdout": "ids:v0"})
    person = Pool(DataConfig(folder=style_data, holdout="ids:v1,v2,v3,v4"), model_input(config))
    person.train = [s for s in person.held_out if s.entry.id == "v1#0"]
    assert [start for _, start in tiles(person.train)] == [0, 5, 10, 15]
    mixed = PersonalSet(person, open_pool(config), seed=3)
    for epoch in range(3):
        frames = [mixed.window(k)[1] + i for k in range(4 * epoch, 4 * epoch + 4) for i in range(5)]
        assert sorted(frames) == list(range(20))
    for k in range(12):
        span, start, reference = mixed.window(k)
        assert span.entry.id == "v1#0" and not start <= reference < start + 5
    own = mixed.windows.window(*mixed.window(2)[:2], [mixed.window(2)[2]] * 5)
    assert torch.equal(mixed[4].target, own.target)
    assert torch.equal(mixed[5].target, mixed.general[2].target)
    alone = PersonalSet(person, None, seed=3)
    assert torch.equal(alone[2].target, own.target)
    assert steps(person, 5, 4, mixed=True) == 10 and steps(person, 5, 4, mixed=False) == 5


def test_tiles_hold_every_frame_of_an_odd_span(style_data):
    pool = open_person(style_data, model_input(micro()), "none")
    assert len(pool.train) == 5 and pool.held_out is pool.train and all(s.stop == 20 for s in pool.train)
    held = open_person(style_data, model_input(micro()), "tail:0.4")
    assert all(s.stop == 12 for s in held.train)
    assert [start for _, start in tiles(held.train)][:3] == [0, 5, 7]
    with pytest.raises(UsageError, match="give none or tail:SHARE"):
        open_person(style_data, model_input(micro()), "clips:0.1")
