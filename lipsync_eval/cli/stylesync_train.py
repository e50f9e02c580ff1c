"""`lipsync-eval stylesync prepare, train-sync, train`. Parse, call, print; torch is imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli import generator_commands
from lipsync_eval.cli.generator_commands import Asked, train_or_check, train_or_describe
from lipsync_eval.cli.generator_options import OVERFIT_CHECK, prepare_options, training_options


@click.command()
@prepare_options(size=256)
@click.option(
    "--align",
    type=click.Choice(["eyes", "authors"]),
    default="eyes",
    show_default=True,
    help="Crops: by the eyes, as the paper says, or as the authors' inference code.",
)
def prepare(videos: Path, out: Path, workers: int, **options: Any) -> int:
    """Talking VIDEOS (a folder, or one) to crops, landmarks and audio in OUT. Call again to go on.

    \b
    Example:
      lipsync-eval stylesync prepare videos/ data/ --workers 4
    """
    from lipsync_eval.baselines.stylesync.data.inputs import options as stylesync_options

    return generator_commands.prepare(videos, out, workers, stylesync_options(**options))


_OPTIONS = training_options(
    "stylesync-256 (default), stylesync-256-g|womask|wosync|authors, wav2lip-h, stylesync-64, wav2lip-h-64.",
    prepare="stylesync prepare",
)


@click.command("train-sync")
@_OPTIONS
def train_sync(**options: Any) -> None:
    """Train the sync network of the loss: windows in sync against others, with a contrastive loss.

    \b
    Example:
      lipsync-eval stylesync train-sync --preset stylesync-64 --data data/ --out runs/sync
    """
    from lipsync_eval.baselines.stylesync.presets import load
    from lipsync_eval.baselines.stylesync.training.shapes import shapes
    from lipsync_eval.baselines.stylesync.training.sync import run_sync_training

    asked = Asked(**options)
    train_or_describe(asked, asked.resolved(load), shapes, run_sync_training)


@click.command()
@_OPTIONS
@click.option(
    "--model", type=click.Choice(["stylesync", "wav2lip-h"]), help="The generator [default: the preset's own]."
)
@OVERFIT_CHECK
def train(model: str | None, overfit_check: int | None, **options: Any) -> None:
    """Train the generalised model G, or the baseline Wav2Lip-H.

    \b
    Examples:
      lipsync-eval stylesync train --dry-run
      lipsync-eval stylesync train --data data/ --out runs/g --set loss.sync_checkpoint=runs/sync
      lipsync-eval stylesync train --model wav2lip-h --data data/ --out runs/w
    """
    from lipsync_eval.baselines.stylesync.presets import load
    from lipsync_eval.baselines.stylesync.training import generator
    from lipsync_eval.baselines.stylesync.training.shapes import shapes

    asked = Asked(**options)
    config = asked.resolved(load, *([] if model is None else [f"model.network={model}"]))
    train_or_check(asked, config, shapes, generator.run_training, generator.overfit_check, overfit_check)
