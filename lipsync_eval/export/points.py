"""What an export is made of: the scores of a run, or of every checkpoint of a watched training."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipsync_eval.errors import UsageError
from lipsync_eval.results.csv_text import csv_text
from lipsync_eval.results.history import (
    COLUMNS,
    NO_SCORE,
    RUN,
    history_file,
    load_history,
    newest_run,
    score_cells,
    steps,
)
from lipsync_eval.results.rows import Score
from lipsync_eval.results.schema import Result, load_result

PREFIX = "lipsync"
"""Of names in trackers: lipsync/psnr. MLflow makes folders of them, so no name may begin with another one and a '/'."""


@dataclass(frozen=True, slots=True)
class Point:
    """The scores of one run."""

    label: str
    """Name of the run, or of the checkpoint."""
    step: int
    """Of the training; 0 for a single run, unless it was given."""
    scores: tuple[Score, ...]
    reason: str
    """Why a checkpoint has no score; '' else."""
    run: str
    """Where the run is."""


@dataclass(frozen=True, slots=True)
class Series:
    """What is exported."""

    name: str
    points: tuple[Point, ...]


def read_series(path: Path, *, name: str | None = None, step: int | None = None) -> Series:
    """A run as one point, a history as one point a finished checkpoint.

    Args:
        path: a run's folder, results.json, or the folder of a watch or its history.json.
        name: another name.
        step: of a run; a history has its own.

    Raises:
        ParseError: neither is there.
        UsageError: a step for a history, or a history in which nothing is finished.
    """
    file = history_file(path)
    if file is None:
        result = load_result(path)
        label = name or result.run.name
        return Series(label, (Point(label, step or 0, tuple(result.scores), "", str(path)),))
    if step is not None:
        raise UsageError(f"--step {step}: {file} holds the steps of its checkpoints; leave out --step")
    history = load_history(file)
    at = steps([row.checkpoint for row in history.rows])
    points = [
        Point(row.checkpoint, x, tuple(row.scores), row.reason, str(file.parent / row.folder / RUN))
        for x, row in zip(at, history.rows, strict=True)
        if row.finished
    ]
    if not points:
        raise UsageError(f"{file}: no checkpoint is finished yet; wait for the first one")
    return Series(name or Path(history.checkpoints).name, tuple(points))


def read_one(path: Path) -> Result:
    """A run; a history stands for its newest checkpoint."""
    return load_result(newest_run(path))


def values(score: Score) -> dict[str, float]:
    """Names and numbers that a tracker gets for a score: the value, the mean of absolute values where 0 is best, and the
    real videos' own value. What does not exist is left out, never 0.
    """
    found = {
        f"{PREFIX}/{score.metric}": score.value,
        f"{PREFIX}_mean_abs/{score.metric}": score.mean_abs,
        f"{PREFIX}_real/{score.metric}": score.gt_value,
    }
    return {name: value for name, value in found.items() if value is not None}


def signature_key(score: Score) -> str:
    """The name beside the value under which its signature stands."""
    return f"{PREFIX}_signature/{score.metric}"


def scores_csv(series: Series) -> str:
    """A line for every point and metric, in the columns of history.csv."""
    lines: list[Sequence[object]] = [COLUMNS]
    for p in series.points:
        status = "failed" if p.reason else "scored"
        cells = [score_cells(s) for s in p.scores] or [NO_SCORE]
        lines += [(p.label, p.step, status, *found, p.reason, p.run) for found in cells]
    return csv_text(lines)


def without_value(series: Series) -> list[str]:
    """One sentence for everything that a tracker cannot show, since it has no number."""
    said = [f"{p.label}: failed: {p.reason}" for p in series.points if p.reason]
    for p in series.points:
        if none := [s.metric for s in p.scores if s.value is None]:
            said.append(f"{p.label}: no value of {', '.join(none)}")
    return said


def package(module: str, target: str, install: str) -> Any:
    """Import an optional package.

    Raises:
        UsageError: it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--to {target} needs a package that is not installed ({error.name}): pip install {install}"
        ) from error


def folder_name(name: str) -> str:
    """A name as one safe part of a path."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip(".")[:100] or "run"
