"""`lipsync-eval compare --experiment leakage`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipsync_eval.cli.generators import report_failures, teller
from lipsync_eval.results.names import printable
from lipsync_eval.types import Settings

if TYPE_CHECKING:
    from lipsync_eval.baselines.base import Adapter
    from lipsync_eval.baselines.comparison import Measure
    from lipsync_eval.baselines.environments import Environment
    from lipsync_eval.baselines.manifest import ManifestEntry


def leakage(
    generators: Sequence[tuple[Adapter, Environment]],
    entries: Sequence[ManifestEntry],
    out: Path,
    measure: Measure,
    settings: Settings,
    *,
    metrics: str,
    skip_missing: bool,
    how: Mapping[str, Any],
    quiet: bool,
) -> int:
    """Run the experiment, write OUT/leakage and print the rows; returns the exit code."""
    from lipsync_eval.baselines.leakage import run_leakage, wanted_metrics
    from lipsync_eval.reports.render import as_text, write_all
    from lipsync_eval.reports.table import build

    found = run_leakage(
        generators,
        entries,
        out,
        measure,
        settings=settings,
        metrics=wanted_metrics(metrics),
        skip_missing=skip_missing,
        command=["lipsync-eval", *sys.argv[1:]],
        how=how,
        progress=teller(quiet),
    )
    for note in found.notes:
        click.echo(f"warning: {printable(note)}", err=True)
    for result in found.results:
        result.save(out / "leakage" / "runs" / result.run.name, overwrite=True)
    table = build(found.results, [], ignore=("data",))
    write_all(table, out / "leakage")
    click.echo(as_text(table), nl=False)
    code = report_failures(found.outcomes)
    return code or (3 if any(r.failures for r in found.results) else 0)
