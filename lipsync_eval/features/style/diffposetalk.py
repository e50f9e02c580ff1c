"""The released DiffPoseTalk checkpoint -> a style encoder that is ready to use."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.features.style.encoder import DIM, StyleEncoder, embed, motion_of
from lipsync_eval.features.style.files import Flame
from lipsync_eval.types import Float
from lipsync_eval.weights import Stub, fit, load_checkpoint

ROW: Final = "diffposetalk"
STATS: Final = "stats"
"""The row's second file: stats_train.npz, the z-score of its training set."""
_SHAPES: Final = {"exp_mean": 50, "exp_std": 50, "pose_mean": 6, "pose_std": 6}


@dataclass(frozen=True)
class DiffPoseTalk:
    """An encoder with its z-score and whether it sees the head's pose."""

    encoder: StyleEncoder
    stats: dict[str, NDArray[np.float32]]
    head: bool

    def style(self, flame: Flame) -> Float:
        """(128,) unit style vector of a clip."""
        return embed(self.encoder, motion_of(flame.exp, flame.pose, self.stats, head=self.head))


def load(checkpoint: Path, stats: Path) -> DiffPoseTalk:
    """Read the two files.

    Raises:
        RefusedCheckpoint: not of the released layout {'args', 'encoder', 'iter'}, or not DiffPoseTalk's network.
    """
    held = load_checkpoint(checkpoint)
    tensors = held.get("encoder") if isinstance(held, dict) else None
    if not isinstance(tensors, dict) or "motion_proj.weight" not in tensors:
        raise RefusedCheckpoint(
            f"{checkpoint} is no DiffPoseTalk style encoder: there is no 'encoder' with motion_proj.weight in it; use the released file"
        )
    width = int(tensors["motion_proj.weight"].shape[1])
    if width not in (51, 54):
        raise RefusedCheckpoint(
            f"{checkpoint}: the encoder takes {width} numbers a frame; the released ones take 51 (no head pose) or 54"
        )
    layers = {int(m[1]) for key in tensors if (m := re.match(r"transformer\.layers\.(\d+)\.", key))}
    heads = _argument(held, "n_heads", 4)
    encoder = StyleEncoder(width, len(layers), heads)
    fit(encoder, tensors, source=checkpoint.name)
    return DiffPoseTalk(encoder.eval().requires_grad_(False), read_stats(stats), width == 54)


def read_stats(path: Path) -> dict[str, NDArray[np.float32]]:
    """stats_train.npz: exp_mean, exp_std (50), pose_mean, pose_std (6).

    Raises:
        RefusedCheckpoint: it is not that.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            stats = {name: np.asarray(file[name], np.float32).reshape(-1) for name in _SHAPES}
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise RefusedCheckpoint(
            f"{path} is not DiffPoseTalk's stats_train.npz ({error}); it holds {', '.join(_SHAPES)}"
        ) from error
    for name, size in _SHAPES.items():
        if stats[name].shape != (size,) or not np.isfinite(stats[name]).all():
            raise RefusedCheckpoint(f"{path}: {name} should be {size} finite numbers and is {stats[name].shape}")
        if name.endswith("std") and (stats[name] <= 0).any():
            raise RefusedCheckpoint(f"{path}: {name} should be positive everywhere")
    return stats


def _argument(held: Any, name: str, default: int) -> int:
    """One number of the training arguments, which are an inert stub."""
    args = held.get("args") if isinstance(held, dict) else None
    state = args.state if isinstance(args, Stub) else args
    value = state.get(name, default) if isinstance(state, dict) else default
    if not isinstance(value, int) or value < 1 or DIM % value:
        raise RefusedCheckpoint(f"its training arguments give {name}={value!r}, which is no size of a network")
    return value
