"""The AV-HuBERT loss inside training: the stretch around a window, and gradients into the generated frames."""

import numpy as np
import torch
from support.avhubert import TINY, needs_golden
from support.radio import generator_task, micro, segment, write_data
from torch.utils.data import default_collate

from lipsync_eval.baselines.kit.data.windows import TrainingSet
from lipsync_eval.baselines.kit.training.lip_reading import StretchReader, lip_reading_term
from lipsync_eval.baselines.kit.training.terms import Made
from lipsync_eval.baselines.radio.data.inputs import open_pool


def mean_face(frames=30):
    """An entry whose landmarks look like a face, so that the mouth can be placed."""
    from lipsync_eval.features.avhubert.roi import MEAN_FACE, STABLE

    made = segment("a", frames=frames)
    points = np.random.default_rng(0).normal(16, 1, (frames, 68, 2))
    points[:, list(STABLE)] = MEAN_FACE / 8
    points[:, 48:] = np.array([16, 24]) + np.random.default_rng(1).normal(0, 0.5, (frames, 20, 2))
    made.landmarks = points.astype(np.float32)
    return made


def test_the_stretch_holds_the_window(tmp_path):
    write_data(tmp_path, [mean_face()])
    config = micro(tmp_path, data={"holdout": "tail:0.3"})
    data = TrainingSet(open_pool(config), seed=0, readers=[StretchReader(12)])
    for k in range(6):
        sample = data[k]
        stretch, first = sample.more["stretch"], int(sample.more["stretch_first"])
        assert stretch.shape == (12, 3, 32, 32) and sample.more["stretch_audio"].shape == (104, 12)
        assert torch.equal(stretch[first : first + 5], sample.target)
        span, start, _ = data.drawn.draw(k)
        assert torch.equal(stretch[0], data.drawn.windows.tensor(span, [start - first])[0])


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
