"""`avhubert-expert train`: the generator against its discriminator, with the losses of eq. 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.avhubert_expert.config import GENERATOR, AVHubertExpertConfig, TrainConfig
from lipsync_eval.baselines.avhubert_expert.data.inputs import open_pool
from lipsync_eval.baselines.avhubert_expert.network.discriminator import SpectralDiscriminator
from lipsync_eval.baselines.avhubert_expert.network.generator import ExpertGenerator, mask_lower
from lipsync_eval.baselines.avhubert_expert.network.lip_expert import copy_audio_tower
from lipsync_eval.baselines.avhubert_expert.training.lip_expert import LICENCE, load_expert
from lipsync_eval.baselines.avhubert_expert.training.terms import objective
from lipsync_eval.baselines.kit.data.holdout import Pool
from lipsync_eval.baselines.kit.data.windows import Reader, Sample
from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.training import generator as kit
from lipsync_eval.baselines.kit.training.processes import Ranks, synchronised
from lipsync_eval.baselines.kit.training.recipe import Adversary
from lipsync_eval.baselines.kit.training.terms import Objective


class ExpertRecipe:
    """How the generator is trained (kit.training.recipe.Recipe)."""

    kind = GENERATOR
    readers: tuple[Reader, ...] = ()

    def __init__(self, config: AVHubertExpertConfig, pool: Pool | None = None) -> None:
        """`pool`: its held-out entries are also scored as a whole."""
        self.config, self.pool = config, pool
        self.train: TrainConfig = config.train
        self.workers = config.data.workers

    def generator(self) -> nn.Module:
        """A new generator that hears with the lip expert's audio tower."""
        model = ExpertGenerator(self.config)
        copy_audio_tower(load_expert(self.config.expert), model.audio)
        return synchronised(model)

    def adversary(self) -> Adversary | None:
        """The spectral-norm discriminator, which needs no R1."""
        if not self.config.loss.adversarial:
            return None
        return Adversary(SpectralDiscriminator(self.config.discriminator, self.config.model.size))

    def objective(self, device: torch.device) -> Objective:
        """Eq. 3."""
        return objective(self.config, device, self.generate, self.pool)

    def groups(self, generator: nn.Module) -> list[dict[str, Any]]:
        """All but the audio tower."""
        return [{"params": [p for p in generator.parameters() if p.requires_grad], "lr": self.train.lr}]

    def generate(self, generator: nn.Module, sample: Sample) -> Tensor:
        """All frames of all windows at once; from [-1, 1] to the network's [0, 1] and back."""
        target, identity = ((x.flatten(0, 1) + 1) / 2 for x in (sample.target, sample.reference))
        made: Tensor = generator(target, identity, sample.audio.flatten(0, 1))
        return made * 2 - 1

    def shown(self, target: Tensor) -> Tensor:
        """The target with its lower half black."""
        return mask_lower((target + 1) / 2) * 2 - 1


def run_training(config: AVHubertExpertConfig, out: Path, ranks: Ranks, *, resume: bool, say: Say) -> None:
    """Train the generator into the folder `out`; see `kit.training.loop.run_task`."""
    weights, pool = config.expert.weights, open_pool(config)
    if weights is not None and weights.is_file():
        say(LICENCE)
    spans = [*pool.train, *pool.held_out]
    longer = {(s.shard.file, s.number) for s in spans if s.entry.frames > config.loss.context_max}
    if longer and config.loss.sync_kind != "lip_expert" and config.loss.avhubert_weights:
        say(
            f"{len(longer)} entries are longer than {config.loss.context_max} frames: AV-HuBERT reads stretches of them"
        )
    kit.train_generator(ExpertRecipe(config, pool), config, pool, out, ranks, resume=resume, say=say)


def overfit_check(config: AVHubertExpertConfig, ranks: Ranks, steps: int, say: Say) -> tuple[float, float]:
    """See `kit.training.generator.overfit_check`."""
    return kit.overfit_check(ExpertRecipe(config), open_pool(config), ranks, steps, say)
