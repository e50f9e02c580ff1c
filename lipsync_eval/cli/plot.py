"""`lipsync-eval plot RUN...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipsync_eval.cli.runs import metric_list, read_methods, split_name
from lipsync_eval.errors import OutputError, UsageError
from lipsync_eval.results.names import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN[=NAME]...")
@click.option(
    "--kind",
    type=click.Choice(["bars", "box", "curve", "radar", "offset", "history"]),
    help="[default: bars; of one watch: history]",
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
    runs: tuple[str, ...], kind: str | None, metrics: str | None, out: Path | None, columns: str | None, overwrite: bool
) -> None:
    """Plots for a paper, as PNG and PDF: colour-blind safe, sized for a column.

    bars: means with intervals. box: over clips. curve: per frame. radar: several metrics at once. offset: SyncNet's distance by shift.
    history: the folder of a `watch`, a curve per metric over its checkpoints; the other kinds take its checkpoints as runs.

    \b
    Examples:
      lipsync-eval plot runs/a runs/b
      lipsync-eval plot runs/a=ours runs/b --kind box --metrics psnr,lmd --out figures/quality
      lipsync-eval plot runs/a runs/b --columns 2
      lipsync-eval plot runs/ckpt --metrics psnr,lse_c     (curves of a watch)
    """
    from lipsync_eval.reports import plot_files, plots
    from lipsync_eval.reports.unlike import unlike
    from lipsync_eval.results.history import history_file

    history = history_file(split_name(runs[0])[0]) if len(runs) == 1 else None
    kind = kind or ("bars" if history is None else "history")
    stem = out or Path(kind)
    plot_files.check_free(stem, overwrite=overwrite)
    if kind == "history":
        _history(history, metrics, columns, stem)
        return
    loaded = read_methods(runs)
    for sentence in unlike(loaded):
        click.echo(f"warning: {printable(sentence)}", err=True)
    frames = [run.all_frames() for run in loaded] if kind in {"curve", "offset"} else []
    _save(plots.draw(kind, loaded, metric_list(metrics), frames, int(columns) if columns else None), stem)


def _history(file: Path | None, metrics: str | None, columns: str | None, stem: Path) -> None:
    from lipsync_eval.reports import history_plot
    from lipsync_eval.results.history import load_history

    if file is None:
        raise UsageError("--kind history: give the folder of one `lipsync-eval watch`, and no other run")
    if columns is not None:
        raise UsageError("--columns: the curves of a watch have a width of their own; leave it out")
    _save(history_plot.draw(load_history(file), metric_list(metrics)), stem)


def _save(figure: Figure, stem: Path) -> None:
    from lipsync_eval.reports import plot_files

    try:
        written = plot_files.save(figure, stem)
    except OSError as error:
        raise OutputError(f"--out {stem}: cannot be written ({error.strerror})") from error
    for path in written:
        click.echo(str(path))
