"""`lipsync-eval radio prepare, train-sync, train`. Parse, call, print; torch is imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli import generator_commands
from lipsync_eval.cli.generator_commands import Asked, train_or_check, train_or_describe
from lipsync_eval.cli.generator_options import OVERFIT_CHECK, prepare_options, training_options


@click.command()
@prepare_options(size=192)
def prepare(videos: Path, out: Path, workers: int, **options: Any) -> int:
    """Talking VIDEOS (a folder, or one) to crops, landmarks and mels in OUT. Call again to go on.

    \b
    Example:
      lipsync-eval radio prepare videos/ data/ --size 96 --workers 4
    """
    from lipsync_eval.baselines.radio.data.inputs import options as radio_options

    return generator_commands.prepare(videos, out, workers, radio_options(**options))


_OPTIONS = training_options(
    "radio-192 (default), radio-96, radio-96-a..d, radio-96-vit11|vit12|vit22, sync-paper, sync-paper-96, radio-48.",
    prepare="radio prepare",
)


@click.command("train-sync")
@_OPTIONS
def train_sync(**options: Any) -> None:
    """Train the sync discriminator: windows in sync against windows with shifted audio.

    \b
    Examples:
      lipsync-eval radio train-sync --data data/ --out runs/sync
      lipsync-eval radio train-sync --preset sync-paper --data data/ --out runs/sync    # the papers' own
      torchrun --nproc-per-node 4 -m lipsync_eval radio train-sync --data data/ --out runs/sync
    """
    from lipsync_eval.baselines.radio.presets import load
    from lipsync_eval.baselines.radio.training.shapes import shapes
    from lipsync_eval.baselines.radio.training.sync import run_sync_training

    asked = Asked(**options)
    train_or_describe(asked, asked.resolved(load), shapes, run_sync_training)


@click.command()
@_OPTIONS
@OVERFIT_CHECK
def train(overfit_check: int | None, **options: Any) -> None:
    """Train the generator.

    \b
    Examples:
      lipsync-eval radio train --dry-run
      lipsync-eval radio train --preset radio-96 --data data/ --out runs/r96 --set train.precision=bf16
      torchrun --nproc-per-node 4 -m lipsync_eval radio train --data data/ --out runs/r192
    """
    from lipsync_eval.baselines.radio.presets import load
    from lipsync_eval.baselines.radio.training import generator
    from lipsync_eval.baselines.radio.training.shapes import shapes

    asked = Asked(**options)
    config = asked.resolved(load)
    train_or_check(asked, config, shapes, generator.run_training, generator.overfit_check, overfit_check)
