"""What a generator's package tells the trainer of its sync discriminator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lipsync_eval.baselines.kit.configuration.sections import Kind
from lipsync_eval.baselines.kit.sync.augmentation import Box
from lipsync_eval.baselines.kit.sync.network import SyncNetwork
from lipsync_eval.baselines.kit.sync.settings import SyncAugmentConfig, SyncTrainConfig


@dataclass(frozen=True)
class SyncRecipe:
    """How one sync discriminator is trained."""

    kind: Kind[Any]
    """Of its checkpoints."""
    network: Callable[[], SyncNetwork]
    """Makes a new one; called once, after the seed is set."""
    loss: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    """(B, B) cosines (row: frames, column: audio; the diagonal is in sync) and (B, B) bool, which pairs are off-sync ->
    loss and accuracy. All other pairs must not count. `pairs.pair_loss` is one."""
    probability: Callable[[Tensor], Tensor]
    """Cosine -> probability of being in sync; validation counts those above 0.5."""
    face: Box
    """left, top, right, bottom of the face in a crop, as shares of its side: the centre of augmentation."""
    train: SyncTrainConfig
    augment: SyncAugmentConfig
    workers: int = 0
    others: bool = False
    """Whether windows of other spans are off-sync examples too."""
    better: tuple[str, int] = ("accuracy", 1)
    """Validation number (`training.scores`) that decides which checkpoint is best, and +1 when more is better."""
