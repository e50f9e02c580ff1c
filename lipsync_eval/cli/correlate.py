"""`lipsync-eval correlate STUDY RUN...`."""

from __future__ import annotations

from pathlib import Path

import click

from lipsync_eval.cli.runs import metric_list, read_runs
from lipsync_eval.cli.streams import data
from lipsync_eval.errors import OutputError
from lipsync_eval.results.names import printable


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.argument("runs", nargs=-1, required=True, metavar="RUN[=NAME]...")
@click.option(
    "--answers",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Raters' files, with STUDY a key.json; repeatable [default: answers*.json beside it].",
)
@click.option("--metrics", help="Ids, comma separated [default: all that the runs scored].")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "csv", "json"]),
    default="text",
    show_default=True,
)
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file instead of stdout.")
@click.option("--plot", type=click.Path(path_type=Path), help="Path without suffix: PLOT.png and PLOT.pdf are written.")
@click.option("--overwrite", is_flag=True, help="Replace OUT, PLOT.png and PLOT.pdf.")
@click.option("--seed", type=click.IntRange(0), default=12345, show_default=True, help="Of the bootstrap.")
def correlate(
    study: Path,
    runs: tuple[str, ...],
    answers: tuple[Path, ...],
    metrics: str | None,
    form: str,
    out: Path | None,
    plot: Path | None,
    overwrite: bool,
    seed: int,
) -> None:
    """Which metric agrees with people: Spearman, Kendall and Pearson with their scores, per clip and per method.

    STUDY is a CSV with columns id,method,mos[,rater][,question], a study's key.json (or its folder) with the raters' answers,
    or the folder that `study collect --out` wrote. Methods are matched by name: RUN=NAME. Positive means that the metric
    prefers what people prefer.

    \b
    Examples:
      lipsync-eval correlate mos.csv runs/a runs/b runs/c=ours
      lipsync-eval correlate study/key.json runs/a runs/b runs/c --answers r1.json --answers r2.json --plot agreement
    """
    from lipsync_eval.files import write_text
    from lipsync_eval.reports import correlate as core
    from lipsync_eval.reports import plot_files
    from lipsync_eval.reports.correlate_output import FORMATS, draw
    from lipsync_eval.reports.opinions import read_opinions
    from lipsync_eval.reports.unlike import unlike

    files = [*([out] if out else []), *(plot_files.paths(plot) if plot else ())]
    if not overwrite and (there := [p for p in files if p.exists()]):
        raise OutputError(f"{there[0]} is there already; name another file, or replace it with --overwrite")
    loaded = read_runs(runs)
    for sentence in unlike(loaded):
        click.echo(f"warning: {printable(sentence)}", err=True)
    found = core.correlate(read_opinions(study, answers), loaded, metrics=metric_list(metrics), seed=seed)
    try:
        if out is None:
            data(FORMATS[form](found))
        else:
            write_text(out, FORMATS[form](found))
        if plot is not None:
            for path in plot_files.save(draw(found), plot):
                click.echo(str(path), err=True)
    except OSError as error:
        raise OutputError(f"{error.filename or out or plot}: cannot be written ({error.strerror or error})") from error
