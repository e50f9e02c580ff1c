"""`lipsync-eval merge RUN [RUN ...] --out RUN`."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the results [default: the first RUN].")
@click.option("--overwrite", is_flag=True, help="Replace the finished run that OUT holds.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: results.json on stdout.",
)
@click.option("--quiet", is_flag=True, help="No warnings.")
def merge(runs: tuple[Path, ...], out: Path | None, overwrite: bool, form: str, quiet: bool) -> int:
    """Put the shards of a run together (`score --shard K/N`).

    Every RUN is a folder that one or several shards wrote. The result equals that of the undivided run; videos and
    weights are not needed. Exit 0: all scored. 2: shards are missing or at work (they are named), nothing was written.
    3: some clips failed, the rest is written.

    \b
    Examples:
      lipsync-eval merge runs/x
      lipsync-eval merge shard-1 shard-2 shard-3 --out runs/x
    """
    from lipsync_eval.engine.merge import merge as run_merge

    def warn(text: str) -> None:
        if not quiet:
            click.echo(f"warning: {text}", err=True)

    result = run_merge(runs, out=out, overwrite=overwrite, command=["lipsync-eval", *sys.argv[1:]], warn=warn)
    folder = out or runs[0]
    click.echo(result.to_json(folder).rstrip("\n") if form == "json" else str(result))
    if form == "text":
        click.echo(f"results: {folder / 'results.json'}")
    return 3 if result.failures else 0
