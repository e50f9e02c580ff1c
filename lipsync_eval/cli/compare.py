"""`lipsync-eval compare --methods ... --data MANIFEST --out DIR`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipsync_eval.cli.generators import (
    AGAIN_FAILED,
    CONFIG,
    DATA,
    ENHANCE,
    chosen,
    environments,
    on_one_cluster,
    reference_rule,
    report_failures,
    teller,
)
from lipsync_eval.cli.options import THREADS, WORKERS_HELP, Headed, measuring, measuring_settings, on_cluster, processes
from lipsync_eval.errors import OutputError, UsageError
from lipsync_eval.types import Settings

if TYPE_CHECKING:
    from lipsync_eval.baselines.comparison import Measure, MethodJob
    from lipsync_eval.results.schema import Result


@click.command(cls=Headed)
@click.option("--methods", required=True, metavar="A,B,...", help="Generators, comma separated.")
@DATA
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="DIR/gen, DIR/runs, DIR/table.*, DIR/report."
)
@click.option("--metrics", default="core", show_default=True, help="As in `score`.")
@click.option(
    "--experiment",
    type=click.Choice(["leakage"]),
    help="leakage: dub with silence and with other speech too, and measure what the mouth keeps of the old video.",
)
@click.option("--layout", help="As in `table`.")
@click.option("--published", multiple=True, metavar="KEY", help="As in `table`.")
@reference_rule("--reference-frame")
@ENHANCE
@AGAIN_FAILED
@click.option("--workers", type=processes, metavar="N|auto", default=1, show_default=True, help=WORKERS_HELP)
@THREADS
@on_cluster
@click.option("--skip-missing", is_flag=True, help="Score the rest when weights are missing.")
@click.option("--no-report", is_flag=True, help="Table only.")
@click.option("--quiet", is_flag=True)
@CONFIG
@measuring
def compare(
    methods: str,
    data: Path,
    out: Path,
    experiment: str | None,
    layout: str | None,
    published: tuple[str, ...],
    reference_frame: str,
    enhance: str | None,
    again_failed: bool,
    no_report: bool,
    quiet: bool,
    config: Path,
    **values: Any,
) -> int:
    """Run what is missing, score all methods, write the table and the page.

    Killed, it goes on where it was. What is done is not run again. Exit 3: some clips failed, the rest is scored.

    \b
    Examples:
      lipsync-eval compare --methods wav2lip,ip_lap,radio --data hdtf.csv --out cmp --layout radio
      lipsync-eval compare --methods wav2lip,radio --data hdtf.csv --out cmp --experiment leakage
    """
    from lipsync_eval.baselines import comparison
    from lipsync_eval.baselines.manifest import read_manifest

    known = environments(config)
    names = [m.strip() for m in methods.split(",") if m.strip()]
    if not names:
        raise UsageError("--methods names no generator")
    entries = read_manifest(data)
    generators, step = chosen(names, known), chosen([enhance], known)[0] if enhance else None
    settings = measuring_settings(values)
    how: dict[str, Any] = {
        "enhance": step, "reference": reference_frame, "seed": settings.seed, "again_failed": again_failed,
    }  # fmt: skip
    if experiment is not None and (layout or published):
        raise UsageError("--experiment prints its own table: leave out --layout and --published")
    try:
        with on_one_cluster(values) as crew:
            how["crew"] = crew
            if experiment is not None:
                from lipsync_eval.cli.leakage import leakage

                measure = _measure(settings, {**values, "metrics": "lse_c,lse_d"}, quiet)
                asked = {"metrics": values["metrics"], "skip_missing": values["skip_missing"]}
                return leakage(generators, entries, out, measure, settings, **asked, how=how, quiet=quiet)
            measure = _measure(settings, values, quiet)
            found = comparison.compare(generators, entries, out, measure, **how, progress=teller(quiet))
            for name in found.empty:
                click.echo(f"{name}: made no video at all, so it is not in the table", err=True)
            if found.results:
                click.echo(comparison.write_table(found, out, layout, published), nl=False)
            if found.results and not no_report:
                click.echo(f"report: {comparison.write_report(found.names, out)}")
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    code = report_failures(found.outcomes)
    return code or (3 if any(r.failures for r in found.results) else 0)


def _measure(settings: Settings, values: dict[str, Any], quiet: bool) -> Measure:
    """How a method is scored: `score` with the options of this command."""
    from lipsync_eval.cli.progress import progress
    from lipsync_eval.cli.streams import isolated
    from lipsync_eval.engine.score import score

    def measure(job: MethodJob, resume: bool) -> Result:
        with progress(quiet=quiet) as event:
            return score(
                job.generated,
                job.generated,
                pairs=job.pairs,
                out=job.run,
                name=job.name,
                resume=resume,
                overwrite=not resume,
                event=event,
                command=["lipsync-eval", *sys.argv[1:]],
                settings=settings,
                isolate=isolated(),
                **values,
            )

    return measure
