"""A run's folder: its configuration, log and sample grids.

RUN/config.json            the resolved configuration
RUN/log.jsonl              one line per log or validation
RUN/grids/000500.png       sample grids
RUN/checkpoints/           see checkpoints.py
RUN/tensorboard/           where tensorboard is installed
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_eval.baselines.kit.configuration.sections import RunConfig
from lipsync_eval.errors import OutputError
from lipsync_eval.files import parse_json, write_text
from lipsync_eval.types import Frame


def start_run(run: Path, config: RunConfig, *, resume: bool) -> None:
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


def save_config(run: Path, config: RunConfig) -> None:
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

    def grid(self, step: int, grid: Frame) -> None:
        """Write a sample grid (H, W, 3) uint8 RGB as grids/STEP.png."""
        import cv2

        if not cv2.imwrite(str(self.run / "grids" / f"{step:06d}.png"), grid[:, :, ::-1]):
            raise OutputError(f"cannot write an image to {self.run / 'grids'}")
        if self._board is not None:
            self._board.add_image("samples", np.ascontiguousarray(grid), step, dataformats="HWC")

    def close(self) -> None:
        """Flush TensorBoard."""
        if self._board is not None:
            self._board.close()


def read_log(run: Path) -> list[dict[str, Any]]:
    """Lines of log.jsonl; where a resumed run wrote a step again, the later line counts last."""
    path = run / "log.jsonl"
    return [parse_json(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
