"""`stylesync train-sync`: S with a contrastive loss, and S frozen in the generator's loss (eq. 4)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.sync.recipe import SyncRecipe
from lipsync_eval.baselines.kit.sync.training import train_sync
from lipsync_eval.baselines.kit.training import losses
from lipsync_eval.baselines.kit.training.checkpoints import open_checkpoint
from lipsync_eval.baselines.kit.training.processes import Ranks
from lipsync_eval.baselines.stylesync.config import SYNC, StyleSyncConfig, SyncConfig
from lipsync_eval.baselines.stylesync.data.inputs import open_pool
from lipsync_eval.baselines.stylesync.network.sync import SyncNet
from lipsync_eval.errors import RefusedCheckpoint

FACE = (0.15, 0.25, 0.85, 1.0)
"""left, top, right, bottom of the face in an eyes-aligned crop: the centre of augmentation."""


def info_nce(cosines: Tensor, off: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Each window picks its audio among the off-sync ones of its row, each audio its window among those of its column.

    Args:
        cosines: (B, B), row: frames, column: audio; the diagonal is in sync.
        off: (B, B) bool, which pairs are off-sync; all others but the diagonal do not count.
        temperature: cosines are divided by it.

    Returns:
        loss (mean of both directions) and the share of windows that pick their own audio.
    """
    own = torch.arange(len(cosines), device=cosines.device)
    counted = off | torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
    logits = (cosines / temperature).masked_fill(~counted, -torch.inf)
    loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    return loss, (logits.argmax(1) == own).float().mean()


def margin_loss(cosines: Tensor, off: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Chung and Zisserman's: d^2 in sync, max(margin - d, 0)^2 off-sync; d is the distance of the unit vectors.

    Both kinds weigh the same, however many pairs there are.

    Returns:
        loss (in-sync pairs alone where a batch has no other) and the share of pairs on the right side of margin / 2.
    """
    distance = (2 - 2 * cosines).clamp_min(1e-8).sqrt()
    own, others = distance.diagonal(), distance[off]
    parts, right = [own.square().mean()], [(own < margin / 2).float().mean()]
    if others.numel():
        parts.append((margin - others).clamp_min(0).square().mean())
        right.append((others >= margin / 2).float().mean())
    return torch.stack(parts).mean(), torch.stack(right).mean()


def sync_recipe(config: StyleSyncConfig) -> SyncRecipe:
    """Own network, contrastive loss; windows of other clips and shifted ones of the same clip are off-sync."""
    s = config.sync
    return SyncRecipe(
        kind=SYNC,
        network=lambda: SyncNet(s),
        loss=partial(info_nce, temperature=s.temperature)
        if s.loss == "infonce"
        else partial(margin_loss, margin=s.margin),
        probability=partial(losses.sync_probability, how="rescale"),
        face=FACE,
        train=config.sync_train,
        augment=config.sync_augment,
        workers=config.data.workers,
        others=True,
        better=("ranked", 1),  # contrastive losses set no threshold
    )


def run_sync_training(config: StyleSyncConfig, out: Path, ranks: Ranks, *, resume: bool, say: Say) -> None:
    """Train S into the folder `out`; see `kit.training.loop.run_task`."""
    train_sync(sync_recipe(config), config, open_pool(config), out, ranks, resume=resume, say=say)


def load_sync(path: Path, expected: SyncConfig, align: str, device: torch.device) -> SyncNet:
    """The frozen S of a run of train-sync, in evaluation mode.

    Raises:
        RefusedCheckpoint: not a checkpoint of train-sync, damaged, of another shape, or of crops aligned otherwise.
    """
    held = open_checkpoint(path, SYNC)
    shape = ("narrow", "frames")
    wrong = [f"sync.{key}: {getattr(expected, key)} here, {getattr(held.config.sync, key)} there" for key in shape
             if getattr(expected, key) != getattr(held.config.sync, key)]  # fmt: skip
    if held.config.model.align != align:
        wrong.append(f"model.align: {align} here, {held.config.model.align} there")
    if wrong:
        raise RefusedCheckpoint(
            f"{held.folder} is another sync network than the configuration says: {'; '.join(wrong)}"
        )
    return held.restored(SyncNet(held.config.sync), device)
