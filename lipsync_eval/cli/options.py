"""Options that several commands share, and how they become Settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from lipsync_eval.cache import default_cache_dir
from lipsync_eval.types import Settings

F = TypeVar("F", bound=Callable[..., Any])

_MEASURING = (
    click.option(
        "--protocol",
        default="radio",
        show_default=True,
        help="Crop protocol: a name (`list protocols`) or a TOML file of one.",
    ),
    click.option(
        "--crop-from",
        type=click.Choice(["auto", "gt", "own"]),
        help="Whose landmarks place both crops [default: auto = gt where the sizes match].",
    ),
    click.option(
        "--radius",
        type=click.Choice(["per-frame", "clip-median"]),
        help="Crop radius per picture or one for the clip [default: per-frame].",
    ),
    click.option(
        "--audio", type=click.Choice(["gen", "gt"]), default="gen", show_default=True, help="Whose sound is scored."
    ),
    click.option(
        "--align", default="trim:5", show_default=True, help="trim:N | strict | shortest, for videos of unlike length."
    ),
    click.option(
        "--face",
        type=click.Choice(["largest", "single"]),
        default="largest",
        show_default=True,
        help="single: several faces fail the clip.",
    ),
    click.option(
        "--landmarks", default="dlib68", show_default=True, help="Landmark backend: dlib68 | fan | mediapipe."
    ),
    click.option("--detector", help="Face detector when not the backend's own: hog | yunet | mediapipe | s3fd."),
    click.option(
        "--weights", "weights", multiple=True, metavar="NAME=FILE", help="A weights file of yours; repeatable."
    ),
    click.option("--device", default="auto", show_default=True, help="auto | cpu | cuda[:N]"),
    click.option("--offline", is_flag=True, help="Never open a socket."),
    click.option(
        "--reference",
        type=click.Path(path_type=Path),
        help="Image, video or folder of them (by clip id) for the _ref metrics.",
    ),
    click.option(
        "--sync-detector",
        type=click.Choice(["track", "s3fd"]),
        help="Boxes for SyncNet's crop [default: track = the run's own].",
    ),
    click.option("--compat", type=click.Choice(["jpeg"]), help="jpeg: SyncNet's official lossy steps."),
    click.option(
        "--roi", type=click.Choice(["align", "center88", "resize"]), help="AV-HuBERT's mouth region [default: align]."
    ),
    click.option("--lpips-net", type=click.Choice(["alex", "vgg", "squeeze"]), help="LPIPS trunk [default: alex]."),
    click.option(
        "--fid-stats",
        type=click.Path(path_type=Path),
        help="Statistics of the real crops: read if there, else written.",
    ),
    click.option(
        "--option",
        "extra",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any further option of a metric or protocol; repeatable.",
    ),
    click.option(
        "--cache",
        "cache",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder for tracks and features [default: the user's cache folder].",
    ),
    click.option("--no-cache", is_flag=True, help="Keep no tracks or features."),
    click.option("--seed", type=int, default=12345, show_default=True, help="Of the bootstrap intervals."),
)


def measuring(command: F) -> F:
    """Add the options that say how clips are measured."""
    for option in reversed(_MEASURING):
        command = option(command)
    return command


def measuring_settings(values: dict[str, Any]) -> Settings:
    """Take the measuring options out of a command's parameters and give them as Settings.

    Raises:
        click.BadParameter: a NAME=FILE or KEY=VALUE without '='.
    """
    take = values.pop
    protocol_options = {
        k: v for k, v in (("crop_from", take("crop_from")), ("radius", take("radius"))) if v is not None
    }
    options: dict[str, str] = {}
    for key in ("sync_detector", "compat", "roi", "lpips_net", "fid_stats"):
        if (value := take(key)) is not None:
            options[key] = str(value)
    for key, value in _pairs(take("extra"), "--option", "KEY=VALUE"):
        if key.startswith("protocol."):
            protocol_options[key.removeprefix("protocol.")] = value
        else:
            options[key] = value
    no_cache, cache = take("no_cache"), take("cache")
    names = ("protocol", "audio", "align", "face", "landmarks", "detector", "device", "offline", "reference", "seed")
    return Settings(
        **{name: take(name) for name in names},
        protocol_options=protocol_options,
        options=options,
        weights={k: Path(v) for k, v in _pairs(take("weights"), "--weights", "NAME=FILE")},
        cache_dir=None if no_cache else cache or default_cache_dir(),
    )


def _pairs(texts: Sequence[str], flag: str, form: str) -> list[tuple[str, str]]:
    found = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise click.BadParameter(f"{flag} {text!r}: expected {form}")
        found.append((key, value))
    return found
