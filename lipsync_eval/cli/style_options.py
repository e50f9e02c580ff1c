"""Options that the style commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lipsync_eval.cli.pairs import weights_files
from lipsync_eval.types import Settings

if TYPE_CHECKING:
    from lipsync_eval.features.style.corpus import Recording

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--features",
        type=click.Choice(["points68", "blendshapes", "vertices"]),
        default="points68",
        show_default=True,
        help="What expression is read as; vertices: STEM.vertices.npz beside the clips, of `personatalk fit`.",
    ),
    click.option(
        "--speakers",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="CSV with columns clip,speaker [default: the first folder below CLIPS, else the clip].",
    ),
    click.option("--landmarks", default="dlib68", show_default=True, help="Landmark backend."),
    click.option("--weights", multiple=True, metavar="NAME=FILE", help="A weights file of yours; repeatable."),
    click.option(
        "--cache",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder for tracks and scores [default: the user's cache folder].",
    ),
)


def corpus(command: F) -> F:
    """Add the options that say what is read from a folder of speakers."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def corpus_settings(values: dict[str, Any]) -> Settings:
    """The shared options, taken out of a command's parameters, as Settings.

    Raises:
        click.BadParameter: a NAME=FILE without '='.
    """
    from lipsync_eval.cache import default_cache_dir

    return Settings(
        landmarks=values.pop("landmarks"),
        weights=weights_files(values.pop("weights")),
        cache_dir=values.pop("cache") or default_cache_dir(),
    )


def tell(recording: Recording, problem: str) -> None:
    """Warn about a clip that could not be read."""
    if problem:
        click.echo(f"warning: {recording.name} is left out: {problem}", err=True)
