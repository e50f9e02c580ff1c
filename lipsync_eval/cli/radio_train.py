"""`lipsync-eval radio prepare, train-sync, train`. Parse, call, print; torch is imported inside the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli.radio_options import DEVICE, FILE, FOLDER, say
from lipsync_eval.errors import UsageError


@click.command()
@click.argument("videos", type=click.Path(path_type=Path))
@click.argument("out", type=FOLDER)
@click.option("--size", default=192, show_default=True, help="px of the aligned pictures; smaller models shrink them.")
@click.option(
    "--layout", default="auto", show_default=True, help="auto | flat | lrw | voxceleb2 | hdtf: who speaks, which split."
)
@click.option("--min-frames", default=25, show_default=True, help="Shorter runs of pictures with a face are left out.")
@click.option("--landmarks", default="dlib68", show_default=True, help="Landmark backend.")
@click.option("--detector", help="Face detector when not the backend's own.")
@click.option("--workers", default=1, show_default=True, help="Processes.")
def prepare(videos: Path, out: Path, workers: int, **options: Any) -> int:
    """Talking VIDEOS (a folder, or one) to aligned pictures, landmarks and mels in OUT. Call again to go on.

    \b
    Example:
      lipsync-eval radio prepare videos/ data/ --size 96 --workers 4
    """
    from lipsync_eval.baselines.radio.prepare import prepare as run
    from lipsync_eval.baselines.radio.prepare import summary
    from lipsync_eval.baselines.radio.segments import Options

    found = summary(run(videos, out, Options(**options), workers=workers, say=say))
    for failure in found["failures"]:
        say(f"failed: {failure['source']}: {failure['message']}")
    click.echo(json.dumps(found, indent=1))
    return 3 if found["failures"] else 0


def _training(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of both trainings."""
    for option in reversed(
        (
            click.option(
                "--config", type=FILE, help='TOML file: preset = "..." and sections as --dry-run prints them.'
            ),
            click.option(
                "--preset", help="radio-192 (default), radio-96, radio-96-a..d, radio-96-vit11|vit12|vit22, radio-48."
            ),
            click.option(
                "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Override; repeatable."
            ),
            click.option("--data", type=FOLDER, help="Folder made by `radio prepare`."),
            click.option("--out", type=FOLDER, help="Folder of the run."),
            click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out."),
            click.option("--dry-run", is_flag=True, help="Print configuration and shapes; touch no data."),
            DEVICE,
        )
    ):
        command = option(command)
    return command


def _resolved(config: Path | None, preset: str | None, overrides: tuple[str, ...], data: Path | None) -> Any:
    from lipsync_eval.baselines.radio.presets import load

    more = [f"data.folder={json.dumps(str(data))}"] if data else []
    return load(config, [*overrides, *more], preset)


def _dry(config: Any) -> None:
    from lipsync_eval.baselines.radio.describe import shapes, toml

    click.echo(toml(config))
    click.echo(shapes(config), nl=False)


def _train(run: Callable[..., None], out: Path | None, device: str, config: Any, *, resume: bool) -> None:
    from lipsync_eval.baselines.radio.ranks import ranks

    if out is None:
        raise UsageError("no folder for the run; give --out DIR")
    with ranks(device) as mine:
        run(config, out, mine, resume=resume, say=say if mine.first else lambda text: None)


@click.command("train-sync")
@_training
def train_sync(
    config: Path | None,
    preset: str | None,
    overrides: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    resume: bool,
    dry_run: bool,
    device: str,
) -> None:
    """Train the sync discriminator: windows in sync against windows with shifted sound.

    \b
    Examples:
      lipsync-eval radio train-sync --data data/ --out runs/sync
      torchrun --nproc-per-node 4 -m lipsync_eval radio train-sync --data data/ --out runs/sync
    """
    from lipsync_eval.baselines.radio.train_sync import run_sync_training

    resolved = _resolved(config, preset, overrides, data)
    if dry_run:
        return _dry(resolved)
    return _train(run_sync_training, out, device, resolved, resume=resume)


@click.command()
@_training
@click.option(
    "--overfit-check", type=int, metavar="STEPS", help="Only learn one batch by heart, as a first test; writes nothing."
)
def train(
    config: Path | None,
    preset: str | None,
    overrides: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    resume: bool,
    dry_run: bool,
    device: str,
    overfit_check: int | None,
) -> None:
    """Train the generator.

    \b
    Examples:
      lipsync-eval radio train --dry-run
      lipsync-eval radio train --preset radio-96 --data data/ --out runs/r96 --set train.precision=bf16
      torchrun --nproc-per-node 4 -m lipsync_eval radio train --data data/ --out runs/r192
    """
    resolved = _resolved(config, preset, overrides, data)
    if dry_run:
        return _dry(resolved)
    from lipsync_eval.baselines.radio import train as training

    if overfit_check is not None:
        from lipsync_eval.baselines.radio.ranks import ranks

        with ranks(device) as mine:
            training.overfit_check(resolved, mine, overfit_check, say)
        return None
    return _train(training.run_training, out, device, resolved, resume=resume)
