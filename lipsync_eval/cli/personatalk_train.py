"""`lipsync-eval personatalk fit, train-geometry, train-renderer`. Parse, call, print; torch is imported inside the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lipsync_eval.cache import Cache, default_cache_dir
from lipsync_eval.cli import generator_commands
from lipsync_eval.cli.generator_commands import Asked, train_or_check, train_or_describe
from lipsync_eval.cli.generator_options import (
    COUNT,
    FILE,
    FOLDER,
    OVERFIT_CHECK,
    SIDE,
    quality_options,
    say,
    training_options,
)

if TYPE_CHECKING:
    from lipsync_eval.baselines.personatalk.config import GeometryConfig

F = TypeVar("F", bound=Callable[..., Any])
FILES = ("landmarker", "bfm_model", "bfm_network", "flame_model")


def provider_files(command: F) -> F:
    """Options that name the files of a geometry provider."""
    texts = (
        ("--landmarker", "mediapipe: face_landmarker.task [default: where `lipsync-eval weights` keeps it]."),
        ("--bfm-model", "bfm: BFM_model_front.mat."),
        ("--bfm-network", "bfm: the ResNet-50 checkpoint of Deep3DFaceRecon_pytorch."),
        ("--flame-model", "flame: FLAME as .npz (docs/personatalk-generator.md)."),
    )
    for flag, text in reversed(texts):
        command = click.option(flag, type=FILE, help=text)(command)
    return command


def geometry_config(values: dict[str, Any], provider: str | None = None) -> GeometryConfig:
    """The provider's settings out of a command's parameters."""
    from lipsync_eval.baselines.personatalk.config import GeometryConfig

    files: dict[str, Any] = {name: values.pop(name) for name in FILES}
    if provider:
        files["provider"] = provider
    return GeometryConfig(**files)


@click.command()
@click.argument("videos", type=click.Path(path_type=Path))
@click.option(
    "--provider",
    type=click.Choice(["mediapipe", "bfm", "flame", "points68"]),
    default="mediapipe",
    show_default=True,
    help="Who fits the face; mediapipe is an optional package, bfm and flame need files of yours, points68 is for tests.",
)
@click.option("--vertices", type=FOLDER, help="Folder for the geometry files [default: beside the clips].")
@click.option("--data", type=FOLDER, help="Also make training data here; needs audio.")
@click.option("--again", is_flag=True, help="Fit clips again that have a geometry file.")
@click.option(
    "--size", type=SIDE, default=256, show_default=True, help="px of the crops of --data; smaller models shrink them."
)
@click.option("--layout", default="auto", show_default=True, help="As `radio prepare --layout`.")
@click.option(
    "--min-frames",
    type=COUNT,
    default=25,
    show_default=True,
    help="--data: shorter runs of frames with a face are left out.",
)
@quality_options
@click.option("--workers", type=COUNT, default=1, show_default=True, help="Processes of --data.")
@provider_files
def fit(
    videos: Path,
    provider: str,
    vertices: Path | None,
    data: Path | None,
    again: bool,
    size: int,
    layout: str,
    min_frames: int,
    min_face: float,
    min_sharpness: float,
    workers: int,
    **files: Any,
) -> int:
    """Fit the face of every clip in VIDEOS (a folder, or one video).

    Writes STEM.vertices.npz beside each clip, which the metric stylesim_vertices reads; with --data also shards for
    train-geometry and train-renderer. Call it again to continue.

    \b
    Examples:
      lipsync-eval personatalk fit dubbed/
      lipsync-eval personatalk fit videos/ --data data/
      lipsync-eval personatalk fit videos/ --vertices fitted/ --landmarker face_landmarker.task
    """
    from lipsync_eval.baselines.personatalk.data.inputs import options
    from lipsync_eval.baselines.personatalk.dubbing.fitting import fit_all, places
    from lipsync_eval.baselines.personatalk.geometry.provider import open_provider

    opened = open_provider(geometry_config(files, provider))
    where = places(videos, vertices)
    if data is not None:
        kept = {"min_frames": min_frames, "min_face": min_face, "min_sharpness": min_sharpness}
        how = options(opened, size, where, layout=layout, **kept)
        return generator_commands.prepare(videos, data, workers, how)
    found = fit_all(opened, videos, where, layout=layout, again=again, cache=Cache(default_cache_dir()), say=say)
    for name, message in found.failures.items():
        say(f"failed: {name}: {message}")
    click.echo(json.dumps({"provider": opened.description, "files": len(found.files), "failures": found.failures}))
    return 3 if found.failures else 0


_OPTIONS = training_options(
    "personatalk-256 (default), -wostyle, -single, -random (table 4), personatalk-256-mel, personatalk-128 (CPU), "
    "-wostyle, -single, -random.",
    prepare="personatalk fit --data",
)


@click.command("train-geometry")
@_OPTIONS
def train_geometry(**options: Any) -> None:
    """Train stage 1: from speech and style to the vertices of the lower face.

    \b
    Examples:
      lipsync-eval personatalk train-geometry --dry-run
      lipsync-eval personatalk train-geometry --data data/ --out runs/geometry --set stage1.hubert_weights=hubert_base_ls960.pt
      lipsync-eval personatalk train-geometry --preset personatalk-128 --data data/ --out runs/geometry
    """
    from lipsync_eval.baselines.personatalk.presets import load
    from lipsync_eval.baselines.personatalk.training.geometry import run_training
    from lipsync_eval.baselines.personatalk.training.shapes import geometry_shapes

    asked = Asked(**options)
    train_or_describe(asked, asked.resolved(load), geometry_shapes, run_training)


@click.command("train-renderer")
@_OPTIONS
@OVERFIT_CHECK
def train_renderer(overfit_check: int | None, **options: Any) -> None:
    """Train stage 2: from geometry and reference frames to crops.

    \b
    Examples:
      lipsync-eval personatalk train-renderer --dry-run
      lipsync-eval personatalk train-renderer --data data/ --out runs/renderer --set render_loss.vgg_weights=vgg19.pth
      lipsync-eval personatalk train-renderer --preset personatalk-256-single --data data/ --out runs/single
    """
    from lipsync_eval.baselines.personatalk.presets import load
    from lipsync_eval.baselines.personatalk.training import render
    from lipsync_eval.baselines.personatalk.training.shapes import render_shapes

    asked = Asked(**options)
    config = asked.resolved(load)
    train_or_check(asked, config, render_shapes, render.run_training, render.overfit_check, overfit_check)
