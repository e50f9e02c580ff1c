"""The AV-HuBERT loss inside training: the stretch around a window, and gradients into the generated frames."""

import numpy as np
import pytest
import torch
from support.avhubert import TINY, needs_golden, network
from support.radio import generator_task, micro, segment, write_data
from torch.utils.data import default_collate

from lipsync_eval.baselines.kit.data.windows import TrainingSet
from lipsync_eval.baselines.kit.training.lip_reading import StretchReader, lip_reading_term
from lipsync_eval.baselines.kit.training.terms import Made
from lipsync_eval.baselines.radio.data.inputs import open_pool
from lipsync_eval.features.avhubert import VARIANTS, Mouths, avs_loss, sample_mouths, video_tensor


def mean_face(frames=30, name="a"):
    """An entry whose landmarks look like a face, so that the mouth can be placed."""
    from lipsync_eval.features.avhubert.roi import MEAN_FACE, STABLE

    made = segment(name, frames=frames)
    points = np.random.default_rng(0).normal(16, 1, (frames, 68, 2))
    points[:, list(STABLE)] = MEAN_FACE / 8
    points[:, 48:] = np.array([16, 24]) + np.random.default_rng(1).normal(0, 0.5, (frames, 20, 2))
    made.landmarks = points.astype(np.float32)
    return made


def test_the_stretch_holds_the_window(tmp_path):
    write_data(tmp_path, [mean_face()])
    config = micro(tmp_path, data={"holdout": "tail:0.3"})
    data = TrainingSet(open_pool(config), seed=0, readers=[StretchReader(12)])
    whole = TrainingSet(open_pool(config), seed=0, readers=[StretchReader(50)])
    for k in range(6):
        sample, more = data[k], data[k].more
        assert more["lips"].shape == (12, 88, 88) and more["lips_audio"].shape == (104, 12)
        assert int(more["lips_frames"]) == 12 and 0 <= int(more["lips_first"]) <= 7
        _, start, _ = data.drawn.draw(k)
        entire = whole[k].more
        assert (int(entire["lips_frames"]), int(entire["lips_first"])) == (30, start)  # a short entry is read whole
        assert entire["lips"].shape == (50, 88, 88) and not entire["lips"][30:].any()
        mouths = Mouths(more["lips_matrix"].numpy(), more["lips_corner"].numpy(), np.empty(0, np.intp))
        own = video_tensor(sample_mouths((sample.target + 1) / 2, mouths)[None])[0, 0]
        first = int(more["lips_first"])
        torch.testing.assert_close(more["lips"][first : first + 5], own)


@needs_golden
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_term_is_the_loss_of_the_whole_video(variant, tmp_path):
    """Splicing and padding against `avs_loss` on every video by itself, read from its first to its last frame."""
    write_data(tmp_path, [mean_face(30), mean_face(12, "b")])
    config = micro(tmp_path, data={"holdout": "tail:0.3"})
    data = TrainingSet(open_pool(config), 0, [StretchReader(40)])
    batch = default_collate([data[k] for k in range(8)])
    assert len(set(batch.more["lips_frames"].tolist())) == 2
    output = torch.rand(batch.target.flatten(0, 1).shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    made, model = Made(output, batch), network(TINY)
    found = lip_reading_term(1.0, TINY, 40, torch.device("cpu"), variant).loss(made)
    each = []
    for b in range(8):
        count, first = int(batch.more["lips_frames"][b]), int(batch.more["lips_first"][b])
        real = batch.more["lips"][b, :count]
        mouths = Mouths(batch.more["lips_matrix"][b].numpy(), batch.more["lips_corner"][b].numpy(), None)
        lips = video_tensor(sample_mouths((made.windows[b] + 1) / 2, mouths)[None])[0, 0]
        video = torch.cat([real[:first], lips, real[first + 5 :]])
        frames = torch.zeros(1, count, dtype=torch.bool)
        frames[0, first : first + 5] = True
        audio = batch.more["lips_audio"][b, None, :, :count]
        each.append(
            avs_loss(model, video[None, None], audio=audio, target=real[None, None], variant=variant, frames=frames)
        )
    torch.testing.assert_close(found, torch.stack(each).mean(), rtol=1e-5, atol=1e-5)


@needs_golden
def test_the_loss_sees_the_generated_pictures_only_through_the_mouth(tmp_path):
    write_data(tmp_path, [mean_face()])
    config = micro(tmp_path, data={"holdout": "tail:0.3"})
    batch = default_collate([TrainingSet(open_pool(config), 0, [StretchReader(12)])[0]])
    output = batch.target[0].clone().requires_grad_()
    value = lip_reading_term(1.0, TINY, 12, torch.device("cpu")).loss(Made(output, batch))
    value.backward()
    gradient = output.grad.abs().sum((0, 1))
    assert torch.isfinite(value) and gradient[20:28, 12:20].sum() > 0 and gradient[:8].sum() == 0


@needs_golden
def test_training_with_the_expert(tmp_path):
    write_data(tmp_path, [mean_face()])
    loss = {"avhubert_weights": str(TINY), "avhubert_context": 12}
    config = micro(tmp_path, data={"holdout": "tail:0.3"}, loss=loss)
    found = generator_task(config).step(0)
    assert np.isfinite(found["avhubert"])
