"""`lipsync-eval gate RUN --baseline RUN|FILE`."""

from __future__ import annotations

from pathlib import Path

import click

from lipsync_eval.cli import output_files
from lipsync_eval.cli.output_files import check_apart, check_output
from lipsync_eval.cli.runs import RESAMPLE, metric_list, read_gated
from lipsync_eval.errors import OutputError, UsageError
from lipsync_eval.results.rows import Resample


@click.command()
@click.argument("run", metavar="RUN[=NAME]")
@click.option(
    "--baseline",
    help="A run's folder, its results.json, or a file that --update wrote.",
)
@click.option("--tolerance", metavar="M=AMOUNT,...", help="How much worse is allowed: psnr=0.1,lse_c=2%  [default: 0]")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Level of the test over all metrics.")
@click.option("--metrics", help="Compare only these, comma separated [default: the baseline's that are ranked].")
@click.option("--strict", is_flag=True, help="Exit 1 where a metric is inconclusive, too.")
@RESAMPLE
@click.option(
    "--ignore",
    multiple=True,
    metavar="KEY",
    help="A signature key that may differ ('data': other real videos); repeatable.",
)
@click.option("--seed", type=int, default=12345, show_default=True, help="Of sampled sign flips and intervals.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    help="Write the comparison as JSON; the file of an earlier gate is replaced.",
)
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write a Markdown summary, for a CI job page.")
@click.option(
    "--update",
    type=click.Path(path_type=Path),
    help="Write RUN as a small baseline file fit for git, if it passes (or without --baseline); an older baseline is replaced.",
)
def gate(
    run: str,
    baseline: str | None,
    tolerance: str | None,
    alpha: float,
    metrics: str | None,
    strict: bool,
    resample: Resample,
    ignore: tuple[str, ...],
    seed: int,
    json_file: Path | None,
    junit: Path | None,
    markdown: Path | None,
    update: Path | None,
) -> int:
    """Exit 1 when RUN is worse than the baseline.

    Clips are compared in pairs; a metric fails when a sign-flip permutation test (Holm-corrected over families of metrics)
    says that it got worse by more than its tolerance. It is inconclusive where the clips leave that open: exit 0, with
    --strict 1. Where so few clips cannot reach alpha, the tolerance alone decides. A clip that newly fails fails the gate.
    Runs measured otherwise are refused with exit 2. The folder of a `watch` stands for its newest checkpoint, and as
    the baseline for the one before.

    \b
    Examples:
      lipsync-eval gate runs/new --baseline runs/old
      lipsync-eval gate runs/new --baseline baseline.json --tolerance psnr=0.1,lse_c=2%
      lipsync-eval gate runs/new --update baseline.json
      lipsync-eval gate runs/ckpt --baseline runs/ckpt
    """
    from lipsync_eval.files import write_text
    from lipsync_eval.reports import baseline_file, gate_output
    from lipsync_eval.reports.gate import compare, parse_tolerance

    check_apart(json=json_file, junit=junit, markdown=markdown, update=update)
    check_output(json_file, "--json", output_files.comparison)
    check_output(junit, "--junit", output_files.xml)
    check_output(markdown, "--markdown", output_files.text)
    check_output(update, "--update", output_files.baseline)
    new, old = read_gated(run, baseline)
    code = 0
    try:
        if old is not None:
            found = compare(
                new,
                old,
                tolerance=parse_tolerance(tolerance),
                alpha=alpha,
                seed=seed,
                metrics=metric_list(metrics),
                ignore=ignore,
                resample=resample,
            )
            click.echo(str(found))
            files = (
                (json_file, gate_output.as_json),
                (junit, gate_output.as_junit),
                (markdown, gate_output.as_markdown),
            )
            for path, text in files:
                if path is not None:
                    write_text(path, text(found))
            code = 0 if found.passed and (found.conclusive or not strict) else 1
        elif update is None:
            raise UsageError("give --baseline RUN|FILE to compare with, or --update FILE to write a first baseline")
        if update is not None and code == 0:
            baseline_file.write_baseline(new, update)
            click.echo(f"baseline written: {update}")
    except OSError as error:
        raise OutputError(f"{error.filename}: cannot be written ({error.strerror})") from error
    return code
