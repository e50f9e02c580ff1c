"""`lipsync-eval weights list|pull|verify|path`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipsync_eval.cli import streams
from lipsync_eval.cli.pairs import weights_files
from lipsync_eval.errors import WeightsError
from lipsync_eval.types import Settings

if TYPE_CHECKING:
    from lipsync_eval.weights.download import Report

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_CONTEXT)
def weights() -> None:
    """List, download and verify weights.

    \b
    Examples:
      lipsync-eval weights list
      lipsync-eval weights pull syncnet s3fd
      lipsync-eval weights verify syncnet --clip example.avi
      LIPSYNC_EVAL_WEIGHTS=/data/weights lipsync-eval score gen/ gt/ --metrics all
    """


@weights.command("list", context_settings=_CONTEXT)
def list_() -> None:
    """All rows: is the file here, its published hash, its size, what its licence allows.

    `unverified`: nobody published a hash; compare the one that `pull` prints.

    \b
    Examples:
      lipsync-eval weights list
      lipsync-eval show syncnet        addresses, citation, preprocessing of one row
    """
    from lipsync_eval.weights.listing import lines

    for line in lines():
        click.echo(line)


@weights.command(context_settings=_CONTEXT)
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder [default: the user's weights folder].",
)
@click.option("--offline", is_flag=True, help="Never open a socket: fail when a file is not here.")
@click.option("--quiet", is_flag=True, help="No progress.")
def pull(names: tuple[str, ...], folder: Path | None, offline: bool, quiet: bool) -> int:
    """Download the weights NAMES, or `all`: whatever `score --metrics all` needs by default.

    A file is kept only when it is whole and has the published hash. A broken download goes on where it stopped. Exit 2
    when any could not be had.

    \b
    Examples:
      lipsync-eval weights pull syncnet
      lipsync-eval weights pull all
      lipsync-eval weights pull lpips-vgg avhubert-large-vox-433h --to /data/weights
    """
    from lipsync_eval.weights.download import pull as fetch
    from lipsync_eval.weights.registry import get_row

    chosen = dict.fromkeys(n for name in names for n in (_needed() if name == "all" else (name,)))
    found = [get_row(name) for name in chosen]
    lost = []
    with _progress(quiet) as report:
        for row in found:
            if row.research_only:
                click.echo(f"{row.name}: {row.licence}", err=True)
            try:
                pulled = fetch(row.name, folder=folder, offline=offline, report=report)
            except WeightsError as error:
                lost.append(str(error))
                continue
            for item in pulled:
                state = "verified" if item.verified else "unverified: nobody published its hash"
                click.echo(
                    f"{item.name}  {item.path}  sha256 {item.sha256}  {state}{'' if item.fetched else '  (was here)'}"
                )
    if lost:
        raise WeightsError("\n".join(lost))
    return 0


@weights.command(context_settings=_CONTEXT)
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--clip", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="syncnet: the published example.avi."
)
@click.option("--weights", "given", multiple=True, metavar="NAME=FILE", help="A weights file of yours; repeatable.")
@click.option("--device", default="auto", show_default=True, help="auto | cpu | cuda[:N]")
def verify(names: tuple[str, ...], clip: Path | None, given: tuple[str, ...], device: str) -> None:
    """Check the files of NAMES: hash, then that the network takes them, then a known answer where there is one.

    \b
    Examples:
      lipsync-eval weights verify syncnet --clip example.avi
      lipsync-eval weights verify s3fd lpips-alex
    """
    from lipsync_eval.weights import check_overrides
    from lipsync_eval.weights.verify import verify as check

    overrides = weights_files(given)
    check_overrides(overrides)
    settings = Settings(weights=overrides, device=device)
    for name in names:
        for line in check(settings, name, clip):
            click.echo(f"{name}: {line}")


@weights.command(context_settings=_CONTEXT)
@click.argument("name", required=False)
def path(name: str | None) -> None:
    """Where `pull` puts files; with NAME, where that row's files are.

    \b
    Examples:
      lipsync-eval weights path
      lipsync-eval weights path syncnet
    """
    from lipsync_eval.weights import get_row, locate, weights_cache_dir

    if name is None:
        click.echo(weights_cache_dir())
        return
    for entry in get_row(name).files:
        click.echo(locate(Settings(), name, part=entry.part).path)


def _needed() -> tuple[str, ...]:
    """Rows of the default definitions of every metric in `all`, and S3FD (protocols syncnet and latentsync)."""
    from lipsync_eval.metrics.registry import specs

    rows = (row for spec in specs().values() if spec.group in {"core", "weights"} for row in spec.weights)
    return tuple(dict.fromkeys((*rows, "s3fd")))


@contextmanager
def _progress(quiet: bool) -> Iterator[Report]:
    """A bar a file on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    console = Console(file=streams.bars(), stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def report(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=total)
            bars.update(tasks[file], completed=done, total=total)

        yield report
