"""Each loss by hand on a small case; where gradients go; the four signals."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from support.avhubert import TINY, needs_golden
from support.avhubert_expert import SIZE, micro
from support.training import ALONE
from torch.utils.data import default_collate

from lipsync_eval.baselines.avhubert_expert.config import LossConfig
from lipsync_eval.baselines.avhubert_expert.data.inputs import MEL, EndingMel, open_pool
from lipsync_eval.baselines.avhubert_expert.training.entries import EntryScores
from lipsync_eval.baselines.avhubert_expert.training.generator import ExpertRecipe
from lipsync_eval.baselines.avhubert_expert.training.lip_expert import load_expert
from lipsync_eval.baselines.avhubert_expert.training.terms import _pixel, clipped, objective
from lipsync_eval.baselines.kit.data.windows import Sample, TrainingSet, Windows
from lipsync_eval.baselines.kit.network.vgg import VGGFeatures
from lipsync_eval.baselines.kit.training.generator import GeneratorTask
from lipsync_eval.baselines.kit.training.lip_reading import LipReader, stretch
from lipsync_eval.baselines.kit.training.losses import adversarial_discriminator, adversarial_generator, perceptual
from lipsync_eval.baselines.kit.training.terms import Made, total
from lipsync_eval.errors import MissingWeights
from lipsync_eval.features.avhubert import locate_mouths, sample_mouths, similarity_loss, video_tensor

CPU = torch.device("cpu")
KINDS = ("lip_expert", "visual-visual", "multimodal", "unsupervised")


def of(data, expert, **loss):
    return micro(data, expert={"weights": str(expert)}, loss=loss)


def term(config, name):
    return next(t for t in objective(config, CPU).terms if t.name == name)


def test_pixel_loss_counts_in_0_to_1(data, expert):
    target = torch.full((1, 1, 3, 2, 2), -1.0)
    output = torch.full((1, 3, 2, 2), -1.0)
    output[0, 0, 0, 0] = 0.5  # 0.75 of [0, 1], in one of twelve values
    made = Made(output, Sample(target, target, target))
    assert term(of(data, expert), "l1").loss(made).item() == pytest.approx(0.75 / 12)


def test_perceptual_loss_is_johnsons():
    a, b = [torch.tensor([[1.0, 3.0]])], [torch.tensor([[2.0, 0.0]])]
    assert perceptual(a, b, [0.25], squared=True).item() == pytest.approx(0.25 * (1 + 9) / 2)
    net = VGGFeatures("vgg19", relu=2)
    assert net.taps == (3, 8, 13, 22, 31)  # relu1_2, 2_2, 3_2, 4_2, 5_2 of torchvision's vgg19.features
    with torch.device("meta"):
        maps = VGGFeatures("vgg19", relu=2)(torch.empty(1, 3, 96, 96))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (64, 96, 96),
        (128, 48, 48),
        (256, 24, 24),
        (512, 12, 12),
        (512, 6, 6),
    ]


def test_adversarial_losses_by_hand():
    fake, real = torch.tensor([0.0, 2.0]), torch.tensor([1.0, -1.0])
    softplus = lambda x: math.log1p(math.exp(x))  # noqa: E731
    assert adversarial_generator(fake).item() == pytest.approx((softplus(0) + softplus(-2)) / 2)
    expected = (softplus(0) + softplus(2)) / 2 + (softplus(-1) + softplus(1)) / 2
    assert adversarial_discriminator(fake, real).item() == pytest.approx(expected)


def test_equation_1_by_hand():
    video = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [0.0, 1.0]]])
    audio = torch.tensor([[[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]]])
    counts = torch.tensor([[False, True, True]])
    assert similarity_loss(video, audio, counts).item() == pytest.approx(-math.log((0.6 + 1) / 2))


def test_the_total_is_equation_3(data, expert):
    config = of(data, expert, sync_kind="lip_expert")
    batch = default_collate([TrainingSet(open_pool(config), 0)[k] for k in range(2)])
    made = Made(batch.target.flatten(0, 1) * 0.5, batch, logits=torch.zeros(10))
    value, parts = total(objective(config, CPU).terms, made)
    assert list(parts) == ["l1", "adversarial", "sync"]
    expected = 10 * parts["l1"] + parts["adversarial"] + 0.5 * parts["sync"]
    assert value.item() == pytest.approx(expected.item())


def test_the_lip_expert_hears_the_window_that_begins_with_the_first_frame(data, expert):
    """BCE of the cosine with 1, of the five frames and the mel at column int(80 i / 25)."""
    config = of(data, expert, sync_kind="lip_expert")
    drawn = TrainingSet(open_pool(config), 0)
    span, start, _ = drawn.drawn.draw(3)
    batch = default_collate([drawn[3]])
    made = Made(batch.target.flatten(0, 1), batch)
    windows = drawn.drawn.windows
    whole = MEL.whole((windows.array(span, "audio") / 32768).astype(np.float32))
    begin = min(int(80 * start / 25), len(whole) - 16)
    mel = torch.from_numpy(whole[begin : begin + 16].T.copy())[None, None]
    net = load_expert(config.expert)
    cosine = torch.nn.functional.cosine_similarity(net.see(batch.target), net.hear(mel))
    assert term(config, "sync").loss(made).item() == pytest.approx(-math.log(cosine.item()), rel=1e-5)


def test_windows_of_the_mel():
    whole = np.arange(100, dtype=np.float32)[:, None].repeat(80, 1)  # column j holds j
    assert MEL.window(whole, 6 / 25)[0, 0] == 16  # int(80 * 5 / 25), one frame early
    assert EndingMel(0).window(whole, 7 / 25)[0].tolist() == list(range(22, 38))  # int(22.4)
    assert EndingMel(0).window(whole, 1.24)[0].tolist() == list(range(84, 100))  # moved left: it ends with the audio
    assert MEL.window(whole, 9.0)[0, -1] == 99
    assert MEL.window(whole, 0.0)[0].tolist()[:5] == [-4, -4, -4, -4, 0]  # silence before the audio
    assert MEL.window(whole[:10], 0.04).shape == (80, 16)  # shorter than a window


def test_the_sync_gradient_is_held_to_the_pixel_losss():
    config = LossConfig()
    target = torch.rand(1, 5, 3, 4, 4) * 2 - 1
    output = torch.rand(5, 3, 4, 4, requires_grad=True)
    made = Made(output, Sample(target, target, target))
    (config.pixel * _pixel(config.pixel).loss(made)).backward()
    pixel = output.grad.norm().item()
    for ratio, parts in ((1.0, 1), (0.25, 1), (1.0, 4)):
        output.grad = None
        (clipped(made, LossConfig(sync_clip=ratio), parts).output * 100).sum().backward()
        assert output.grad.norm().item() == pytest.approx(ratio * pixel / parts)
    output.grad = None
    (clipped(made, config, 1).output * 1e-3).sum().backward()
    assert torch.allclose(output.grad, torch.full_like(output, 1e-3))  # small ones stay
    assert clipped(made, LossConfig(sync_clip=0), 1) is made and clipped(made, LossConfig(pixel=0), 1) is made


@needs_golden
@pytest.mark.parametrize("context", [7, 12, 40])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_spliced_features_are_those_of_the_whole_pass(context, place, data, expert):
    """Of a video with the generated frames in it, whatever is read of the entry and wherever in it they lie."""
    windows, span = Windows(open_pool(of(data, expert))), open_pool(of(data, expert)).train[0]
    frames = span.entry.frames
    start = {"first": 0, "middle": frames // 2, "last": frames - 5}[place]
    lips = LipReader(TINY, context, CPU)
    whole = dataclasses.replace(span, start=0, stop=frames)
    sample = windows.window(whole, start, [0] * 5)
    batch = default_collate([sample._replace(more=lips.reader(windows, whole, start))])
    made = Made(batch.target[0].flip(-1) * 0.5, batch)
    ours, theirs, counted = lips.features(made, "visual-visual")
    first, count = stretch(frames, start, 5, context)
    real = windows.tensor(whole, range(first, first + count))
    video = torch.cat([real[: start - first], made.output, real[start - first + 5 :]])
    mouths, config = locate_mouths(windows.points(whole, first, first + count)), lips.model.config
    seen = [
        video_tensor(sample_mouths((x + 1) / 2, mouths)[None], config.image_mean, config.image_std)
        for x in (video, real)
    ]
    for found, lip in zip((ours, theirs), seen, strict=True):
        features = lips.model.feature_extractor_video(lip)
        torch.testing.assert_close(found, lips.model.encode(features, None), rtol=1e-5, atol=1e-5)
    assert counted[0].nonzero()[:, 0].tolist() == list(range(start - first, start - first + 5))
    assert ours.shape[1] == min(context, frames) and (ours - theirs).abs().max() > 1e-3


@needs_golden
@pytest.mark.parametrize("kind", [KINDS[1], *(pytest.param(k, marks=pytest.mark.slow) for k in KINDS[2:])])
def test_the_sync_gradient_stays_in_the_mouth_and_reaches_the_generator(kind, data, expert):
    config = of(data, expert, sync_kind=kind, avhubert_weights=str(TINY), sync_clip=0)
    sync = term(config, "sync")
    batch = default_collate([TrainingSet(open_pool(config), 0, [sync.reader])[0]])
    output = batch.target[0].clone() * 0.5
    output.requires_grad_()
    value = sync.loss(Made(output, batch))
    value.backward()
    gradient = output.grad.abs().sum((0, 1))
    assert torch.isfinite(value) and (output.grad.abs().sum((1, 2, 3)) > 0).all()
    assert gradient[15:21, 9:15].sum() > 0 and gradient[:6].sum() == 0  # mouth at (12, 18) of 24 px
    recipe = ExpertRecipe(config)
    model = recipe.generator()
    sync.loss(Made(recipe.generate(model, batch), batch)).backward()
    assert model.decoder.out.weight.grad.abs().sum() > 0 and model.pose.stem.conv_block[0].weight.grad.abs().sum() > 0


@needs_golden
@pytest.mark.parametrize("kind", [pytest.param(k, marks=[pytest.mark.slow] * (k in KINDS[1:3])) for k in KINDS])
def test_each_signal_trains(kind, data, expert):
    config = of(data, expert, sync_kind=kind, avhubert_weights=str(TINY))
    pool = open_pool(config)
    task = GeneratorTask(ExpertRecipe(config, pool), ALONE, pool)
    values = [task.step(number) for number in range(2)]
    assert all(math.isfinite(v) for found in values for v in found.values())
    assert {"l1", "adversarial", "sync", "discriminator", "total"} == set(values[0])
    numbers, grid = task.validate()
    score = "lip_expert" if kind == "lip_expert" else "avs_u"
    assert -1 <= numbers[score] <= 1 and task.better == (("psnr", 1) if kind == "lip_expert" else ("avs_u", 1))
    whole = {name: value for name, value in numbers.items() if name.startswith("entry_")}
    assert set(whole) == (set() if kind == "lip_expert" else {"entry_avs_u", "entry_avs_m", "entry_avs_v"})
    assert all(-1 <= value <= 1 for value in whole.values())
    assert grid.shape == (2 * SIZE, 4 * SIZE, 3)


def test_terms_without_files_are_off_and_say_so(data, expert):
    found = objective(of(data, expert), CPU)
    assert [t.name for t in found.terms] == ["l1", "adversarial"]
    assert any("loss.vgg_weights" in n for n in found.notes) and any("loss.avhubert_weights" in n for n in found.notes)
    with pytest.raises(MissingWeights, match="train-expert"):
        ExpertRecipe(micro(data)).generator()


@needs_golden
def test_whole_entries_that_are_perfect(data, expert):
    """A generator that gives the real frames: AVS_m and AVS_v are 1, AVS_u is the real video's own."""
    config = of(data, expert, avhubert_weights=str(TINY))
    pool, reader = open_pool(config), LipReader(TINY, 40, CPU)
    scores = EntryScores(pool, reader, lambda net, sample: sample.target[0], 1)(torch.nn.Identity())
    assert scores["entry_avs_m"] == pytest.approx(1, abs=1e-5) and scores["entry_avs_v"] == pytest.approx(1, abs=1e-5)
    assert abs(scores["entry_avs_u"]) < 1
