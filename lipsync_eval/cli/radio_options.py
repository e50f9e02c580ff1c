"""Options that commands of `lipsync-eval radio` share."""

from __future__ import annotations

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
VIDEO = click.Path(path_type=Path, exists=True)
SOUND = click.Path(path_type=Path, exists=True, dir_okay=False)
DEVICE = click.option("--device", default="auto", show_default=True, help="auto | cpu | cuda[:N]")
LENGTH = click.option(
    "--length",
    type=click.Choice(["strict", "shortest"]),
    default="strict",
    show_default=True,
    help="strict refuses audio that is not as long as the video; shortest stops with the shorter of the two.",
)
CHECKPOINT = click.option(
    "--checkpoint", type=FOLDER, required=True, help="RUN or RUN/checkpoints/STEP of `radio train`."
)


def say(text: str) -> None:
    """One line of progress on stderr."""
    click.echo(text, err=True)
