"""`stylesync train`: G (or Wav2Lip-H) against StyleGAN2's discriminator, with the losses of eq. 5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.data.holdout import Pool
from lipsync_eval.baselines.kit.data.windows import Reader, Sample
from lipsync_eval.baselines.kit.network.discriminator import Discriminator
from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.training import generator as kit
from lipsync_eval.baselines.kit.training.processes import Ranks
from lipsync_eval.baselines.kit.training.recipe import Adversary
from lipsync_eval.baselines.kit.training.terms import Objective
from lipsync_eval.baselines.stylesync.config import GENERATOR, StyleSyncConfig, TrainConfig
from lipsync_eval.baselines.stylesync.data.inputs import open_pool
from lipsync_eval.baselines.stylesync.data.mask import mask_of
from lipsync_eval.baselines.stylesync.network.build import Model, build
from lipsync_eval.baselines.stylesync.network.generator import hide
from lipsync_eval.baselines.stylesync.network.pretrained import load_discriminator
from lipsync_eval.baselines.stylesync.network.synthesis import InjectedConv
from lipsync_eval.baselines.stylesync.training.terms import objective


def generator_groups(model: Model, train: TrainConfig) -> list[dict[str, Any]]:
    """Layers with equalised weights at `lr`; plain convolutions and norms (the audio tower, all of Wav2Lip-H) at `lr_plain`;
    the numbers that scale the encoder's maps at `lr_injection`."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.GroupNorm, nn.BatchNorm2d)
    plain = {id(p) for m in model.modules() if isinstance(m, kinds) for p in m.parameters()}
    scales = {id(m.weight) for m in model.modules() if isinstance(m, InjectedConv)}
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in plain | scales], "lr": train.lr},
        {"params": [p for p in model.parameters() if id(p) in plain], "lr": train.lr_plain},
        {"params": [p for p in model.parameters() if id(p) in scales], "lr": train.lr_injection},
    ]
    return [group for group in groups if group["params"]]


def discriminator(config: StyleSyncConfig) -> Discriminator:
    """StyleGAN2's discriminator of a configuration, pre-trained where it names a file."""
    d = config.discriminator
    net = Discriminator(config.model.size, d.multiplier, d.channel_max)
    if config.loss.d_weights is not None:
        load_discriminator(net, config.loss.d_weights)
    return net


class StyleSyncRecipe:
    """How G is trained (kit.training.recipe.Recipe)."""

    kind = GENERATOR
    readers: tuple[Reader, ...] = ()

    def __init__(self, config: StyleSyncConfig, pool: Pool) -> None:
        self.config, self.mask = config, mask_of(pool)
        self.train: TrainConfig = config.train
        self.workers = config.data.workers

    def generator(self) -> Model:
        """The network of this configuration, with the mask of its data."""
        return build(self.config.model, self.mask)

    def adversary(self) -> Adversary | None:
        """StyleGAN2's discriminator; None where there is no adversarial term."""
        loss = self.config.loss
        return Adversary(discriminator(self.config), loss.r1, loss.r1_every) if loss.adversarial else None

    def objective(self, device: torch.device) -> Objective:
        """Eq. 5."""
        return objective(self.config, device, parts=self.train.accumulate)

    def groups(self, generator: nn.Module) -> list[dict[str, Any]]:
        """See `generator_groups`."""
        return generator_groups(generator, self.train)  # type: ignore[arg-type]

    def generate(self, generator: nn.Module, sample: Sample) -> Tensor:
        """All frames of all windows at once."""
        made: Tensor = generator(*(x.flatten(0, 1) for x in (sample.target, sample.reference, sample.audio)))
        return made

    def shown(self, target: Tensor) -> Tensor:
        """The target without what the mask hides."""
        return shown(target, self.mask, self.config)


def shown(target: Tensor, mask: Tensor, config: StyleSyncConfig) -> Tensor:
    """(..., size, size) in [-1, 1] -> the same, hidden parts black (unit range) or grey (signed)."""
    mask = mask.to(target.device)
    return hide(target + 1, mask) - 1 if config.model.range == "unit" else hide(target, mask)


def run_training(config: StyleSyncConfig, out: Path, ranks: Ranks, *, resume: bool, say: Say) -> None:
    """Train into the folder `out`; see `kit.training.loop.run_task`."""
    pool = open_pool(config)
    kit.train_generator(StyleSyncRecipe(config, pool), config, pool, out, ranks, resume=resume, say=say)


def overfit_check(config: StyleSyncConfig, ranks: Ranks, steps: int, say: Say) -> tuple[float, float]:
    """See `kit.training.generator.overfit_check`."""
    pool = open_pool(config)
    return kit.overfit_check(StyleSyncRecipe(config, pool), pool, ranks, steps, say)
