"""`lipsync-eval plot RUN...`."""

from __future__ import annotations

from pathlib import Path

import click

from lipsync_eval.cli.runs import metric_list, read_runs
from lipsync_eval.errors import OutputError
from lipsync_eval.results.names import printable


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN[=NAME]...")
@click.option(
    "--kind", type=click.Choice(["bars", "box", "curve", "radar", "offset"]), default="bars", show_default=True
)
@click.option("--metrics", help="Ids, comma separated [default: all that the runs scored].")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Path without suffix: OUT.png and OUT.pdf are written [default: ./KIND].",
)
@click.option(
    "--columns",
    type=click.Choice(["1", "2"]),
    help="Columns of the paper that the plot spans: 3.4 or 7 inches [default: by panels and methods].",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT.png and OUT.pdf.")
def plot(
    runs: tuple[str, ...], kind: str, metrics: str | None, out: Path | None, columns: str | None, overwrite: bool
) -> None:
    """Plots for a paper, as PNG and PDF: colour-blind safe, sized for a column.

    bars: means with intervals. box: over clips. curve: per frame. radar: several metrics at once. offset: SyncNet's distance by shift.

    \b
    Examples:
      lipsync-eval plot runs/a runs/b
      lipsync-eval plot runs/a=ours runs/b --kind box --metrics psnr,lmd --out figures/quality
      lipsync-eval plot runs/a runs/b --columns 2
    """
    from lipsync_eval.reports import plots
    from lipsync_eval.reports.unlike import unlike

    stem = out or Path(kind)
    plots.check_free(stem, overwrite=overwrite)
    loaded = read_runs(runs)
    for sentence in unlike(loaded):
        click.echo(f"warning: {printable(sentence)}", err=True)
    frames = [run.all_frames() for run in loaded] if kind in {"curve", "offset"} else []
    try:
        written = plots.save(
            plots.draw(kind, loaded, metric_list(metrics), frames, int(columns) if columns else None), stem
        )
    except OSError as error:
        raise OutputError(f"--out {stem}: cannot be written ({error.strerror})") from error
    for path in written:
        click.echo(str(path))
