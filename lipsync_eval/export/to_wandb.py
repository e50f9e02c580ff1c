"""Weights & Biases: a run with a curve per metric; written to the disk unless it is asked to go online."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from lipsync_eval.errors import OutputError
from lipsync_eval.export.points import PREFIX, Series, package, signature_key, values
from lipsync_eval.results.names import printable
from lipsync_eval.version import __version__

_QUIET: Final[dict[str, Any]] = {
    "silent": True,
    "console": "off",
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_save_requirements": False,
    "disable_git": True,
    "save_code": False,
}
"""Settings of wandb, those of them that the installed version knows."""


def export(series: Series, out: Path, *, project: str, online: bool) -> Path:
    """Log a series as one run of wandb; offline it lies in OUT/wandb and `wandb sync` sends it.

    Every value stands beside its signature at its step. The last signature, the unit and the direction of each metric are
    in the run's config. Of this machine nothing is recorded: no statistics, code, packages, git or console.

    Raises:
        UsageError: the package wandb is not installed.
        OutputError: wandb cannot log in, or cannot write.
    """
    if not online:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    wandb = package("wandb", "wandb", "wandb")
    out.mkdir(parents=True, exist_ok=True)
    last = {s.metric: s for p in series.points for s in p.scores}
    metrics = {
        m: {"signature": s.signature, "unit": s.unit, "direction": s.direction, "title": s.title}
        for m, s in last.items()
    }
    try:
        run = wandb.init(
            project=project,
            name=printable(series.name),
            dir=str(out),
            mode="online" if online else "offline",
            config={"lipsync_eval": {"version": __version__, "metrics": metrics}},
            settings=wandb.Settings(**{k: v for k, v in _QUIET.items() if k in wandb.Settings.model_fields}),
        )
        folder = Path(run.dir).parent
        with run:
            for point in series.points:
                row: dict[str, float | str] = {f"{PREFIX}_run": printable(point.label)}
                if point.reason:
                    row[f"{PREFIX}_failed"] = point.reason
                for score in point.scores:
                    row |= values(score) | {signature_key(score): score.signature}
                run.log(row, step=point.step)
    except wandb.Error as error:
        raise OutputError(
            f"wandb refused: {printable(str(error))}; see `wandb login`, or leave out --online"
        ) from error
    return folder
