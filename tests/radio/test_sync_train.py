"""Training of the sync discriminator, and its use in the generator's loss."""

import numpy as np
import pytest
import torch
from support.radio import micro

from lipsync_eval.baselines.radio.objective import Objective, load_sync
from lipsync_eval.baselines.radio.ranks import Ranks, ranks
from lipsync_eval.baselines.radio.runs import checkpoints, open_checkpoint, read_log
from lipsync_eval.baselines.radio.spans import Pool
from lipsync_eval.baselines.radio.train import RadioTask, run_training
from lipsync_eval.baselines.radio.train_sync import SyncTask, run_sync_training, scores
from lipsync_eval.errors import RefusedCheckpoint, UsageError

ALONE = Ranks(0, 1, torch.device("cpu"))


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
    own, other = np.array([0.8, -0.2, 0.3, 0.9]), np.array([-0.5, -0.1, 0.1, -0.9])
    found = scores(own, other, micro())
    assert found["accuracy"] == pytest.approx(6 / 8)  # wrong: own -0.2, other 0.1
    assert found["ranked"] == pytest.approx(3 / 4)  # -0.2 < -0.1
    assert found["cosine_in_sync"] == pytest.approx(0.45) and found["windows"] == 4
    p = (1 + np.concatenate([own, other])) / 2
    y = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    assert found["loss"] == pytest.approx(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(), rel=1e-6)


def test_it_learns_one_batch_by_heart(made_data):
    """8 windows, half with shifted sound: the loss falls from ln 2 to a third and every window is told right."""
    more = {"batch": 8, "lr": 5e-3}
    config = micro(made_data, sync={"width": 4, "dim": 16}, sync_train=more)
    task = SyncTask(config, ALONE, Pool(config))
    batch = next(task.batches)
    task.batches = iter([batch] * 60)
    found = [task.step(k) for k in range(60)]
    assert found[0]["total"] == pytest.approx(np.log(2), abs=0.25)
    assert found[-1]["total"] < np.log(2) / 3 and found[-1]["train_accuracy"] == 1


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
    held = open_checkpoint(sync_run, "sync").tensors()
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    for name, x in net.state_dict().items():
        assert torch.equal(x, held[name])
    task = RadioTask(config, ALONE, Pool(config))
    found = task.step(0)
    assert np.isfinite(found["sync"])
    assert "sync" in task.validate()[0]


def test_sync_loss_reaches_the_pictures(made_data, sync_run):
    config = micro(made_data, loss={"sync_checkpoint": str(sync_run), "l1": 0.0, "sync": 1.0})
    objective = Objective(config, torch.device("cpu"))
    task = RadioTask(config, ALONE, Pool(config))
    batch = next(task.batches)
    from lipsync_eval.baselines.radio.dataset import Sample

    output = batch[0].flatten(0, 1).clone().requires_grad_()
    terms = objective.terms(output, Sample(*batch), None, None)
    terms["sync"].value.backward()
    gradient = output.grad.abs().sum((0, 1))
    assert gradient[12:, 6:26].sum() > 0 and gradient[:12].sum() == 0  # the tight face only


def test_what_cannot_be_used(made_data, sync_run, micro_run, tmp_path):
    cpu = torch.device("cpu")
    with pytest.raises(RefusedCheckpoint, match="kind 'radio'"):
        load_sync(micro(made_data, loss={"sync_checkpoint": str(micro_run)}), cpu)
    with pytest.raises(RefusedCheckpoint, match="was trained with sync ="):
        load_sync(micro(made_data, loss={"sync_checkpoint": str(sync_run)}, sync={"dim": 4}), cpu)
    with pytest.raises(UsageError, match=r"sync_train\.batch 3 is no multiple of 2"):
        run(micro(made_data, sync_train={"batch": 3}), tmp_path / "r")
    with pytest.raises(UsageError, match=r"lower sync\.min_shift|long enough"):
        run(micro(made_data, sync_train={"min_shift": 30}), tmp_path / "s")


def test_the_vgg_term_joins_the_loss(made_data, tmp_path):
    """A seeded VGG16 state dict on disk, as torchvision writes one."""
    from lipsync_eval.baselines.radio.vgg import VGGFeatures

    torch.manual_seed(0)
    torch.save(VGGFeatures("vgg16").state_dict(), tmp_path / "vgg16.pth")
    config = micro(made_data, loss={"vgg_weights": str(tmp_path / "vgg16.pth"), "vgg": 0.5}, train={"batch": 1})
    task = RadioTask(config, ALONE, Pool(config))
    assert not any("VGG" in note for note in task.objective.notes)
    found = task.step(0)
    expected = found["l1"] + 0.5 * found["vgg"] + config.loss.adversarial * found["adversarial"]
    assert found["vgg"] > 0 and found["total"] == pytest.approx(expected, rel=1e-5)


def test_checkpoints_of_both_kinds_can_be_told_apart(sync_run, micro_run):
    assert checkpoints(sync_run) and checkpoints(micro_run)
    with pytest.raises(RefusedCheckpoint, match="kind 'sync'; one made by `radio train` is needed"):
        open_checkpoint(sync_run, "radio")


def test_a_run_folder_can_be_validated_only_with_held_out_windows(made_data, tmp_path):
    with pytest.raises(UsageError, match="leaves no window"), ranks("cpu") as mine:
        run_training(micro(made_data, data={"holdout": "split"}), tmp_path / "r", mine, resume=False, say=print)
