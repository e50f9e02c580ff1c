"""`radio train-sync`: the sync discriminator, in sync against shifted sound (eqs. 4 and 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipsync_eval.baselines.radio import losses
from lipsync_eval.baselines.radio.config import Config
from lipsync_eval.baselines.radio.dataset import Numbers, SyncSet, Windows, batches
from lipsync_eval.baselines.radio.loop import Pace, Say, check_finite, train
from lipsync_eval.baselines.radio.ranks import Ranks, bare
from lipsync_eval.baselines.radio.runs import flatten, open_checkpoint, start_run, unflatten
from lipsync_eval.baselines.radio.spans import Pool, T, even_windows, shifted
from lipsync_eval.baselines.radio.sync import SyncDiscriminator
from lipsync_eval.errors import UsageError
from lipsync_eval.types import Frame

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
BATCH = 32


class SyncTask:
    """The sync discriminator and its optimiser."""

    kind = "sync"
    better = ("accuracy", 1)

    def __init__(self, config: Config, ranks: Ranks, pool: Pool) -> None:
        s = config.sync_train
        if s.batch % (2 * ranks.world):
            raise UsageError(
                f"sync_train.batch {s.batch} is no multiple of 2 x {ranks.world} processes (half of it is in sync)"
            )
        torch.manual_seed(s.seed)
        self.config, self.ranks, self.pool = config, ranks, pool
        self.net = ranks.wrap(SyncDiscriminator(config.sync))
        self.optimizer = torch.optim.Adam(self.net.parameters(), s.lr)
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=s.precision == "fp16")
        self.windows = Windows(pool.folder, config.model.size)
        self.chosen = even_windows(pool.held_out, s.validation_windows)
        self.seek(0)

    def seek(self, step: int) -> None:
        """Read on from the samples of this step."""
        s = self.config.sync_train
        data = SyncSet(self.pool, self.config.model.size, s.seed, s.min_shift)
        numbers = Numbers(step * s.batch, s.batch // self.ranks.world, self.ranks.rank, self.ranks.world)
        self.batches: Iterator[Any] = batches(data, numbers, self.config.data.workers)

    def step(self, number: int) -> dict[str, float]:
        """One update."""
        frames, mel, in_sync = (x.to(self.ranks.device, non_blocking=True) for x in next(self.batches))
        self.net.train()
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            cosine = self.net(frames, mel)
        p = losses.sync_probability(cosine, self.config.sync.probability)
        loss = losses.sync(p, in_sync)
        accuracy = ((p > 0.5) == (in_sync > 0.5)).float().mean()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        found = self.ranks.mean({"total": loss.item(), "train_accuracy": accuracy.item()})
        check_finite(found)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return found

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], Frame | None]:
        """On held-out windows, each once in sync and once with the sound of a window min_shift or more away.

        Returns:
            accuracy at probability 0.5 over both, `ranked` (share of windows whose own sound has the higher cosine),
            mean cosines and the loss; `windows` is their number.
        """
        net = bare(self.net).eval()
        own: list[float] = []
        other: list[float] = []
        rng = np.random.default_rng(self.config.sync_train.seed)
        for start in range(0, len(self.chosen), BATCH):
            chosen = self.chosen[start : start + BATCH]
            frames = torch.stack([self.windows.pictures(span, range(first, first + T)) for span, first in chosen])
            true = [self.windows.mel(span, first + T // 2) for span, first in chosen]
            away = [
                self.windows.mel(s, shifted(s, first, self.config.sync_train.min_shift, rng) + T // 2)
                for s, first in chosen
            ]
            frames = frames.to(self.ranks.device)
            own += net(frames, torch.stack(true).to(self.ranks.device)).tolist()
            other += net(frames, torch.stack(away).to(self.ranks.device)).tolist()
        return scores(np.array(own), np.array(other), self.config), None

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """The network, and its optimiser."""
        flat, rest = flatten("adam", self.optimizer.state_dict())
        return dict(bare(self.net).state_dict()), flat, {"adam": rest, "scaler": self.scaler.state_dict()}

    def load(self, model: Mapping[str, Tensor], training: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        from lipsync_eval.weights import fit

        fit(bare(self.net), dict(model), source="the checkpoint")
        self.optimizer.load_state_dict(unflatten("adam", training, numbers["adam"]))
        if numbers["scaler"]:
            self.scaler.load_state_dict(numbers["scaler"])

    def _autocast(self) -> torch.autocast:
        precision = self.config.sync_train.precision
        return torch.autocast(self.ranks.device.type, DTYPES[precision], enabled=precision != "fp32")


def scores(
    own: np.ndarray[Any, np.dtype[np.float64]], other: np.ndarray[Any, np.dtype[np.float64]], config: Config
) -> dict[str, float]:
    """Numbers from cosines of windows with their own and with shifted sound, both (n,)."""
    how = config.sync.probability
    p, q = (losses.sync_probability(torch.from_numpy(x), how) for x in (own, other))
    right = int((p > 0.5).sum()) + int((q <= 0.5).sum())
    both, truth = torch.cat([p, q]), torch.cat([torch.ones_like(p), torch.zeros_like(q)])
    return {
        "accuracy": right / (2 * len(own)),
        "ranked": float((own > other).mean()),
        "cosine_in_sync": float(own.mean()),
        "cosine_shifted": float(other.mean()),
        "loss": losses.sync(both, truth).item(),
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
