"""A training run on disk: checkpoints (safetensors and JSON), log, pictures.

    RUN/config.json            the resolved configuration
    RUN/log.jsonl              one line per log or validation
    RUN/grids/000500.png       sample grids
    RUN/checkpoints/000500/    checkpoint.json, model.safetensors, training.safetensors
    RUN/tensorboard/           where tensorboard is installed

A checkpoint folder appears under its name only when it is whole. Nothing in it is executed on loading.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipsync_eval.baselines.radio.config import Config, parse
from lipsync_eval.errors import LipsyncError, OutputError, RefusedCheckpoint
from lipsync_eval.files import sha256, write_text
from lipsync_eval.types import Frame

MODEL = "model.safetensors"
TRAINING = "training.safetensors"
DESCRIPTION = "checkpoint.json"
SCHEMA = 1


class TrainingStopped(LipsyncError):
    """Training cannot go on (a loss that is no number); the last good checkpoint is named."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk, described but not loaded."""

    folder: Path
    kind: str
    """'radio' or 'sync'."""
    step: int
    config: Config
    numbers: Mapping[str, Any]
    """Scores of its validation, scalar training state."""
    hashes: Mapping[str, str]

    def tensors(self, name: str = MODEL) -> dict[str, Tensor]:
        """Tensors of one of its files, checked against their sha256.

        Raises:
            RefusedCheckpoint: missing, changed, or not a safetensors file.
        """
        from lipsync_eval.weights import load_tensors

        path = self.folder / name
        if not path.is_file():
            raise RefusedCheckpoint(f"{self.folder} holds no {name}; copy the whole folder of the checkpoint")
        if sha256(path) != self.hashes.get(name):
            raise RefusedCheckpoint(
                f"{path} is damaged: its sha256 is not the one in {DESCRIPTION}; use another checkpoint"
            )
        return load_tensors(path)


def save_checkpoint(
    run: Path,
    kind: str,
    step: int,
    config: Config,
    model: Mapping[str, Tensor],
    training: Mapping[str, Tensor],
    numbers: Mapping[str, Any],
) -> Path:
    """Write a checkpoint folder, whole or not at all.

    Args:
        run: the run's folder.
        kind: 'radio' or 'sync'.
        step: steps done.
        config: the resolved configuration.
        model: tensors for use (averaged generator, or sync discriminator).
        training: tensors needed to go on.
        numbers: whatever JSON takes.

    Raises:
        OutputError: the folder cannot be written.
        TrainingStopped: a tensor for use holds NaN or infinity.
    """
    from safetensors.torch import save_file

    bad = [name for name, x in model.items() if x.is_floating_point() and not torch.isfinite(x).all()]
    if bad:
        raise TrainingStopped(
            f"step {step}: {bad[0]} holds NaN or infinity; the checkpoint is not written. {last_good(run)}"
        )
    final = run / "checkpoints" / f"{step:06d}"
    temporary = final.with_name(f".{final.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        hashes = {}
        for name, tensors in ((MODEL, model), (TRAINING, training)):
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary / name)
            hashes[name] = sha256(temporary / name)
        description = {"schema": SCHEMA, "kind": kind, "step": step, "config": config.model_dump(mode="json")}
        description |= {"numbers": dict(numbers), "sha256": hashes}
        write_text(temporary / DESCRIPTION, json.dumps(description, indent=1) + "\n")
        shutil.rmtree(final, ignore_errors=True)
        temporary.replace(final)
    except OSError as error:
        raise OutputError(f"cannot write the checkpoint {final} ({error}); make room or give another --out") from error
    return final


def open_checkpoint(folder: Path, kind: str) -> Checkpoint:
    """Read a checkpoint's description; `folder` is a checkpoint, or a run (then its newest).

    Raises:
        RefusedCheckpoint: not a checkpoint of this kind, or malformed.
    """
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file():
        found = checkpoints(folder)
        if not found:
            raise RefusedCheckpoint(
                f"{folder} is no checkpoint and no run with checkpoints; give RUN or RUN/checkpoints/STEP"
            )
        folder = found[-1]
    path = folder / DESCRIPTION
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["schema"] != SCHEMA:
            raise RefusedCheckpoint(f"{path} has schema {raw['schema']}, this version reads {SCHEMA}")
        config = parse(raw["config"], str(path))
        found_kind, step = str(raw["kind"]), int(raw["step"])
        numbers, hashes = dict(raw["numbers"]), dict(raw["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedCheckpoint(f"{path} is malformed ({error!r}); use another checkpoint") from error
    if found_kind != kind:
        maker = {"radio": "radio train", "sync": "radio train-sync"}[kind]
        raise RefusedCheckpoint(
            f"{folder} is a checkpoint of kind {found_kind!r}; one made by `{maker}` is needed here"
        )
    return Checkpoint(folder, found_kind, step, config, numbers, hashes)


def checkpoints(run: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted(p.parent for p in run.glob(f"checkpoints/[0-9]*/{DESCRIPTION}"))


def last_good(run: Path) -> str:
    """A sentence naming the newest checkpoint."""
    found = checkpoints(run)
    return f"the last good checkpoint is {found[-1]}" if found else "there is no checkpoint yet"


def prune(run: Path, keep: int, best: int | None) -> None:
    """Delete checkpoints but the first, the best and the newest `keep`."""
    found = checkpoints(run)
    for folder in found[1:-keep]:
        if int(folder.name) != best:
            shutil.rmtree(folder)


def start_run(run: Path, config: Config, *, resume: bool) -> None:
    """Make a run's folder, or check that it can be continued.

    Raises:
        OutputError: it holds a run already (without resume), holds none (with), or cannot be made.
    """
    held = (run / "config.json").exists()
    if held and not resume:
        raise OutputError(f"{run} holds a run already; add --resume to go on with it, or give another --out")
    if resume and not held:
        raise OutputError(f"{run} holds no run to resume; leave out --resume")
    if not resume and run.exists() and any(run.iterdir()):
        raise OutputError(f"{run} holds other files; give a new folder with --out")
    try:
        (run / "grids").mkdir(parents=True, exist_ok=True)
        if not resume:  # a continued run's is written when its checkpoint agrees with it
            save_config(run, config)
    except OSError as error:
        raise OutputError(f"cannot write to {run} ({error}); give another --out") from error


def save_config(run: Path, config: Config) -> None:
    """Write config.json."""
    write_text(run / "config.json", config.model_dump_json(indent=1) + "\n")


class Log:
    """log.jsonl, and TensorBoard where it is installed."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(run / "tensorboard"))
        except ImportError:
            pass

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add one line; values that are no numbers are written as null."""
        clean = {k: (float(v) if math.isfinite(v) else None) for k, v in numbers.items()}
        with (self.run / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **clean}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if self._board is not None:
            for name, value in clean.items():
                if value is not None:
                    self._board.add_scalar(name, value, step)

    def picture(self, step: int, grid: Frame) -> None:
        """Write a sample grid (H, W, 3) uint8 RGB as grids/STEP.png."""
        import cv2

        if not cv2.imwrite(str(self.run / "grids" / f"{step:06d}.png"), grid[:, :, ::-1]):
            raise OutputError(f"cannot write a picture to {self.run / 'grids'}")
        if self._board is not None:
            self._board.add_image("samples", np.ascontiguousarray(grid), step, dataformats="HWC")

    def close(self) -> None:
        """Flush TensorBoard."""
        if self._board is not None:
            self._board.close()


def read_log(run: Path) -> list[dict[str, Any]]:
    """Lines of log.jsonl; where a resumed run wrote a step again, the later line counts last."""
    path = run / "log.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def flatten(prefix: str, state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's state_dict -> tensors by name, and the rest for JSON."""
    tensors = {}
    for number, values in state["state"].items():
        for name, value in values.items():
            tensors[f"{prefix}.{number}.{name}"] = value if isinstance(value, Tensor) else torch.tensor(value)
    groups = [{k: v for k, v in group.items() if not isinstance(v, Tensor)} for group in state["param_groups"]]
    return tensors, {"param_groups": groups}


def unflatten(prefix: str, tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(f"{prefix}."):
            number, name = key[len(prefix) + 1 :].split(".", 1)
            state.setdefault(int(number), {})[name] = value
    return {"state": state, "param_groups": rest["param_groups"]}
