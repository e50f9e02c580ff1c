"""`avhubert-expert train-expert`, and the lip expert's use: a run of ours, or the public file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lipsync_eval.baselines.avhubert_expert.config import LIP_EXPERT, AVHubertExpertConfig, ExpertConfig
from lipsync_eval.baselines.avhubert_expert.data.inputs import open_pool
from lipsync_eval.baselines.avhubert_expert.network.lip_expert import LipExpert
from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.sync.pairs import pair_loss
from lipsync_eval.baselines.kit.sync.recipe import SyncRecipe
from lipsync_eval.baselines.kit.sync.training import train_sync
from lipsync_eval.baselines.kit.training import losses
from lipsync_eval.baselines.kit.training.checkpoints import open_checkpoint
from lipsync_eval.baselines.kit.training.processes import Ranks
from lipsync_eval.errors import MissingWeights, RefusedCheckpoint

LICENCE = (
    "Wav2Lip's weights are for personal, research and non-commercial use only (its README); "
    "what is trained with them, and a checkpoint that holds their audio tower, has the same limits"
)
probability = partial(losses.sync_probability, how="clamp")
"""Cosine in [0, 1] -> the probability that binary cross entropy needs."""


def recipe(config: AVHubertExpertConfig) -> SyncRecipe:
    """Wav2Lip's: binary cross entropy of the cosine, in sync and off-sync half and half, all from the same clip."""

    def loss(cosines: Tensor, off: Tensor) -> tuple[Tensor, Tensor]:
        """(B, B) cosines and which pairs are off-sync -> loss and accuracy."""
        return pair_loss(probability(cosines), off)

    return SyncRecipe(
        kind=LIP_EXPERT,
        network=lambda: LipExpert(config.expert),
        loss=loss,
        probability=probability,
        face=(0.0, 0.0, 1.0, 1.0),
        train=config.expert_train,
        augment=config.expert_augment,
        workers=config.data.workers,
    )


def run_expert_training(config: AVHubertExpertConfig, out: Path, ranks: Ranks, *, resume: bool, say: Say) -> None:
    """Train a lip expert into the folder `out`; see `kit.training.loop.run_task`."""
    train_sync(recipe(config), config, open_pool(config), out, ranks, resume=resume, say=say)


def load_expert(config: ExpertConfig) -> LipExpert:
    """The frozen lip expert that `expert.weights` names, in evaluation mode, on the CPU.

    Raises:
        MissingWeights: nothing is named, or there is no such file.
        RefusedCheckpoint: it is no lip expert, damaged, or of another width than `expert.narrow` says.
    """
    path = config.weights
    if path is None:
        raise MissingWeights(
            "no lip expert named, whose audio tower the generator hears with: set expert.weights to a run of "
            "`lipsync-eval avhubert-expert train-expert` (--set expert.weights=RUN) or to Wav2Lip's lipsync_expert.pth"
        )
    if path.is_dir():
        held = open_checkpoint(path, LIP_EXPERT)
        tensors, source = held.tensors(), str(held.folder)
    else:
        tensors, source = public_tensors(path), path.name
    return from_tensors(tensors, config, source)


def from_tensors(tensors: Mapping[str, Tensor], config: ExpertConfig, source: str) -> LipExpert:
    """A frozen lip expert.

    Raises:
        RefusedCheckpoint: tensors are missing, too many, or of other shapes.
    """
    from lipsync_eval.weights import fit

    net = LipExpert(config)
    try:
        fit(net, dict(tensors), source=source)
    except RefusedCheckpoint as error:
        raise RefusedCheckpoint(
            f"{error}. Expected a lip expert with widths divided by expert.narrow = {config.narrow}; "
            "the public file has expert.narrow = 1"
        ) from error
    return net.eval().requires_grad_(False)


def public_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a file in the public format: a dictionary with `state_dict`, whose keys may begin with `module.`.

    Raises:
        MissingWeights: there is no such file.
        RefusedCheckpoint: it holds something else.
    """
    from lipsync_eval.weights import load_checkpoint

    if not path.is_file():
        raise MissingWeights(
            f"there is no lip expert at {path}; give a file, or a run of `avhubert-expert train-expert`"
        )
    held: Any = load_checkpoint(path)
    inner = held.get("state_dict") if isinstance(held, Mapping) else None
    if not isinstance(inner, Mapping):
        raise RefusedCheckpoint(
            f"{path.name}: expected a dictionary with 'state_dict', as Wav2Lip's lipsync_expert.pth has it"
        )
    return {str(k).removeprefix("module."): v for k, v in inner.items() if isinstance(v, torch.Tensor)}
