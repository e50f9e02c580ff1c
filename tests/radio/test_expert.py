"""The AV-HuBERT loss inside training: the stretch around a window, and gradients into the generated pictures."""

import numpy as np
import torch
from support.avhubert import TINY, needs_golden
from support.radio import micro, segment, write_data

from lipsync_eval.baselines.radio.dataset import TrainingSet
from lipsync_eval.baselines.radio.expert import ContextSet, Expert, split_batch
from lipsync_eval.baselines.radio.ranks import Ranks
from lipsync_eval.baselines.radio.spans import Pool
from lipsync_eval.baselines.radio.train import RadioTask

ALONE = Ranks(0, 1, torch.device("cpu"))


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
    base = TrainingSet(Pool(config), 32, seed=0)
    data = ContextSet(base, 12, 32)
    for k in range(6):
        sample, context = split_batch(data[k])
        first = int(context.first)
        assert context.frames.shape == (12, 3, 32, 32) and context.sound.shape == (104, 12)
        assert torch.equal(context.frames[first : first + 5], sample.target)
        span, start, _ = base.drawn.draw(k)
        assert torch.equal(context.frames[0], base.drawn.windows.pictures(span, [start - first])[0])


@needs_golden
def test_the_loss_sees_the_generated_pictures_only_through_the_mouth(tmp_path):
    write_data(tmp_path, [mean_face()])
    config = micro(tmp_path, data={"holdout": "tail:0.3"})
    sample, context = split_batch(ContextSet(TrainingSet(Pool(config), 32, 0), 12, 32)[0])
    batched = type(context)(*(x[None] for x in context))
    output = sample.target[None].clone().requires_grad_()
    value = Expert(TINY, torch.device("cpu")).loss(output, batched)
    value.backward()
    gradient = output.grad.abs().sum((0, 1, 2))
    assert torch.isfinite(value) and gradient[20:28, 12:20].sum() > 0 and gradient[:8].sum() == 0


@needs_golden
def test_training_with_the_expert(tmp_path):
    write_data(tmp_path, [mean_face()])
    loss = {"avhubert_weights": str(TINY), "avhubert_context": 12}
    config = micro(tmp_path, data={"holdout": "tail:0.3"}, loss=loss)
    found = RadioTask(config, ALONE, Pool(config)).step(0)
    assert np.isfinite(found["avhubert"])
