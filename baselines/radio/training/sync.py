"""`radio train-sync`: RADIO's sync discriminator (eqs. 4 and 5), and its use in the generator's loss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.sync.pairs import pair_loss
from lipsync_eval.baselines.kit.sync.recipe import SyncRecipe
from lipsync_eval.baselines.kit.sync.training import train_sync
from lipsync_eval.baselines.kit.training import losses
from lipsync_eval.baselines.kit.training.checkpoints import MODEL, open_checkpoint
from lipsync_eval.baselines.kit.training.processes import Ranks
from lipsync_eval.baselines.radio.config import SYNC, RadioConfig
from lipsync_eval.baselines.radio.data.inputs import open_pool
from lipsync_eval.baselines.radio.network.sync_discriminator import SyncDiscriminator
from lipsync_eval.errors import RefusedCheckpoint


def sync_recipe(config: RadioConfig) -> SyncRecipe:
    """Supplement A."""
    probability = partial(losses.sync_probability, how=config.sync.probability)

    def loss(cosines: Tensor, off: Tensor) -> tuple[Tensor, Tensor]:
        """(B, B) cosines and which pairs are off-sync -> loss and accuracy."""
        return pair_loss(probability(cosines), off)

    return SyncRecipe(
        kind=SYNC,
        network=lambda: SyncDiscriminator(config.sync),
        loss=loss,
        probability=probability,
        face=config.sync.box,
        train=config.sync_train,
        augment=config.sync_augment,
        workers=config.data.workers,
    )


def run_sync_training(config: RadioConfig, out: Path, ranks: Ranks, *, resume: bool, say: Say) -> None:
    """Train a sync discriminator into the folder `out`; see `kit.training.loop.run_task`."""
    train_sync(sync_recipe(config), config, open_pool(config), out, ranks, resume=resume, say=say)


@dataclass(frozen=True)
class LoadedSync:
    """A frozen sync discriminator in evaluation mode."""

    network: SyncDiscriminator
    config: RadioConfig
    """Of the run that made it."""
    digest: str
    """sha256 of its tensors' file."""
    folder: Path

    @property
    def size(self) -> int:
        """px of the crops that it was trained on."""
        return self.config.model.size


def open_sync(path: Path, device: torch.device) -> LoadedSync:
    """The sync discriminator of a run or checkpoint of train-sync.

    Raises:
        RefusedCheckpoint: not a checkpoint of train-sync, or damaged.
    """
    held = open_checkpoint(path, SYNC)
    net = held.restored(SyncDiscriminator(held.config.sync), device)
    return LoadedSync(net, held.config, held.hashes[MODEL], held.folder)


def load_sync(config: RadioConfig, device: torch.device) -> SyncDiscriminator:
    """The frozen sync discriminator that `loss.sync_checkpoint` names, in evaluation mode.

    Raises:
        RefusedCheckpoint: not a checkpoint of train-sync, damaged, or of another shape than `sync` says.
    """
    path = config.loss.sync_checkpoint
    if path is None:
        raise RefusedCheckpoint("no sync discriminator named; set loss.sync_checkpoint")
    loaded = open_sync(path, device)
    if loaded.config.sync != config.sync:
        raise RefusedCheckpoint(
            f"{loaded.folder} was trained with sync = {loaded.config.sync}, the configuration says {config.sync}"
        )
    return loaded.network
