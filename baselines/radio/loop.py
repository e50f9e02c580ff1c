"""The loop that both trainings share: steps, log, validation, checkpoints, and stopping at a loss that is no number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from lipsync_eval.baselines.radio.config import Config
from lipsync_eval.baselines.radio.ranks import Ranks
from lipsync_eval.baselines.radio.runs import (
    Log,
    TrainingStopped,
    checkpoints,
    last_good,
    open_checkpoint,
    prune,
    save_checkpoint,
    save_config,
)
from lipsync_eval.errors import OutputError
from lipsync_eval.types import Frame

Say = Callable[[str], None]


class Task(Protocol):
    """A network in training."""

    kind: str
    """Of its checkpoints."""
    better: tuple[str, int]
    """Validation number that decides which checkpoint is best, and +1 when more is better, else -1."""

    def step(self, number: int) -> dict[str, float]:
        """Update once; the losses by name, 'total' among them.

        Raises:
            NotFinite: before anything was updated.
        """
        ...

    def validate(self) -> tuple[dict[str, float], Frame | None]:
        """Numbers on held-out pictures, and a grid to look at."""
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """Tensors for use, tensors to go on, numbers to go on."""
        ...

    def load(self, model: Mapping[str, Tensor], training: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        ...


class NotFinite(ArithmeticError):
    """A loss is NaN or infinite."""


@dataclass(frozen=True)
class Pace:
    """How long and how often."""

    steps: int
    pictures: int
    """Pictures per step, over all processes."""
    log_every: int
    validate_every: int
    save_every: int
    keep: int


def check_finite(losses: Mapping[str, float]) -> None:
    """Refuse losses that are no numbers.

    Raises:
        NotFinite: naming them.
    """
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        raise NotFinite(", ".join(f"{name} = {losses[name]}" for name in bad))


def train(task: Task, run: Path, config: Config, pace: Pace, ranks: Ranks, *, resume: bool, say: Say) -> None:
    """Train to `pace.steps`.

    Args:
        task: what is trained.
        run: its folder, made by `start_run`.
        config: recorded in checkpoints; on resume it must agree with theirs (see `check_resumable`).
        pace: how long, how often.
        ranks: this process among others; the first one writes.
        resume: go on from the newest checkpoint.
        say: progress, one line at a time.

    Raises:
        TrainingStopped: a loss became NaN or infinite; the newest checkpoint is from before.
    """
    begun, best = 0, None
    if resume:
        begun, best = _load_newest(task, run, config, say)
        if ranks.first:
            save_config(run, config)
    log = Log(run) if ranks.first else None
    try:
        if not begun:
            best = _validate_and_save(task, run, config, pace, ranks, log, 0, best, say)
        _steps(task, run, config, pace, ranks, log, begun, best, say)
    finally:
        if log:
            log.close()


def _steps(
    task: Task, run: Path, config: Config, pace: Pace, ranks: Ranks, log: Log | None, begun: int, best: Best, say: Say
) -> None:
    seen: dict[str, list[float]] = {}
    counted, since = 0, time.perf_counter()
    for number in range(begun, pace.steps):
        try:
            losses = task.step(number)
        except NotFinite as error:
            raise TrainingStopped(
                f"step {number + 1}: {error}. Training stops; {last_good(run)}. log.jsonl shows which term grew first; "
                "go on from there with --resume and lower learning rates (of `radio train`: --set train.lr=..., train.lr_plain, "
                "train.lr_discriminator), or start anew"
            ) from error
        for name, value in losses.items():
            seen.setdefault(name, []).append(value)
        counted += 1
        done = number + 1
        last = done == pace.steps
        if done % pace.log_every == 0 or last:
            seconds = time.perf_counter() - since
            numbers = {name: sum(values) / len(values) for name, values in seen.items()}
            numbers["pictures_per_second"] = counted * pace.pictures / seconds
            if log:
                log.write(done, numbers)
            say(f"step {done}/{pace.steps}  " + "  ".join(f"{k} {v:.4g}" for k, v in numbers.items()))
            seen, counted = {}, 0
        if done % pace.validate_every == 0 or done % pace.save_every == 0 or last:
            best = _validate_and_save(task, run, config, pace, ranks, log, done, best, say)
        if not counted:
            since = time.perf_counter()


Best = tuple[float, int] | None
"""Validation number of the best checkpoint and its step."""


def _validate_and_save(
    task: Task, run: Path, config: Config, pace: Pace, ranks: Ranks, log: Log | None, done: int, best: Best, say: Say
) -> Best:
    last = done == pace.steps
    numbers: dict[str, float] = {}
    if done % pace.validate_every == 0 or last:
        numbers, grid = task.validate()
        if log:
            log.write(done, {f"val_{name}": value for name, value in numbers.items()})
            if grid is not None:
                log.picture(done, grid)
        say(f"validation at {done}  " + "  ".join(f"{k} {v:.4g}" for k, v in numbers.items()))
        name, sign = task.better
        if best is None or sign * numbers[name] > sign * best[0]:
            best = (numbers[name], done)
    if log and (done % pace.save_every == 0 or last or (best and best[1] == done)):
        model, training, scalars = task.state()
        scalars |= {"validation": numbers, "best": best}
        save_checkpoint(run, task.kind, done, config, model, training, scalars)
        prune(run, pace.keep, best[1] if best else None)
    ranks.barrier()
    return best


def _load_newest(task: Task, run: Path, config: Config, say: Say) -> tuple[int, Best]:
    found = checkpoints(run)
    if not found:
        raise OutputError(f"{run} holds no checkpoint to resume from; start anew in another folder")
    held = open_checkpoint(found[-1], task.kind)
    check_resumable(held.config, config)
    task.load(held.tensors(), held.tensors("training.safetensors"), held.numbers)
    changed = _changes(held.config, config, _RATES)
    say(f"resumed at step {held.step}" + (f" ({'; '.join(changed)})" if changed else ""))
    best = held.numbers.get("best")
    return held.step, (float(best[0]), int(best[1])) if best else None


_RATES = {"train": {"lr", "lr_plain", "lr_discriminator"}}
"""May change too, which changes the losses and is said: what to do after a loss that is no number."""
_MAY_DIFFER = {
    "train": {
        *_RATES["train"],
        "steps",
        "log_every",
        "validate_every",
        "validation_windows",
        "validate_landmarks",
        "save_every",
        "keep",
        "grid_rows",
    },
    "sync_train": {"steps", "log_every", "validate_every", "validation_windows", "save_every", "keep"},
    "data": {"folder", "workers", "verify"},
}


def check_resumable(old: Config, new: Config) -> None:
    """Only what does not change a loss, and the learning rates, may differ from the run that is continued.

    Raises:
        OutputError: naming every other difference.
    """
    harmless = _changes(old, new, _MAY_DIFFER)
    if wrong := [change for change in _changes(old, new, None) if change not in harmless]:
        raise OutputError(
            "a run cannot be resumed with another configuration (" + "; ".join(wrong) + "); start a new one"
        )


def _changes(old: Config, new: Config, only: Mapping[str, set[str]] | None) -> list[str]:
    """'train.lr: 0.005 before, 0.001 now' for every setting that differs, or those of `only`."""
    a, b = old.model_dump(exclude={"name"}), new.model_dump(exclude={"name"})
    return [
        f"{section}.{key}: {a[section][key]} before, {b[section][key]} now"
        for section in a
        for key in a[section]
        if (only is None or key in only.get(section, set())) and a[section][key] != b[section][key]
    ]
