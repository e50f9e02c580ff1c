"""lip_expert_cosine and lip_expert_loss: window by window by hand, both crops, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.avhubert_expert import lip_expert, public_file

from lipsync_eval.baselines.avhubert_expert.data.alignment import ALIGNMENT
from lipsync_eval.baselines.avhubert_expert.data.inputs import EndingMel
from lipsync_eval.baselines.avhubert_expert.metric import LipExpertScores
from lipsync_eval.batch import Batch
from lipsync_eval.errors import MetricError, MissingWeights, RefusedCheckpoint
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.types import Crop, Settings
from lipsync_eval.warp import render

BOTH = frozenset({"lip_expert_cosine", "lip_expert_loss"})


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return public_file(tmp_path_factory.mktemp("weights") / "lipsync_expert.pth")


def measure(pair, file, step=7, crop="box"):
    family = LipExpertScores(
        Settings(weights={"lip-expert": file}, options={"lip_expert_crop": crop}, device="cpu"), BOTH
    )
    family.check()
    meter = family.start(pair)
    for start in range(0, pair.n_frames, step):
        frames = [list(side.clip.frames(start, start + step)) for side in (pair.gen, pair.gt)]
        meter.update(Batch(pair, start, *frames))
    return meter.finish()


def by_hand(side, matrices, good):
    """Cosine of every window of five good frames with the 16 mel columns from int(80 i / 25) on."""
    net, frames, found = lip_expert(1), list(side.clip.frames(0, len(good))), {}
    whole = EndingMel(0).whole(side.audio.samples)
    for i in range(len(good) - 4):
        if not good[i : i + 5].all():
            continue
        faces = np.stack([render(frames[k], matrices[k], (96, 96)) for k in range(i, i + 5)])
        lower = faces[:, 48:, :, ::-1].transpose(0, 3, 1, 2).reshape(1, 15, 48, 96).astype(np.float32) / 255
        first = min(80 * i // 25, len(whole) - 16)
        mel = torch.from_numpy(whole[first : first + 16].T.copy())[None, None]
        with torch.no_grad():
            seen, heard = net.face_encoder(torch.from_numpy(lower))[0], net.audio_encoder(mel)[0]
        found[i + 2] = float(torch.nn.functional.cosine_similarity(seen.flatten(), heard.flatten(), dim=0))
    return found


def test_every_window_by_hand(file):
    pair = synthetic_pair(16, noise=10, jitter=1, missing=(9,))
    found = measure(pair, file)
    track = pair.gen.track
    matrices = np.full((16, 2, 3), np.nan)
    for start, stop in ((0, 9), (10, 16)):
        matrices[start:stop] = ALIGNMENT.matrices(track.points[start:stop], 96)
    wanted = by_hand(pair.gen, matrices, track.valid[:16])
    curve = found.frames["lip_expert_cosine"]
    assert sorted(wanted) == np.flatnonzero(np.isfinite(curve)).tolist()
    np.testing.assert_allclose(curve[sorted(wanted)], [wanted[k] for k in sorted(wanted)], atol=1e-5)
    assert found.values["lip_expert_cosine"] == pytest.approx(np.mean(list(wanted.values())), abs=1e-5)
    assert found.values["lip_expert_loss"] == pytest.approx(-np.log(list(wanted.values())).mean(), abs=1e-4)
    assert set(found.gt_values) == BOTH and found.details["lip_expert_frames_left_out"] == 1
    again = measure(pair, file, step=3)
    assert np.array_equal(again.frames["lip_expert_cosine"], curve, equal_nan=True)


def test_the_protocols_crop(file):
    """The whole frame at 224 px, as `lrs` cuts it, is seen at 96 px."""
    pair = synthetic_pair(8, noise=10)
    height, width = next(pair.gen.clip.frames(0, 1)).shape[:2]

    fx, fy = 224 / width, 224 / height
    matrix = np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2]])
    crop = Crop(np.tile(matrix, (8, 1, 1)), (224, 224), np.ones(8, bool), np.zeros(8), ())
    pair = replace(pair, gen=replace(pair.gen, crop=crop), gt=replace(pair.gt, crop=crop))
    fx, fy = 96 / width, 96 / height
    own = np.tile(np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2]]), (8, 1, 1))
    wanted = by_hand(pair.gen, own, np.ones(8, bool))
    curve = measure(pair, file, crop="protocol").frames["lip_expert_cosine"]
    np.testing.assert_allclose(curve[2:6], [wanted[k] for k in range(2, 6)], atol=1e-5)


def test_what_is_refused(file, tmp_path):
    with pytest.raises(MissingWeights, match=r"lipsync_expert\.pth"):
        LipExpertScores(Settings(device="cpu", weights_dir=tmp_path), BOTH).check()
    other = public_file(tmp_path / "narrow.pth", 16)
    with pytest.raises(RefusedCheckpoint, match="lip expert"):
        LipExpertScores(Settings(weights={"lip-expert": other}, device="cpu"), BOTH).check()
    with pytest.raises(MetricError, match="not one run of 5 frames"):
        measure(synthetic_pair(6, missing=(3,)), file)
    family = LipExpertScores(Settings(options={"lip_expert_crop": "protocol"}), BOTH)
    assert "gen.crop" in family.needs("lip_expert_loss") and "gen.points" not in family.needs("lip_expert_loss")
