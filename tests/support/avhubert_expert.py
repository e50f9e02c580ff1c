"""The smallest AV-HuBERT-expert generator that has every part, and data made without a face finder."""

import numpy as np
import torch

from lipsync_eval.baselines.avhubert_expert.config import LIP_EXPERT, AVHubertExpertConfig, ExpertConfig
from lipsync_eval.baselines.avhubert_expert.data.alignment import ALIGNMENT
from lipsync_eval.baselines.avhubert_expert.network.lip_expert import LipExpert
from lipsync_eval.baselines.kit.training.checkpoints import save_checkpoint
from lipsync_eval.features.avhubert.roi import MEAN_FACE, STABLE
from support.radio import segment
from support.training import SYNC_TRAIN, smallest, write_prepared

SIZE = 24
MICRO = {
    "name": "micro",
    "model": {"size": SIZE, "width": 16},
    "expert": {"narrow": 16},
    "discriminator": {"width": 4},
    "loss": {"context_max": 40},
    "train": {
        "steps": 4,
        "batch": 2,
        "log_every": 1,
        "validate_every": 2,
        "save_every": 2,
        "validation_windows": 2,
        "grid_rows": 2,
    },
    "expert_train": SYNC_TRAIN,
    "data": {"holdout": "tail:0.3"},
}


def micro(folder=None, **sections):
    """The micro configuration, with data and overrides by section."""
    return smallest(AVHubertExpertConfig, MICRO, folder, sections)


def face(name, frames=30, size=SIZE):
    """An entry whose landmarks look like a face, so that the mouth can be placed."""
    made = segment(name, frames=frames, size=size)
    points = np.random.default_rng(0).normal(size / 2, 1, (frames, 68, 2))
    points[:, list(STABLE)] = MEAN_FACE * size / 256
    points[:, 48:] = np.array([0.5, 0.75]) * size + np.random.default_rng(1).normal(0, 0.5, (frames, 20, 2))
    made.landmarks = points.astype(np.float32)
    made.arrays = {}
    return made


def write(folder, segments, size=SIZE):
    """A prepared folder of one shard."""
    write_prepared(folder, segments, {"size": size, "align": ALIGNMENT.description})


def lip_expert(narrow=16, seed=0):
    """A seeded lip expert whose batch norms have seen something."""
    torch.manual_seed(seed)
    net = LipExpert(ExpertConfig(narrow=narrow))
    for _ in range(3):
        net(torch.rand(4, 5, 3, 96, 96) * 2 - 1, torch.rand(4, 1, 80, 16) * 8 - 4)
    return net.eval()


def expert_run(folder, seed=0):
    """A checkpoint of `train-expert` with seeded weights."""
    net = lip_expert(seed=seed)
    return save_checkpoint(folder, LIP_EXPERT, 1, micro(), net.state_dict(), {"x": torch.zeros(1)}, {})


def public_file(path, narrow=1, seed=0, prefix="module."):
    """A synthetic file in the format of Wav2Lip's lipsync_expert.pth."""
    state = {f"{prefix}{k}": v for k, v in lip_expert(narrow, seed).state_dict().items()}
    torch.save({"state_dict": state, "optimizer": {"state": {}}, "global_step": 7, "global_epoch": 1}, path)
    return path
