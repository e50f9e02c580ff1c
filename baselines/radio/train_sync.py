"""`radio train-sync`: the sync discriminator, in sync against shifted sound (eqs. 4 and 5)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.radio import losses
from lipsync_eval.baselines.radio.config import Config
from lipsync_eval.baselines.radio.dataset import Numbers, Windows, batches
from lipsync_eval.baselines.radio.loop import Pace, Say, check_finite, train
from lipsync_eval.baselines.radio.pairs import PairModel, off_sync, pair_loss
from lipsync_eval.baselines.radio.ranks import Ranks, bare
from lipsync_eval.baselines.radio.runs import flatten, open_checkpoint, start_run, unflatten
from lipsync_eval.baselines.radio.spans import Pool, Span, T, even_windows, shifted
from lipsync_eval.baselines.radio.sync import SyncDiscriminator
from lipsync_eval.baselines.radio.sync_data import SyncSample, SyncSet
from lipsync_eval.errors import UsageError
from lipsync_eval.types import Float, Frame

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
BATCH = 32
SHIFTS = 4
"""Shifted sounds per validation window."""


class SyncTask:
    """The sync discriminator in training, its running average, which is what is used, and its optimiser."""

    kind = "sync"
    better = ("accuracy", 1)

    def __init__(self, config: Config, ranks: Ranks, pool: Pool) -> None:
        s = config.sync_train
        if s.batch % (s.group * ranks.world):
            raise UsageError(
                f"sync_train.batch {s.batch} is no multiple of {ranks.world} processes x sync_train.group {s.group}"
            )
        torch.manual_seed(s.seed)
        self.config, self.ranks, self.pool = config, ranks, pool
        pairs = PairModel(config.sync, s.visual_gradient)
        self.average: SyncDiscriminator = copy.deepcopy(pairs.net).eval().requires_grad_(False).to(ranks.device)
        self.pairs = ranks.wrap(pairs)
        self.optimizer = torch.optim.AdamW(self.pairs.parameters(), s.lr, weight_decay=s.weight_decay)
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=s.precision == "fp16")
        self.windows = Windows(pool.folder, config.model.size)
        self.chosen = even_windows(pool.held_out, s.validation_windows)
        self.data = SyncSet(pool, config)
        self.seek(0)

    def seek(self, step: int) -> None:
        """Read on from the samples of this step."""
        s = self.config.sync_train
        numbers = Numbers(step * s.batch, s.batch // self.ranks.world, self.ranks.rank, self.ranks.world)
        self.batches: Iterator[Any] = batches(self.data, numbers, self.config.data.workers)

    def step(self, number: int) -> dict[str, float]:
        """One update."""
        s = self.config.sync_train
        batch = SyncSample(*(x.to(self.ranks.device, non_blocking=True) for x in next(self.batches)))
        self.pairs.train()
        self.optimizer.zero_grad(set_to_none=True)
        terms = self._terms(batch, number >= s.sync_from)
        self.scaler.scale(terms["total"]).backward()  # type: ignore[no-untyped-call]
        found = self.ranks.mean({name: value.item() for name, value in terms.items()})
        check_finite(found)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        blend(self.average, bare(self.pairs).net, min(s.ema, (1 + number) / (10 + number)))
        return found

    def _terms(self, batch: SyncSample, with_sound: bool) -> dict[str, Tensor]:
        """Losses and the accuracy on the batch; before `sync_from` those of the mouth's shape alone."""
        s = self.config.sync_train
        with self._autocast():
            cosines, shape = self.pairs(batch.frames, batch.mel if with_sound else None)
        shape_loss = F.mse_loss(shape, batch.shape)
        if not with_sound:
            return {"total": s.shape * shape_loss + cosines, "shape": shape_loss}
        p = losses.sync_probability(cosines, self.config.sync.probability)
        loss, accuracy = pair_loss(p, off_sync(batch.span, batch.start, s.min_shift))
        return {"total": loss + s.shape * shape_loss, "sync": loss, "shape": shape_loss, "train_accuracy": accuracy}

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], Frame | None]:
        """The average on held-out windows, each with its own sound and with SHIFTS sounds min_shift or more away."""
        s = self.config.sync_train
        rng = np.random.default_rng(s.seed)
        own: list[Float] = []
        other: list[Float] = []
        for at in range(0, len(self.chosen), BATCH):
            chosen = self.chosen[at : at + BATCH]
            away = [[shifted(span, first, s.min_shift, rng) for _ in range(SHIFTS)] for span, first in chosen]
            cosines = self._cosines(chosen, [[first, *more] for (_, first), more in zip(chosen, away, strict=True)])
            own.append(cosines[:, 0])
            other.append(cosines[:, 1:])
        return scores(np.concatenate(own), np.concatenate(other), self.config), None

    def _cosines(self, chosen: list[tuple[Span, int]], sounds: list[list[int]]) -> Float:
        """(n, k) cosines of n windows with the sounds of k windows of their own spans."""
        device, net = self.ranks.device, self.average
        frames = torch.stack([self.windows.pictures(span, range(first, first + T)) for span, first in chosen])
        heard = [self.windows.mel(c[0], i + T // 2) for c, row in zip(chosen, sounds, strict=True) for i in row]
        codes = net.audio(torch.stack(heard).to(device)).float().unflatten(0, (len(chosen), -1))
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
        self.optimizer.load_state_dict(unflatten("adam", training, numbers["adam"]))
        if numbers["scaler"]:
            self.scaler.load_state_dict(numbers["scaler"])

    def _autocast(self) -> torch.autocast:
        precision = self.config.sync_train.precision
        return torch.autocast(self.ranks.device.type, DTYPES[precision], enabled=precision != "fp32")


@torch.no_grad()
def blend(average: nn.Module, model: nn.Module, decay: float) -> None:
    """average = decay * average + (1 - decay) * model, weights and the statistics of batch norm alike."""
    for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


def scores(own: Float, other: Float, config: Config) -> dict[str, float]:
    """Numbers from cosines of windows with their own and with shifted sounds.

    Args:
        own: (n,).
        other: (n, k), k shifted sounds for each window.
        config: how cosines become probabilities.

    Returns:
        accuracy at probability 0.5, both kinds weighing the same; `ranked`: share of the pairs of own and shifted sound
        in which the own has the higher cosine; mean cosines; loss; number of windows.
    """
    how = config.sync.probability
    p, q = (losses.sync_probability(torch.from_numpy(x), how) for x in (own, other))
    in_sync, off = losses.sync(p, torch.ones_like(p)), losses.sync(q, torch.zeros_like(q))
    return {
        "accuracy": ((p > 0.5).double().mean().item() + (q <= 0.5).double().mean().item()) / 2,
        "ranked": float((own[:, None] > other).mean()),
        "cosine_in_sync": float(own.mean()),
        "cosine_shifted": float(other.mean()),
        "loss": (in_sync.item() + off.item()) / 2,
        "windows": float(len(own)),
    }


def run_sync_training(config: Config, out: Path, ranks: Ranks, *, resume: bool, say: Say) -> None:
    """Train a sync discriminator into the folder `out`.

    Raises:
        UsageError: no usable data, configuration or folder.
        TrainingStopped: a loss became NaN; the last good checkpoint is kept.
    """
    pool = Pool(config)
    if ranks.first:
        start_run(out, config, resume=resume)
    ranks.barrier()
    task = SyncTask(config, ranks, pool)
    say(str(pool))
    if resume:
        task.seek(open_checkpoint(out, "sync").step)
    s = config.sync_train
    pace = Pace(s.steps, s.batch * T, s.log_every, s.validate_every, s.save_every, s.keep)
    train(task, out, config, pace, ranks, resume=resume, say=say)
