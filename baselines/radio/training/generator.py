"""`radio train`: the generator against its discriminator, with the losses of eq. 6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.data.windows import Reader, Sample
from lipsync_eval.baselines.kit.network.discriminator import Discriminator
from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.training import generator as kit
from lipsync_eval.baselines.kit.training.processes import Ranks
from lipsync_eval.baselines.kit.training.recipe import Adversary
from lipsync_eval.baselines.kit.training.terms import Objective
from lipsync_eval.baselines.radio.config import GENERATOR, RadioConfig, TrainConfig
from lipsync_eval.baselines.radio.data.inputs import open_pool
from lipsync_eval.baselines.radio.network.generator import Radio, mask_lower
from lipsync_eval.baselines.radio.network.resnet_se import ResNetSE
from lipsync_eval.baselines.radio.network.vit import ViTBlock
from lipsync_eval.baselines.radio.training.terms import objective


def generator_groups(model: nn.Module, lr: float, lr_plain: float) -> list[dict[str, Any]]:
    """Two groups: layers with equalised weights at `lr`; audio encoder and ViT blocks at `lr_plain`."""
    plain = {id(p) for m in model.modules() if isinstance(m, ResNetSE | ViTBlock) for p in m.parameters()}
    return [
        {"params": [p for p in model.parameters() if id(p) not in plain], "lr": lr},
        {"params": [p for p in model.parameters() if id(p) in plain], "lr": lr_plain},
    ]


class RadioRecipe:
    """How RADIO is trained (kit.training.recipe.Recipe)."""

    kind = GENERATOR
    readers: tuple[Reader, ...] = ()

    def __init__(self, config: RadioConfig) -> None:
        self.config = config
        self.train: TrainConfig = config.train
        self.workers = config.data.workers

    def generator(self) -> nn.Module:
        """RADIO of this configuration."""
        return Radio(self.config.model)

    def adversary(self) -> Adversary:
        """StyleGAN2's discriminator."""
        d, loss = self.config.discriminator, self.config.loss
        return Adversary(Discriminator(self.config.model.size, d.multiplier, d.channel_max), loss.r1, loss.r1_every)

    def objective(self, device: torch.device) -> Objective:
        """Eq. 6."""
        return objective(self.config, device)

    def groups(self, generator: nn.Module) -> list[dict[str, Any]]:
        """See `generator_groups`."""
        return generator_groups(generator, self.train.lr, self.train.lr_plain)

    def generate(self, generator: nn.Module, sample: Sample) -> Tensor:
        """All frames of all windows at once."""
        made: Tensor = generator(*(x.flatten(0, 1) for x in (sample.target, sample.reference, sample.audio)))
        return made

    def shown(self, target: Tensor) -> Tensor:
        """The target without its lower half."""
        return mask_lower(target)


def run_training(config: RadioConfig, out: Path, ranks: Ranks, *, resume: bool, say: Say) -> None:
    """Train RADIO into the folder `out`; see `kit.training.loop.run_task`."""
    kit.train_generator(RadioRecipe(config), config, open_pool(config), out, ranks, resume=resume, say=say)


def overfit_check(config: RadioConfig, ranks: Ranks, steps: int, say: Say) -> tuple[float, float]:
    """See `kit.training.generator.overfit_check`."""
    return kit.overfit_check(RadioRecipe(config), open_pool(config), ranks, steps, say)
