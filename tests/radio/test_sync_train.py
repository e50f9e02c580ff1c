"""Training of the sync discriminator, and its use in the generator's loss."""

import numpy as np
import pytest
import torch
from support.radio import generator_task, micro, sync_task
from support.training import gradient_norms

from lipsync_eval.baselines.kit.sync.pairs import PairModel, off_sync, pair_loss
from lipsync_eval.baselines.kit.sync.samples import SyncSet
from lipsync_eval.baselines.kit.sync.settings import SyncAugmentConfig
from lipsync_eval.baselines.kit.sync.training import scores
from lipsync_eval.baselines.kit.training.averaging import blend
from lipsync_eval.baselines.kit.training.checkpoints import checkpoints, open_checkpoint
from lipsync_eval.baselines.kit.training.processes import ranks
from lipsync_eval.baselines.kit.training.run_folder import read_log
from lipsync_eval.baselines.kit.training.terms import Made
from lipsync_eval.baselines.radio.config import GENERATOR, SYNC
from lipsync_eval.baselines.radio.data.inputs import open_pool
from lipsync_eval.baselines.radio.network.sync_discriminator import SyncDiscriminator
from lipsync_eval.baselines.radio.presets import load
from lipsync_eval.baselines.radio.training.generator import run_training
from lipsync_eval.baselines.radio.training.sync import load_sync, run_sync_training, sync_recipe
from lipsync_eval.baselines.radio.training.terms import objective
from lipsync_eval.errors import RefusedCheckpoint, UsageError

NONE = dict.fromkeys(SyncAugmentConfig.model_fields, 0)


def run(config, out, *, resume=False):
    with ranks("cpu") as mine:
        run_sync_training(config, out, mine, resume=resume, say=lambda text: None)


@pytest.fixture(scope="module")
def sync_run(made_data, tmp_path_factory):
    """A sync discriminator of four steps."""
    out = tmp_path_factory.mktemp("sync") / "run"
    run(micro(made_data), out)
    return out


def test_scores_by_hand():
    own, other = np.array([0.8, -0.2, 0.3, 0.9]), np.array([[-0.5, 0.9], [-0.1, -0.3], [0.1, -0.6], [-0.9, -0.8]])
    found = scores(own, other, sync_recipe(micro()).probability)
    assert found["accuracy"] == pytest.approx((3 / 4 + 6 / 8) / 2)  # wrong: own -0.2, others 0.9 and 0.1
    assert found["ranked"] == pytest.approx(6 / 8)  # 0.8 < 0.9, -0.2 < -0.1
    assert found["cosine_in_sync"] == pytest.approx(0.45) and found["windows"] == 4
    p, q = (1 + own) / 2, (1 + other) / 2
    assert found["loss"] == pytest.approx((-np.log(p).mean() - np.log(1 - q).mean()) / 2, rel=1e-6)


def test_pairs_by_hand():
    span, start = torch.tensor([0, 0, 1, 0]), torch.tensor([3, 7, 3, 8])
    off = off_sync(span, start, 5)
    assert off.nonzero().tolist() == [[0, 3], [3, 0]]  # 3 and 7 are too near; the other span does not count
    p = torch.full((4, 4), 0.5)
    p[0, 3], p[0, 0], p[0, 1] = 0.8, 0.9, 0.99
    loss, accuracy = pair_loss(p, off)
    own, others = -(np.log(0.9) + 3 * np.log(0.5)) / 4, -(np.log(0.2) + np.log(0.5)) / 2
    assert loss.item() == pytest.approx((own + others) / 2, rel=1e-6)
    assert accuracy.item() == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert pair_loss(p, torch.zeros(4, 4, dtype=bool))[0].item() == pytest.approx(own, rel=1e-6)


def test_the_table_of_pairs_is_what_the_discriminator_says(made_data):
    config = micro(made_data)
    batch = next(sync_task(config).batches)
    torch.manual_seed(0)
    pairs = PairModel(SyncDiscriminator(config.sync)).eval()
    with torch.no_grad():
        table, shape = pairs(batch[0], batch[1])
        for k in range(len(table)):
            alone = pairs.net(batch[0], batch[1].roll(-k, 0))
            torch.testing.assert_close(table[torch.arange(len(table)), torch.arange(len(table)).roll(-k)], alone)
    assert shape.shape == (len(table), 30)


def test_the_visual_encoders_share_of_the_gradient(made_data):
    """0, a half, all of it: the convolutions get that share, the last layer and the audio encoder always the whole."""
    config = micro(made_data)
    batch = next(sync_task(config).batches)
    found = {}
    for share in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        pairs = PairModel(SyncDiscriminator(config.sync), 5, share).eval()
        cosines, _ = pairs(batch[0], batch[1])
        cosines.diagonal().sum().backward()
        found[share] = cosines.detach(), {name: p.grad for name, p in pairs.net.named_parameters()}
    for share in (0.0, 0.5):
        torch.testing.assert_close(found[share][0], found[1.0][0])
        for name, gradient in found[share][1].items():
            held = name.startswith("visual.") and not name.startswith("visual.fc")
            expected = (share if held else 1.0) * found[1.0][1][name]
            torch.testing.assert_close(torch.zeros_like(expected) if gradient is None else gradient, expected)
    with pytest.raises(UsageError, match="the visual encoder would learn nothing"):
        micro(sync_train={"shape": 0, "visual_gradient": 0})


def test_the_shape_is_learnt_first(made_data):
    """Before `sync_from` the audio encoder and the last visual layer stay as they are."""
    config = micro(made_data, sync_train={"sync_from": 1, "weight_decay": 0})
    task = sync_task(config)
    before = {name: p.clone() for name, p in task.pairs.net.named_parameters()}
    assert set(task.step(0)) == {"total", "shape"}
    for name, p in task.pairs.net.named_parameters():
        if name.startswith(("audio.", "visual.fc")):
            assert torch.equal(p, before[name])
    assert not torch.equal(task.pairs.net.visual.conv1.weight, before["visual.conv1.weight"])
    assert {"sync", "train_accuracy"} <= set(task.step(1))
    assert not torch.equal(task.pairs.net.audio.conv1.weight, before["audio.conv1.weight"])
    with pytest.raises(UsageError, match="nothing is learnt before step sync_from = 3"):
        micro(sync_train={"shape": 0, "sync_from": 3})
    with pytest.raises(UsageError, match=r"the sync loss would begin at step sync_from = 4 of 4; lower sync_from"):
        micro(sync_train={"sync_from": 4, "steps": 4})


def test_windows_of_a_group_come_from_one_span(made_data):
    config = micro(made_data, sync_train={"group": 4, "batch": 8}, sync_augment=NONE)
    data, again = (
        SyncSet(open_pool(config), config.sync_train, config.sync_augment, config.sync.box) for _ in range(2)
    )
    for first in range(0, 40, 4):
        drawn = [data.draw(k) for k in range(first, first + 4)]
        assert len({which for which, _ in drawn}) == 1 and len({start for _, start in drawn}) == 4
        for k, (which, start) in enumerate(drawn):
            sample, span = data[first + k], data.spans[which]
            assert (sample.span, sample.start) == (which, start) and span.start <= start <= span.stop - 5
            assert torch.equal(sample.frames, data.windows.tensor(span, range(start, start + 5)))
            assert torch.equal(sample.audio, data.windows.audio(span, start + 2))
            for x, y in zip(sample, again[first + k], strict=True):
                assert torch.equal(x, y)
    assert len({data.draw(k)[0] for k in range(0, 80, 4)}) == len(data.spans)
    shapes = torch.stack([data[k].shape for k in range(200)])
    assert shapes.mean(0).abs().max() < 0.4 and (shapes.std(0) - 1).abs().max() < 0.4


def test_training_windows_are_augmented_and_held_out_ones_are_not(made_data):
    plain, changed = micro(made_data, sync_augment=NONE), micro(made_data)
    a, b = (sync_task(c) for c in (plain, changed))
    x, y = next(a.batches), next(b.batches)
    assert not torch.equal(x[0], y[0]) and not torch.equal(x[1], y[1])
    assert torch.equal(x[2], y[2]) and torch.equal(x[4], y[4])  # shapes and places are the same
    assert a.validate()[0] == b.validate()[0]


def test_the_average_follows_weights_and_statistics():
    old, new = torch.nn.BatchNorm1d(1), torch.nn.BatchNorm1d(1)
    new.weight.data.fill_(3.0)
    new.running_mean.fill_(8.0)
    new.num_batches_tracked.fill_(5)
    blend(old, new, 0.75)
    assert old.weight.item() == 1.5 and old.running_mean.item() == 2 and old.num_batches_tracked.item() == 5


def test_it_learns_one_batch_by_heart(made_data):
    """8 windows with their own and with each other's audio. Eight codes cannot all point away from each other, so eq. 5
    stays above 0; even so it falls to less than half, and nearly every pair is told right."""
    more = {"batch": 8, "group": 8, "lr": 5e-3}
    config = micro(made_data, sync={"width": 4, "dim": 16}, sync_train=more)
    task = sync_task(config)
    batch = next(task.batches)
    task.batches = iter([batch] * 60)
    found = [task.step(k) for k in range(60)]
    assert found[0]["sync"] == pytest.approx(np.log(2), abs=0.25)
    assert found[-1]["sync"] < np.log(2) / 2 and found[-1]["train_accuracy"] > 0.95
    assert found[-1]["shape"] < found[0]["shape"] / 3
    assert found[0]["total"] == pytest.approx(found[0]["sync"] + found[0]["shape"], rel=1e-5)


def test_resumed_training_gives_the_same_losses(made_data, tmp_path):
    every = {"steps": 4, "log_every": 1}
    run(micro(made_data, sync_train=every), tmp_path / "whole")
    run(micro(made_data, sync_train=every | {"steps": 2}), tmp_path / "halves")
    run(micro(made_data, sync_train=every), tmp_path / "halves", resume=True)
    a, b = ([(x["step"], x["total"]) for x in read_log(tmp_path / n) if "total" in x] for n in ("whole", "halves"))
    assert a == b and len(a) == 4


def test_the_checkpoint_is_frozen_in_the_generators_loss(made_data, sync_run):
    config = micro(made_data, loss={"sync_checkpoint": str(sync_run)})
    net = load_sync(config, torch.device("cpu"))
    held = open_checkpoint(sync_run, SYNC).tensors()
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    for name, x in net.state_dict().items():
        assert torch.equal(x, held[name])
    task = generator_task(config)
    found = task.step(0)
    assert np.isfinite(found["sync"])
    assert "sync" in task.validate()[0]


def test_sync_loss_reaches_the_pictures(made_data, sync_run):
    config = micro(made_data, loss={"sync_checkpoint": str(sync_run), "l1": 0.0, "sync": 1.0})
    terms = {term.name: term for term in objective(config, torch.device("cpu")).terms}
    sample = next(generator_task(config).batches)
    output = sample.target.flatten(0, 1).clone().requires_grad_()
    terms["sync"].loss(Made(output, sample)).backward()
    gradient = output.grad.abs().sum((0, 1))
    assert gradient[12:, 6:26].sum() > 0 and gradient[:12].sum() == 0  # the tight face only


def test_the_sync_gradient_is_held_to_the_pixel_losss_where_asked(made_data, sync_run):
    """Off by default, as printed; the small preset, whose discriminator has seen seconds of speech, holds it."""
    assert load().loss.sync_clip == 0 and load(preset="radio-48").loss.sync_clip == 1
    with pytest.raises(UsageError, match="sync_clip"):
        load(overrides=["train.precision=fp16", "loss.sync_clip=1"])
    sample = next(generator_task(micro(made_data)).batches)

    def norms(**loss):
        more = {"sync_checkpoint": str(sync_run), "sync": 1e4, "l1": 2.0, "adversarial": 0, **loss}
        return gradient_norms(objective(micro(made_data, loss=more), torch.device("cpu")), sample)

    free = norms()
    pixel = free["l1"]
    assert free["sync"] > 2 * pixel
    assert norms(sync_clip=1) == pytest.approx({"l1": pixel, "sync": pixel}, rel=1e-4)
    assert norms(sync_clip=0.5) == pytest.approx({"l1": pixel, "sync": pixel / 2}, rel=1e-4)
    more = {"sync_checkpoint": str(sync_run), "sync": 1e4, "sync_clip": 1, "adversarial": 0}
    half = micro(made_data, loss=more, train={"accumulate": 2})
    of_a_part = gradient_norms(objective(half, torch.device("cpu")), sample)
    assert of_a_part["sync"] == pytest.approx(of_a_part["l1"] / 2, rel=1e-4)


def test_what_cannot_be_used(made_data, sync_run, micro_run, tmp_path):
    cpu = torch.device("cpu")
    with pytest.raises(RefusedCheckpoint, match="kind 'radio'"):
        load_sync(micro(made_data, loss={"sync_checkpoint": str(micro_run)}), cpu)
    with pytest.raises(RefusedCheckpoint, match="was trained with sync ="):
        load_sync(micro(made_data, loss={"sync_checkpoint": str(sync_run)}, sync={"dim": 4}), cpu)
    with pytest.raises(UsageError, match=r"sync_train\.batch 3 is no multiple of 1 processes x sync_train\.group 2"):
        run(micro(made_data, sync_train={"batch": 3}), tmp_path / "r")
    with pytest.raises(UsageError, match=r"long enough for a shift of 30 frames; lower sync_train\.min_shift"):
        run(micro(made_data, sync_train={"min_shift": 30}), tmp_path / "s")


def test_the_vgg_term_joins_the_loss(made_data, tmp_path):
    """A seeded VGG16 state dict on disk, as torchvision writes one."""
    from lipsync_eval.baselines.kit.network.vgg import VGGFeatures

    torch.manual_seed(0)
    torch.save(VGGFeatures("vgg16").state_dict(), tmp_path / "vgg16.pth")
    config = micro(made_data, loss={"vgg_weights": str(tmp_path / "vgg16.pth"), "vgg": 0.5}, train={"batch": 1})
    task = generator_task(config)
    assert not any("VGG" in note for note in task.objective.notes)
    found = task.step(0)
    expected = found["l1"] + 0.5 * found["vgg"] + config.loss.adversarial * found["adversarial"]
    assert found["vgg"] > 0 and found["total"] == pytest.approx(expected, rel=1e-5)


def test_checkpoints_of_both_kinds_can_be_told_apart(sync_run, micro_run):
    assert checkpoints(sync_run) and checkpoints(micro_run)
    with pytest.raises(RefusedCheckpoint, match="kind 'sync'; one made by `radio train` is needed"):
        open_checkpoint(sync_run, GENERATOR)


def test_a_run_folder_can_be_validated_only_with_held_out_windows(made_data, tmp_path):
    with pytest.raises(UsageError, match="leaves no window"), ranks("cpu") as mine:
        run_training(micro(made_data, data={"holdout": "split"}), tmp_path / "r", mine, resume=False, say=print)
