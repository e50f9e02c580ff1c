"""A sensitivity study as files: a table, JSON and plots."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from lipsync_eval.engine.sensitivity.perturbations import PERTURBATIONS
from lipsync_eval.engine.sensitivity.plot import write_plot
from lipsync_eval.engine.sensitivity.study import SensitivityRow, Study
from lipsync_eval.errors import OutputError
from lipsync_eval.files import write_text
from lipsync_eval.metrics.registry import get_spec
from lipsync_eval.results.csv_text import csv_text
from lipsync_eval.version import __version__

FILES: Final = ("sensitivity.csv", "sensitivity.json", "sensitivity.png", "sensitivity.pdf")


def check_folder(folder: Path, overwrite: bool) -> None:
    """Make sure that the study may write into `folder` before any work.

    Raises:
        OutputError: a file of that name, or another study is in it and may not be replaced.
    """
    used = [name for name in FILES if (folder / name).exists()]
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"--out {folder}: that is a file; name a folder")
    if used and not overwrite:
        raise OutputError(
            f"--out {folder}: it holds {', '.join(used)}; name another folder or replace them with --overwrite"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"--out {folder}: cannot be made ({error.strerror or error})") from error


def write_study(study: Study, folder: Path) -> None:
    """Write sensitivity.csv (a row per number), .json, .png and .pdf; the same study gives the same bytes.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        write_text(folder / FILES[0], _csv(study))
        write_text(folder / FILES[1], json.dumps(_json(study), indent=1, allow_nan=False) + "\n")
        for name in FILES[2:]:
            write_plot(study, folder / name)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error


def _csv(study: Study) -> str:
    rows = [[f"{v:g}" if k == 1 else v for k, v in enumerate(asdict(row).values())] for row in study.rows]
    return csv_text([list(SensitivityRow.__dataclass_fields__), *rows])


def _json(study: Study) -> dict[str, Any]:
    means = []
    for name, strength in study.grades:
        for metric in study.metrics:
            value, n = study.mean(metric, name, strength)
            means.append(
                {
                    "perturbation": name,
                    "strength": strength,
                    "metric": metric,
                    "value": value,
                    "n_scored": n,
                    "n_asked": study.asked(metric),
                }
            )
    return {
        "schema": 1,
        "kind": "sensitivity",
        "run": {"command": list(study.command), "version": __version__},
        "clips": list(study.clips),
        "perturbations": [
            {"name": n, "unit": PERTURBATIONS[n].unit, "strengths": list(s), "what": PERTURBATIONS[n].summary}
            for n, s in study.perturbations.items()
        ],
        "metrics": [
            {
                "metric": m,
                "unit": get_spec(m).unit,
                "direction": get_spec(m).direction,
                "signature": study.signatures[m],
            }
            for m in study.metrics
        ],
        "means": means,
        "rows": [asdict(row) for row in study.rows],
    }
