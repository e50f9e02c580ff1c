"""Checkpoints of a run: safetensors and JSON. The run's other files are in run_folder.py.

    RUN/checkpoints/000500/    checkpoint.json, model.safetensors, training.safetensors

A checkpoint folder appears under its name only when it is whole. Nothing in it is executed on loading.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.configuration.resolve import parse
from lipsync_eval.baselines.kit.configuration.sections import C, Kind, RunConfig
from lipsync_eval.errors import LipsyncError, OutputError, RefusedCheckpoint
from lipsync_eval.files import parse_json, sha256, write_text

MODEL = "model.safetensors"
TRAINING = "training.safetensors"
DESCRIPTION = "checkpoint.json"
SCHEMA = 1
N = TypeVar("N", bound=nn.Module)


class TrainingStopped(LipsyncError):
    """Training cannot go on (a loss that is no number); the last good checkpoint is named."""


@dataclass(frozen=True)
class Checkpoint(Generic[C]):
    """A checkpoint on disk, described but not loaded."""

    folder: Path
    kind: Kind[C]
    step: int
    config: C
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

    def restored(self, network: N, device: torch.device) -> N:
        """A network with this checkpoint's tensors for use: frozen, in evaluation mode, on the device.

        Raises:
            RefusedCheckpoint: damaged, or tensors that do not fit.
        """
        from lipsync_eval.weights import fit

        fit(network, self.tensors(), source=str(self.folder))
        return network.eval().requires_grad_(False).to(device)


def save_checkpoint(
    run: Path,
    kind: Kind[Any],
    step: int,
    config: RunConfig,
    model: Mapping[str, Tensor],
    training: Mapping[str, Tensor],
    numbers: Mapping[str, Any],
) -> Path:
    """Write a checkpoint folder, whole or not at all.

    Args:
        run: the run's folder.
        kind: what makes it.
        step: steps done.
        config: the resolved configuration.
        model: tensors for use (averaged weights).
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
        description = {"schema": SCHEMA, "kind": kind.name, "revision": kind.revision, "step": step}
        description |= {"config": config.model_dump(mode="json")}
        description |= {"numbers": dict(numbers), "sha256": hashes}
        write_text(temporary / DESCRIPTION, json.dumps(description, indent=1) + "\n")
        shutil.rmtree(final, ignore_errors=True)
        temporary.replace(final)
    except OSError as error:
        raise OutputError(f"cannot write the checkpoint {final} ({error}); make room or give another --out") from error
    return final


def open_checkpoint(folder: Path, kind: Kind[C]) -> Checkpoint[C]:
    """Read a checkpoint's description; `folder` is a checkpoint, or a run (then its newest).

    Raises:
        RefusedCheckpoint: not a checkpoint of this kind, of another revision of its network, or malformed.
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
        raw = parse_json(path.read_text(encoding="utf-8"))
        if raw["schema"] != SCHEMA:
            raise RefusedCheckpoint(f"{path} has schema {raw['schema']}, this version reads {SCHEMA}")
        found_kind, step = str(raw["kind"]), int(raw["step"])
        if found_kind != kind.name:
            raise RefusedCheckpoint(
                f"{folder} is a checkpoint of kind {found_kind!r}; one made by `{kind.maker}` is needed here"
            )
        if (revision := int(raw.get("revision", 1))) != kind.revision:
            raise RefusedCheckpoint(
                f"{folder} holds revision {revision} of the network {kind.name!r}, this version of lipsync-eval has revision "
                f"{kind.revision}: train again with `lipsync-eval {kind.maker}`, or use the version that made it"
            )
        config = parse(kind.config, raw["config"], str(path))
        numbers, hashes = dict(raw["numbers"]), dict(raw["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedCheckpoint(f"{path} is malformed ({error!r}); use another checkpoint") from error
    return Checkpoint(folder, kind, step, config, numbers, hashes)


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


def load_optimizer(
    optimizer: torch.optim.Optimizer, prefix: str, tensors: Mapping[str, Tensor], rest: Mapping[str, Any]
) -> None:
    """Go on with what `flatten` made of an optimiser; learning rates stay those of the configuration."""
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(unflatten(prefix, tensors, rest))
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
