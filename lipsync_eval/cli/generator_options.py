"""Options that the commands of all trainable generators share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from lipsync_eval.cli.finite import Finite

F = TypeVar("F", bound=Callable[..., Any])
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
VIDEO = click.Path(path_type=Path, exists=True)
SIDE = click.IntRange(min=16, max=2048)
"""px of stored crops."""
COUNT = click.IntRange(min=1)
AUDIO = click.Path(path_type=Path, exists=True, dir_okay=False)
DEVICE = click.option("--device", default="auto", show_default=True, help="auto | cpu | cuda[:N]")
LENGTH = click.option(
    "--length",
    type=click.Choice(["strict", "shortest"]),
    default="strict",
    show_default=True,
    help="strict refuses audio that is not as long as the video; shortest stops with the shorter of the two.",
)
OVERFIT_CHECK = click.option(
    "--overfit-check", type=int, metavar="STEPS", help="Only learn one batch by heart, as a first test; writes nothing."
)


def say(text: str) -> None:
    """One line of progress on stderr."""
    click.echo(text, err=True)


def checkpoint_option(maker: str) -> Callable[[F], F]:
    """--checkpoint; `maker`: the command that makes them, e.g. 'radio train'."""
    return click.option("--checkpoint", type=FOLDER, required=True, help=f"RUN or RUN/checkpoints/STEP of `{maker}`.")


def prepare_options(size: int) -> Callable[[F], F]:
    """Of every `prepare`; `size`: the default of --size."""
    return _all(
        click.argument("videos", type=click.Path(path_type=Path)),
        click.argument("out", type=FOLDER),
        click.option(
            "--size", type=SIDE, default=size, show_default=True, help="px of the crops; smaller models shrink them."
        ),
        click.option(
            "--layout",
            default="auto",
            show_default=True,
            help="auto | flat | lrw | lrs2 | voxceleb2 | hdtf | celebvhq | vfhq: who speaks, which split.",
        ),
        click.option(
            "--min-frames",
            type=COUNT,
            default=25,
            show_default=True,
            help="Shorter runs of frames with a face are left out.",
        ),
        quality_options,
        click.option("--landmarks", default="dlib68", show_default=True, help="Landmark backend."),
        click.option("--detector", help="Face detector when not the backend's own."),
        click.option("--workers", type=COUNT, default=1, show_default=True, help="Processes."),
    )


def quality_options(command: F) -> F:
    """--min-face, --min-sharpness: of every command that prepares data (kit/data/quality.py)."""
    number = Finite(min=0)
    return _all(
        click.option(
            "--min-face",
            type=number,
            default=0.0,
            help="px; runs whose face (brows to chin) is less high in the source are left out [default: off].",
        ),
        click.option(
            "--min-sharpness",
            type=number,
            default=0.0,
            help="Runs whose crops are less sharp (variance of the Laplacian) are left out [default: off].",
        ),
    )(command)


def training_options(presets: str, prepare: str) -> Callable[[F], F]:
    """Of every `train*`: the fields of `generator_commands.Asked`.

    Args:
        presets: the help text of --preset.
        prepare: the command that makes the data, e.g. 'radio prepare'.
    """
    return _all(
        click.option("--config", type=FILE, help='TOML file: preset = "..." and sections as --dry-run prints them.'),
        click.option("--preset", help=presets),
        click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Override; repeatable."),
        click.option("--data", type=FOLDER, help=f"Folder made by `{prepare}`."),
        click.option("--out", type=FOLDER, help="Folder of the run."),
        click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out."),
        click.option("--dry-run", is_flag=True, help="Print configuration and shapes; touch no data."),
        DEVICE,
    )


def dub_options(maker: str, reference: bool = True) -> Callable[[F], F]:
    """Of every `dub` but its masks: arguments of `kit.dubbing.dub.dub`, --checkpoint and --device.

    Args:
        maker: the command that makes checkpoints.
        reference: whether the generator is given a reference; one that chooses its own has no such option.
    """
    given = click.option(
        "--reference",
        metavar="IMG|FRAME",
        help="Image file, or number of a frame of the video [default: its first with a face].",
    )
    return _all(
        click.option("--video", type=VIDEO, required=True, help="Video whose mouth is replaced."),
        click.option("--audio", type=AUDIO, required=True, help="New speech: an audio file, or a video's audio."),
        *([given] if reference else []),
        checkpoint_option(maker),
        click.option(
            "--out",
            type=FILE,
            required=True,
            help=".mp4 (H.264) or .mkv (lossless); replaced if there. OUT.json tells what was done.",
        ),
        click.option(
            "--crops",
            type=FOLDER,
            help="Folder that also gets gen/STEM.mkv and gt/STEM.mkv, the crops, for scoring.",
        ),
        LENGTH,
        click.option(
            "--batch", type=click.IntRange(min=1), help="Frames at once [default: as suits device and model]."
        ),
        DEVICE,
    )


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add
