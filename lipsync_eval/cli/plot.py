"""`lipsync-eval plot RUN...`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from lipsync_eval.errors import OutputError


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--kind", type=click.Choice(["bars", "box", "curve", "radar", "offset"]), default="bars", show_default=True
)
@click.option("--metrics", help="Ids, comma separated [default: all that the runs scored].")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Path without suffix: OUT.png and OUT.pdf are written [default: ./KIND].",
)
def plot(runs: tuple[Path, ...], kind: str, metrics: str | None, out: Path | None) -> None:
    """Plots for a paper, as PNG and PDF: colour-blind safe, sized for a column.

    bars: means with intervals. box: over clips. curve: per frame. radar: several metrics at once. offset: SyncNet's distance by shift.

    \b
    Examples:
      lipsync-eval plot runs/a runs/b
      lipsync-eval plot runs/* --kind box --metrics psnr,lmd --out figures/quality
    """
    from lipsync_eval.results.schema import load_result
    from lipsync_eval.results.store import load_frames

    plots = import_module("lipsync_eval.reports.plots")
    loaded = [load_result(r) for r in runs]
    for sentence in import_module("lipsync_eval.reports.unlike").unlike(loaded):
        click.echo(f"warning: {sentence}", err=True)
    frames = [load_frames(r) for r in runs] if kind in {"curve", "offset"} else []
    names = [m.strip() for m in metrics.split(",") if m.strip()] if metrics else None
    stem = out or Path(kind)
    try:
        written = plots.save(plots.draw(kind, loaded, names, frames), stem)
    except OSError as error:
        raise OutputError(f"--out {stem}: cannot be written ({error.strerror})") from error
    for path in written:
        click.echo(str(path))
