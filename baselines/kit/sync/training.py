"""A sync discriminator in training: windows in sync against windows with shifted audio."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lipsync_eval.baselines.kit.configuration.sections import RunConfig
from lipsync_eval.baselines.kit.data.holdout import Pool, Span, even_windows, shifted
from lipsync_eval.baselines.kit.data.windows import Numbers, Windows, batches
from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.sync.network import SyncNetwork
from lipsync_eval.baselines.kit.sync.pairs import PairModel, off_sync
from lipsync_eval.baselines.kit.sync.recipe import SyncRecipe
from lipsync_eval.baselines.kit.sync.samples import SyncSample, SyncSet
from lipsync_eval.baselines.kit.training import losses
from lipsync_eval.baselines.kit.training.averaging import autocast, blend, decay_at
from lipsync_eval.baselines.kit.training.checkpoints import flatten, load_optimizer
from lipsync_eval.baselines.kit.training.loop import check_finite, run_task
from lipsync_eval.baselines.kit.training.processes import Ranks, bare
from lipsync_eval.errors import UsageError
from lipsync_eval.types import Float, Frame

BATCH = 32
SHIFTS = 4
"""Shifted audio per validation window."""


class SyncTask:
    """The sync discriminator in training, its running average, which is what is used, and its optimiser."""

    def __init__(self, recipe: SyncRecipe, ranks: Ranks, pool: Pool) -> None:
        s = recipe.train
        if s.batch % (s.group * ranks.world):
            raise UsageError(
                f"sync_train.batch {s.batch} is no multiple of {ranks.world} processes x sync_train.group {s.group}"
            )
        torch.manual_seed(s.seed)
        self.kind, self.recipe, self.train, self.ranks = recipe.kind, recipe, s, ranks
        self.better = recipe.better
        pairs = PairModel(recipe.network(), pool.model.window, s.visual_gradient)
        self.average: SyncNetwork = copy.deepcopy(pairs.net).eval().requires_grad_(False).to(ranks.device)
        self.pairs = ranks.wrap(pairs)
        self.optimizer = torch.optim.AdamW(self.pairs.parameters(), s.lr, weight_decay=s.weight_decay)
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=s.precision == "fp16")
        self.windows = Windows(pool)
        self.chosen = even_windows(pool.held_out, s.validation_windows)
        self.data = SyncSet(pool, s, recipe.augment, recipe.face)
        self.seek(0)

    def seek(self, step: int) -> None:
        """Read on from the samples of this step."""
        batch, world = self.train.batch, self.ranks.world
        numbers = Numbers(step * batch, batch // world, self.ranks.rank, world)
        self.batches: Iterator[Any] = batches(self.data, numbers, self.recipe.workers)

    def step(self, number: int) -> dict[str, float]:
        """One update."""
        s = self.train
        batch = SyncSample(*(x.to(self.ranks.device, non_blocking=True) for x in next(self.batches)))
        self.pairs.train()
        self.optimizer.zero_grad(set_to_none=True)
        terms = self._terms(batch, number >= s.sync_from)
        torch.autograd.backward(self.scaler.scale(terms["total"]))
        found = self.ranks.mean({name: value.item() for name, value in terms.items()})
        check_finite(found)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        blend(self.average, bare(self.pairs).net, decay_at(number, s.ema))
        return found

    def _terms(self, batch: SyncSample, with_audio: bool) -> dict[str, Tensor]:
        """Losses and the accuracy on the batch; before `sync_from` those of the mouth's shape alone."""
        s = self.train
        with autocast(self.ranks.device, s.precision):
            cosines, shape = self.pairs(batch.frames, batch.audio if with_audio else None)
        shape_loss = F.mse_loss(shape, batch.shape)
        if not with_audio:
            return {"total": s.shape * shape_loss + cosines, "shape": shape_loss}
        loss, accuracy = self.recipe.loss(cosines, off_sync(batch.span, batch.start, s.min_shift, self.recipe.others))
        return {"total": loss + s.shape * shape_loss, "sync": loss, "shape": shape_loss, "train_accuracy": accuracy}

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], Frame | None]:
        """The average on held-out windows, each with its own audio and with that of SHIFTS windows min_shift or more away."""
        s = self.train
        rng = np.random.default_rng(s.seed)
        own: list[Float] = []
        other: list[Float] = []
        for at in range(0, len(self.chosen), BATCH):
            chosen = self.chosen[at : at + BATCH]
            away = [[shifted(span, first, s.min_shift, rng) for _ in range(SHIFTS)] for span, first in chosen]
            cosines = self._cosines(chosen, [[first, *more] for (_, first), more in zip(chosen, away, strict=True)])
            own.append(cosines[:, 0])
            other.append(cosines[:, 1:])
        return scores(np.concatenate(own), np.concatenate(other), self.recipe.probability), None

    def _cosines(self, chosen: list[tuple[Span, int]], windows: list[list[int]]) -> Float:
        """(n, k) cosines of n windows with the audio of k windows of their own spans."""
        device, net = self.ranks.device, self.average
        frames = torch.stack([self.windows.tensor(span, range(first, first + span.window)) for span, first in chosen])
        at = self.windows.model.sync_frame
        heard = [self.windows.audio(c[0], i + at) for c, row in zip(chosen, windows, strict=True) for i in row]
        codes = net.hear(torch.stack(heard).to(device)).float()
        codes = codes.reshape(len(chosen), -1, codes.shape[1])
        cosines = F.cosine_similarity(net.see(frames.to(device)).float()[:, None], codes, dim=2)
        return np.asarray(cosines.cpu().numpy(), np.float64)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """The average for use; the network in training and its optimiser to go on."""
        flat, rest = flatten("adam", self.optimizer.state_dict())
        flat |= {f"pairs.{name}": x for name, x in bare(self.pairs).state_dict().items()}
        return dict(self.average.state_dict()), flat, {"adam": rest, "scaler": self.scaler.state_dict()}

    def load(self, model: Mapping[str, Tensor], training: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        from lipsync_eval.weights import fit

        fit(self.average, dict(model), source="the checkpoint")
        held = {name.removeprefix("pairs."): x for name, x in training.items() if name.startswith("pairs.")}
        fit(bare(self.pairs), held, source="the checkpoint")
        load_optimizer(self.optimizer, "adam", training, numbers["adam"])
        if numbers["scaler"]:
            self.scaler.load_state_dict(numbers["scaler"])


def scores(own: Float, other: Float, probability: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """Numbers from cosines of windows with their own and with shifted audio.

    Args:
        own: (n,).
        other: (n, k), k shifted ones for each window.
        probability: of being in sync, from cosines.

    Returns:
        accuracy at probability 0.5, both kinds weighing the same; `ranked`: share of the pairs of own and shifted audio
        in which the own has the higher cosine; mean cosines; loss; number of windows.
    """
    p, q = (probability(torch.from_numpy(x)) for x in (own, other))
    in_sync, off = losses.sync(p, torch.ones_like(p)), losses.sync(q, torch.zeros_like(q))
    return {
        "accuracy": ((p > 0.5).double().mean().item() + (q <= 0.5).double().mean().item()) / 2,
        "ranked": float((own[:, None] > other).mean()),
        "cosine_in_sync": float(own.mean()),
        "cosine_shifted": float(other.mean()),
        "loss": (in_sync.item() + off.item()) / 2,
        "windows": float(len(own)),
    }


def train_sync(
    recipe: SyncRecipe, config: RunConfig, pool: Pool, out: Path, ranks: Ranks, *, resume: bool, say: Say
) -> None:
    """Train a sync discriminator into the folder `out`; see `run_task`."""

    def make() -> SyncTask:
        """The task, once the run's folder is known to be usable."""
        task = SyncTask(recipe, ranks, pool)
        say(str(pool))
        return task

    window = pool.model.window
    run_task(make, out, config, recipe.train, ranks, resume=resume, say=say, frames=window)
