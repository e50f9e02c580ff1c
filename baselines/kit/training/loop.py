"""The loop of every training: steps, log, validation, checkpoints, and stopping at a loss that is no number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from lipsync_eval.baselines.kit.configuration.sections import Kind, PaceConfig, RunConfig, changes, section_of
from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.training.checkpoints import (
    TRAINING,
    TrainingStopped,
    checkpoints,
    last_good,
    open_checkpoint,
    prune,
    save_checkpoint,
)
from lipsync_eval.baselines.kit.training.processes import Ranks
from lipsync_eval.baselines.kit.training.run_folder import Log, save_config, start_run
from lipsync_eval.errors import OutputError
from lipsync_eval.types import Frame


class Task(Protocol):
    """A network in training."""

    kind: Kind[Any]
    """Of its checkpoints."""
    better: tuple[str, int]
    """Validation number that decides which checkpoint is best, and +1 when more is better, else -1."""

    def seek(self, step: int) -> None:
        """Read on from the samples of this step."""
        ...

    def step(self, number: int) -> dict[str, float]:
        """Update once; the losses by name, 'total' among them.

        Raises:
            NotFinite: before anything was updated.
        """
        ...

    def validate(self) -> tuple[dict[str, float], Frame | None]:
        """Numbers on held-out frames, and a grid to look at."""
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """Tensors for use, tensors to go on, numbers to go on."""
        ...

    def load(self, model: Mapping[str, Tensor], training: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        ...


class NotFinite(ArithmeticError):
    """A loss is NaN or infinite."""


def check_finite(losses: Mapping[str, float]) -> None:
    """Refuse losses that are no numbers.

    Raises:
        NotFinite: naming them.
    """
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        raise NotFinite(", ".join(f"{name} = {losses[name]}" for name in bad))


def run_task(
    make: Callable[[], Task],
    out: Path,
    config: RunConfig,
    pace: PaceConfig,
    ranks: Ranks,
    *,
    resume: bool,
    say: Say,
    frames: int = 1,
) -> None:
    """Make or continue a run in the folder `out`, and train to `pace.steps`.

    Args:
        make: makes the task once the folder is known to be usable; it may say what it will do.
        out: the run's folder.
        config: recorded in checkpoints; on resume it must agree with theirs (see `check_resumable`).
        pace: how long, how often.
        ranks: this process among others; the first one writes.
        resume: go on from the newest checkpoint.
        say: progress, one line at a time.
        frames: frames in a window, for the speed that is reported.

    Raises:
        UsageError: no usable data, configuration or folder.
        TrainingStopped: a loss became NaN or infinite; the newest checkpoint is from before.
    """
    if ranks.first:
        start_run(out, config, resume=resume)
    ranks.barrier()
    task = make()
    begun, best = 0, None
    if resume:
        begun, best = _load_newest(task, out, config, say)
        if ranks.first:
            save_config(out, config)
    _Run(task, out, config, pace, ranks, say, frames).train(begun, best)


Best = tuple[float, int] | None
"""Validation number of the best checkpoint and its step."""


@dataclass
class _Run:
    task: Task
    folder: Path
    config: RunConfig
    pace: PaceConfig
    ranks: Ranks
    say: Say
    frames: int

    def train(self, begun: int, best: Best) -> None:
        """Steps `begun` to the last."""
        log = Log(self.folder) if self.ranks.first else None
        try:
            if not begun:
                best = self._validate_and_save(log, 0, best)
            self._steps(log, begun, best)
        finally:
            if log:
                log.close()

    def _steps(self, log: Log | None, begun: int, best: Best) -> None:
        pace = self.pace
        seen: dict[str, list[float]] = {}
        counted, since = 0, time.perf_counter()
        for number in range(begun, pace.steps):
            for name, value in self._step(number).items():
                seen.setdefault(name, []).append(value)
            counted += 1
            done = number + 1
            last = done == pace.steps
            if done % pace.log_every == 0 or last:
                seconds = time.perf_counter() - since
                numbers = {name: sum(values) / len(values) for name, values in seen.items()}
                numbers["frames_per_second"] = counted * pace.batch * self.frames / seconds
                if log:
                    log.write(done, numbers)
                self.say(f"step {done}/{pace.steps}  " + "  ".join(f"{k} {v:.4g}" for k, v in numbers.items()))
                seen, counted = {}, 0
            if done % pace.validate_every == 0 or done % pace.save_every == 0 or last:
                best = self._validate_and_save(log, done, best)
            if not counted:
                since = time.perf_counter()

    def _step(self, number: int) -> dict[str, float]:
        try:
            return self.task.step(number)
        except NotFinite as error:
            raise TrainingStopped(
                f"step {number + 1}: {error}. Training stops; {last_good(self.folder)}. log.jsonl shows which term grew "
                f"first; go on from there with --resume and lower learning rates{_rates(self.config)}, or start anew"
            ) from error

    def _validate_and_save(self, log: Log | None, done: int, best: Best) -> Best:
        task, pace = self.task, self.pace
        last = done == pace.steps
        numbers: dict[str, float] = {}
        if done % pace.validate_every == 0 or last:
            numbers, grid = task.validate()
            if log:
                log.write(done, {f"val_{name}": value for name, value in numbers.items()})
                if grid is not None:
                    log.grid(done, grid)
            self.say(f"validation at {done}  " + "  ".join(f"{k} {v:.4g}" for k, v in numbers.items()))
            name, sign = task.better
            if best is None or sign * numbers[name] > sign * best[0]:
                best = (numbers[name], done)
        if log and (done % pace.save_every == 0 or last or (best and best[1] == done)):
            model, training, scalars = task.state()
            scalars |= {"validation": numbers, "best": best}
            save_checkpoint(self.folder, task.kind, done, self.config, model, training, scalars)
            prune(self.folder, pace.keep, best[1] if best else None)
        self.ranks.barrier()
        return best


def _rates(config: RunConfig) -> str:
    """The settings that may be lowered on resume, in words."""
    keys = [f"{name}.{key}" for name in type(config).model_fields for key in sorted(_allowed(config, name, "RATES"))]
    return f" (--set {'=..., '.join(keys)}=...)" if keys else ""


def _allowed(config: RunConfig, section: str, which: str) -> frozenset[str]:
    allowed: frozenset[str] = getattr(section_of(config, section), which, frozenset())
    return allowed


def _load_newest(task: Task, run: Path, config: RunConfig, say: Say) -> tuple[int, Best]:
    found = checkpoints(run)
    if not found:
        raise OutputError(f"{run} holds no checkpoint to resume from; start anew in another folder")
    held = open_checkpoint(found[-1], task.kind)
    changed = check_resumable(held.config, config)
    task.seek(held.step)
    task.load(held.tensors(), held.tensors(TRAINING), held.numbers)
    say(f"resumed at step {held.step}" + (f" ({'; '.join(changed)})" if changed else ""))
    best = held.numbers.get("best")
    return held.step, (float(best[0]), int(best[1])) if best else None


def check_resumable(old: RunConfig, new: RunConfig) -> list[str]:
    """Only what does not change a loss, and the learning rates, may differ from the run that is continued.

    Returns:
        'train.lr: 0.005 before, 0.001 now' for every rate that differs.

    Raises:
        OutputError: naming every other difference.
    """
    wrong, rates = [], []
    for section, key, text in changes(old, new):
        if key in _allowed(new, section, "RATES"):
            rates.append(text)
        elif key not in _allowed(new, section, "HARMLESS"):
            wrong.append(text)
    if wrong:
        raise OutputError(
            "a run cannot be resumed with another configuration (" + "; ".join(wrong) + "); start a new one"
        )
    return rates
