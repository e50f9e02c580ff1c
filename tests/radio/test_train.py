"""Training: what a step does, going on after a stop, many processes, and stopping at NaN."""

import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from support.radio import generator_task, micro
from support.training import ALONE

from lipsync_eval.baselines.kit.training import losses
from lipsync_eval.baselines.kit.training.averaging import blend
from lipsync_eval.baselines.kit.training.checkpoints import (
    TrainingStopped,
    checkpoints,
    open_checkpoint,
    prune,
    save_checkpoint,
)
from lipsync_eval.baselines.kit.training.loop import check_resumable
from lipsync_eval.baselines.kit.training.processes import ranks
from lipsync_eval.baselines.kit.training.run_folder import read_log
from lipsync_eval.baselines.radio.config import GENERATOR, SYNC
from lipsync_eval.baselines.radio.dubbing.generator import load_generator
from lipsync_eval.baselines.radio.network.generator import Radio
from lipsync_eval.baselines.radio.training.generator import generator_groups, overfit_check, run_training
from lipsync_eval.errors import OutputError, RefusedCheckpoint, UsageError


def quiet(text):
    pass


def run(config, out, *, resume=False):
    with ranks("cpu") as mine:
        run_training(config, out, mine, resume=resume, say=quiet)


def losses_by_step(out):
    return {line["step"]: line["total"] for line in read_log(out) if "total" in line}


def test_a_run_writes_what_its_page_says(micro_run):
    assert [p.name for p in checkpoints(micro_run)] == ["000000", "000002"]
    assert sorted(p.name for p in (micro_run / "checkpoints" / "000002").iterdir()) == [
        "checkpoint.json",
        "model.safetensors",
        "training.safetensors",
    ]
    assert json.loads((micro_run / "config.json").read_text())["name"] == "micro"
    assert (micro_run / "grids" / "000002.png").stat().st_size > 100
    log = read_log(micro_run)
    assert {"val_psnr", "val_psnr_lower", "val_ssim", "val_l1"} <= set(log[0]) and log[0]["step"] == 0
    assert {"l1", "adversarial", "discriminator", "r1", "total", "frames_per_second"} <= set(log[1])


def test_resumed_training_gives_the_same_losses(tmp_path, made_data):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    every = {"log_every": 1, "steps": 6, "accumulate": 2, "validate_every": 3, "save_every": 3}
    loss = {"r1_every": 2}
    run(micro(made_data, train=every, loss=loss), whole)
    run(micro(made_data, train=every | {"steps": 3}, loss=loss), halves)
    run(micro(made_data, train=every, loss=loss), halves, resume=True)
    a, b = losses_by_step(whole), losses_by_step(halves)
    assert sorted(a) == [1, 2, 3, 4, 5, 6] and a == b
    first, second = (open_checkpoint(out, GENERATOR).tensors("training.safetensors") for out in (whole, halves))
    assert first.keys() == second.keys()
    for name, x in first.items():
        assert torch.equal(x, second[name]), name


def test_only_harmless_settings_may_change_on_resume(made_data):
    old = micro(made_data)
    check_resumable(old, micro("elsewhere", train={"steps": 9, "keep": 1}))
    with pytest.raises(OutputError, match=r"train\.ema: 0\.5 before, 0\.9 now"):
        check_resumable(old, micro(made_data, train={"ema": 0.9}))


def test_learning_rates_may_change_on_resume_and_that_is_said(made_data, tmp_path):
    every, said = {"log_every": 1, "save_every": 2, "validate_every": 2}, []
    rates = {"lr": 1e-9, "lr_plain": 1e-9, "lr_discriminator": 1e-9}
    out = tmp_path / "run"
    run(micro(made_data, train=every | {"steps": 2}), out)
    before = open_checkpoint(out, GENERATOR)
    with pytest.raises(OutputError, match="another configuration"):
        run(micro(made_data, train=every | {"ema": 0.9}), out, resume=True)
    assert json.loads((out / "config.json").read_text())["train"]["ema"] == 0.5  # a refused resume changes nothing
    with ranks("cpu") as mine:
        run_training(micro(made_data, train=every | {"steps": 4} | rates), out, mine, resume=True, say=said.append)
    assert any(line.startswith("resumed at step 2 (train.lr: 0.002 before, 1e-09 now; ") for line in said)
    assert json.loads((out / "config.json").read_text())["train"]["lr"] == 1e-9
    a, b = (c.tensors("training.safetensors") for c in (before, open_checkpoint(out, GENERATOR)))
    for name in (n for n in a if n.startswith("generator.")):
        torch.testing.assert_close(a[name], b[name], atol=1e-6, rtol=0)


def test_folders_that_are_taken(tmp_path, made_data, micro_run):
    with pytest.raises(OutputError, match="holds a run already; add --resume"):
        run(micro(made_data), micro_run)
    with pytest.raises(OutputError, match="holds no run to resume"):
        run(micro(made_data), tmp_path / "new", resume=True)
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(OutputError, match="holds other files"):
        run(micro(made_data), tmp_path)


def gradients(config, world=1):
    task = generator_task(config)
    task._update = lambda judged, number: None
    found = task.step(0)
    return found, [p.grad.clone() for p in task.generator.parameters()]


def test_accumulation_gives_the_gradients_of_the_whole_batch(made_data):
    loss = {"adversarial": 0.0}
    one, whole = gradients(micro(made_data, train={"batch": 4}, loss=loss))
    two, parts = gradients(micro(made_data, train={"batch": 4, "accumulate": 2}, loss=loss))
    assert one["total"] == pytest.approx(two["total"], rel=1e-5)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)


def test_the_generator_loss_leaves_the_discriminator_alone(made_data):
    """Gradients of D come from its own loss only: they equal those of a D step done by hand."""
    config = micro(made_data, loss={"r1": 0.0})
    task = generator_task(config)
    task._update = lambda judged, number: None
    batch = next(task.batches)
    task.batches = iter([batch])
    task.step(0)
    found = [p.grad.clone() for p in task.discriminator.parameters()]
    real, reference, mel = (x.flatten(0, 1) for x in batch[:3])
    task.discriminator.zero_grad()
    with torch.no_grad():
        fake = task.generator(real, reference, mel)
    losses.adversarial_discriminator(task.discriminator(fake), task.discriminator(real)).backward()
    for a, p in zip(found, task.discriminator.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad, rtol=1e-4, atol=1e-6)
    assert all(p.requires_grad for p in task.discriminator.parameters())


def test_total_is_the_weighted_sum(made_data):
    config = micro(made_data, loss={"adversarial": 0.3, "l1": 2.0, "r1": 0.0})
    found = generator_task(config).step(0)
    assert found["total"] == pytest.approx(2 * found["l1"] + 0.3 * found["adversarial"], rel=1e-5)


def test_terms_that_are_off_are_said(made_data, tmp_path):
    said = []
    with ranks("cpu") as mine:
        run_training(micro(made_data, train={"steps": 1}), tmp_path / "r", mine, resume=False, say=said.append)
    assert any("VGG term of the reconstruction loss is off: set loss.vgg_weights" in line for line in said)
    assert any("sync loss is off: set loss.sync_checkpoint" in line for line in said)


def test_learning_rates_by_kind_of_layer():
    model = Radio(micro().model)
    groups = generator_groups(model, 1.0, 2.0)
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    plain = {id(p) for p in groups[1]["params"]}
    for name, p in model.named_parameters():
        assert (id(p) in plain) == (name.startswith("audio.") or ".vit." in name), name


def test_running_average():
    a, b = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    torch.nn.init.constant_(a.weight, 1.0)
    torch.nn.init.constant_(b.weight, 3.0)
    blend(a, b, 0.75)
    assert a.weight.item() == pytest.approx(1.5)


@pytest.mark.parametrize("precision", ["bf16"])
def test_mixed_precision_trains(made_data, tmp_path, precision):
    run(micro(made_data, train={"precision": precision}), tmp_path / "run")
    values = losses_by_step(tmp_path / "run")
    assert np.isfinite(list(values.values())).all()


def test_nan_stops_and_keeps_the_last_good_checkpoint(made_data, tmp_path, monkeypatch):
    config = micro(made_data, train={"steps": 8, "save_every": 2, "validate_every": 2})
    real = losses.pixel
    calls = []

    def broken(output, target):
        calls.append(1)
        value = real(output, target)
        return value * float("nan") if len(calls) == 6 else value

    monkeypatch.setattr(losses, "pixel", broken)
    with pytest.raises(
        TrainingStopped, match=r"step 6: .*l1 = nan.*last good checkpoint is .*000004.*--resume and lower"
    ):
        run(config, tmp_path / "run")
    kept = checkpoints(tmp_path / "run")
    assert kept[-1].name == "000004"
    for tensors in (
        open_checkpoint(kept[-1], GENERATOR).tensors(n) for n in ("model.safetensors", "training.safetensors")
    ):
        assert all(torch.isfinite(x).all() for x in tensors.values())
    run(config, tmp_path / "run", resume=True)  # the broken call is past: it goes on
    assert checkpoints(tmp_path / "run")[-1].name == "000008"


def test_weights_that_are_no_numbers_are_not_written(tmp_path):
    bad = {"w": torch.tensor([1.0, float("inf")])}
    with pytest.raises(TrainingStopped, match="w holds NaN or infinity; the checkpoint is not written"):
        save_checkpoint(tmp_path, GENERATOR, 3, micro(), bad, {}, {})
    assert not checkpoints(tmp_path)


def test_old_checkpoints_go_first_best_and_newest_stay(tmp_path):
    for step in range(0, 60, 10):
        save_checkpoint(tmp_path, GENERATOR, step, micro(), {"w": torch.zeros(1)}, {"v": torch.zeros(1)}, {})
    prune(tmp_path, 2, best=20)
    assert [p.name for p in checkpoints(tmp_path)] == ["000000", "000020", "000040", "000050"]


def test_a_checkpoint_of_another_configuration_is_refused(micro_run):
    with pytest.raises(
        RefusedCheckpoint,
        match="another model than the configuration: size: 64 here, 32 there; variant: B here, D there",
    ):
        load_generator(micro_run, "cpu", micro(model={"size": 64, "variant": "B"}).model)
    with pytest.raises(RefusedCheckpoint, match="kind 'radio'; one made by `radio train-sync` is needed"):
        open_checkpoint(micro_run, SYNC)


def test_damaged_checkpoints_are_refused(micro_run, tmp_path):
    with pytest.raises(RefusedCheckpoint, match="is no checkpoint and no run"):
        open_checkpoint(tmp_path, GENERATOR)
    copy = shutil.copytree(checkpoints(micro_run)[-1], tmp_path / "copy")
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(data))
    with pytest.raises(RefusedCheckpoint, match="is damaged: its sha256"):
        load_generator(copy, "cpu")
    (copy / "model.safetensors").unlink()
    with pytest.raises(RefusedCheckpoint, match=r"holds no model\.safetensors"):
        load_generator(copy, "cpu")
    text = json.loads((copy / "checkpoint.json").read_text())
    (copy / "checkpoint.json").write_text(json.dumps(text | {"schema": 7}))
    with pytest.raises(RefusedCheckpoint, match="schema 7, this version reads 1"):
        open_checkpoint(copy, GENERATOR)
    old = {k: v for k, v in text.items() if k != "revision"}  # as written before networks had revisions
    for written, number in ((old, 1), (text | {"revision": 3}, 3)):
        (copy / "checkpoint.json").write_text(json.dumps(written))
        with pytest.raises(
            RefusedCheckpoint, match=f"revision {number} of the network 'radio', .* has revision 2: train again"
        ):
            open_checkpoint(copy, GENERATOR)
    (copy / "checkpoint.json").write_text("[]")
    with pytest.raises(RefusedCheckpoint, match="is malformed"):
        open_checkpoint(copy, GENERATOR)


def test_a_loaded_generator_is_the_running_average(micro_run, made_data):
    generator = load_generator(micro_run, "cpu")
    held = open_checkpoint(micro_run, GENERATOR).tensors()
    for name, x in generator.model.state_dict().items():
        assert torch.equal(x, held[name])
    assert generator.size == 32 and not generator.model.training


def test_overfit_check(made_data):
    config = micro(made_data, train={"lr": 0.02, "lr_plain": 0.003, "batch": 1}, loss={"adversarial": 0.0})
    first, last = overfit_check(config, ALONE, 30, quiet)
    assert last < first / 2
    with pytest.raises(TrainingStopped, match="one batch was not learnt"):
        overfit_check(config, ALONE, 2, quiet)


def test_batch_must_divide(made_data):
    with pytest.raises(UsageError, match=r"train\.batch 3 is no multiple of 1 processes x 2"):
        config = micro(made_data, train={"batch": 3, "accumulate": 2})
        generator_task(config)


WORKER = """
import json, sys
from pathlib import Path
from lipsync_eval.baselines.kit.configuration.resolve import parse
from lipsync_eval.baselines.kit.training.processes import ranks
from lipsync_eval.baselines.radio.config import RadioConfig
from lipsync_eval.baselines.radio.training.generator import run_training
config = parse(RadioConfig, json.loads(Path(sys.argv[1]).read_text()), "worker")
with ranks("cpu") as mine:
    run_training(config, Path(sys.argv[2]), mine, resume=len(sys.argv) > 3, say=lambda text: None)
"""


def start(world, config, out, tmp_path, *more):
    """Run WORKER in `world` processes on 127.0.0.1, as torchrun would start them."""
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(world):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        env = (
            os.environ
            | {key: str(value) for key, value in place.items()}
            | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        )
        command = [sys.executable, str(tmp_path / "worker.py"), str(tmp_path / "config.json"), str(out), *more]
        started.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True))
    said = [process.communicate()[1] for process in started]
    for process, errors in zip(started, said, strict=True):
        assert process.returncode == 0, errors[-3000:]


def test_two_processes_train_as_one_that_accumulates(made_data, tmp_path):
    """Two processes of one window each and one process of two parts take the same samples in the same groups of D."""
    every = {"steps": 3, "batch": 2, "log_every": 1}
    loss = {"r1_every": 2}
    run(micro(made_data, train=every | {"accumulate": 2}, loss=loss), tmp_path / "one")
    start(2, micro(made_data, train=every, loss=loss), tmp_path / "two", tmp_path)
    a, b = ([line for line in read_log(tmp_path / name) if "total" in line] for name in ("one", "two"))
    assert [line["step"] for line in b] == [1, 2, 3]
    for ours, theirs in zip(a, b, strict=True):
        for name in ("total", "l1", "adversarial", "discriminator", *(["r1"] if "r1" in ours else [])):
            assert theirs[name] == pytest.approx(ours[name], rel=2e-3), name
    first, second = (open_checkpoint(tmp_path / name, GENERATOR).tensors() for name in ("one", "two"))
    for name, x in first.items():
        torch.testing.assert_close(second[name], x, rtol=1e-2, atol=2e-3)
