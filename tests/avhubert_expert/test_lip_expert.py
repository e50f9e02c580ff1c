"""The lip expert: its training, the public file, and what is refused."""

import numpy as np
import pytest
import torch
from support.avhubert_expert import lip_expert, micro, public_file
from support.training import ALONE

from lipsync_eval.baselines.avhubert_expert.config import LIP_EXPERT, ExpertConfig
from lipsync_eval.baselines.avhubert_expert.data.inputs import open_pool
from lipsync_eval.baselines.avhubert_expert.training.lip_expert import load_expert, recipe, run_expert_training
from lipsync_eval.baselines.kit.sync.training import SyncTask
from lipsync_eval.baselines.kit.training.checkpoints import open_checkpoint
from lipsync_eval.baselines.kit.training.run_folder import read_log
from lipsync_eval.errors import MissingWeights, RefusedCheckpoint


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_the_public_format_is_read(prefix, tmp_path):
    net = load_expert(ExpertConfig(narrow=16, weights=public_file(tmp_path / "e.pth", 16, prefix=prefix)))
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    wanted = lip_expert(16).state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in net.state_dict().items())
    keys = set(net.state_dict())
    assert {"face_encoder.0.conv_block.0.weight", "audio_encoder.12.conv_block.1.running_var"} <= keys
    assert {k.split(".")[1] for k in keys if k.startswith("face_encoder")} == {str(n) for n in range(17)}


def test_other_files_are_refused(tmp_path):
    path = public_file(tmp_path / "e.pth", 16)
    with pytest.raises(RefusedCheckpoint, match=r"narrow = 1"):
        load_expert(ExpertConfig(weights=path))
    torch.save({"weights": {}}, tmp_path / "other.pth")
    with pytest.raises(RefusedCheckpoint, match="'state_dict'"):
        load_expert(ExpertConfig(weights=tmp_path / "other.pth"))
    torch.save({"state_dict": {"module.conv.weight": torch.zeros(3)}}, tmp_path / "another.pth")
    with pytest.raises(RefusedCheckpoint):
        load_expert(ExpertConfig(weights=tmp_path / "another.pth"))
    with pytest.raises(MissingWeights, match="no lip expert at"):
        load_expert(ExpertConfig(weights=tmp_path / "none.pth"))
    with pytest.raises(RefusedCheckpoint, match="no checkpoint"):
        load_expert(ExpertConfig(weights=tmp_path))


def test_it_trains_and_is_used(data, tmp_path):
    said = []
    run_expert_training(micro(data), tmp_path / "run", ALONE, resume=False, say=said.append)
    held = open_checkpoint(tmp_path / "run", LIP_EXPERT)
    assert held.step == 4 and any("accuracy" in line for line in said)
    assert load_expert(ExpertConfig(narrow=16, weights=tmp_path / "run")).width == 32


def test_it_learns_a_batch_by_heart(data):
    config = micro(data, expert={"narrow": 8}, expert_train={"lr": 1e-3, "batch": 4})
    task = SyncTask(recipe(config), ALONE, open_pool(config))
    batch = next(task.batches)
    task.batches = iter([batch] * 40)
    values = [task.step(number)["sync"] for number in range(40)]
    assert np.isfinite(values).all() and values[-1] < values[0] / 2


def test_a_resumed_run_has_the_same_losses(data, tmp_path):
    every = {"steps": 4, "log_every": 1}
    for out, steps, resume in (("whole", 4, False), ("halves", 2, False), ("halves", 4, True)):
        config = micro(data, expert_train=every | {"steps": steps})
        run_expert_training(config, tmp_path / out, ALONE, resume=resume, say=lambda text: None)
    a, b = ([(x["step"], x["total"]) for x in read_log(tmp_path / n) if "total" in x] for n in ("whole", "halves"))
    assert a == b and len(a) == 4
