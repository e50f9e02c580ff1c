"""`lipsync-eval stylesync prepare, train-sync, train`. Parse, call, print; torch is imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli import generator_commands
from lipsync_eval.cli.generator_commands import Asked, train_or_describe
from lipsync_eval.cli.generator_options import prepare_options, say, training_options


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


def _resolved(asked: Asked, more: tuple[str, ...] = ()) -> Any:
    from lipsync_eval.baselines.stylesync.presets import load

    return load(asked.config, (*asked.settings(), *more), asked.preset)


@click.command("train-sync")
@_OPTIONS
def train_sync(**options: Any) -> None:
    """Train the sync network of the loss: windows in sync against others, with a contrastive loss.

    \b
    Example:
      lipsync-eval stylesync train-sync --preset stylesync-64 --data data/ --out runs/sync
    """
    from lipsync_eval.baselines.stylesync.training.shapes import shapes
    from lipsync_eval.baselines.stylesync.training.sync import run_sync_training

    asked = Asked(**options)
    train_or_describe(asked, _resolved(asked), shapes, run_sync_training)


@click.command()
@_OPTIONS
@click.option(
    "--model", type=click.Choice(["stylesync", "wav2lip-h"]), help="The generator [default: the preset's own]."
)
@click.option(
    "--overfit-check", type=int, metavar="STEPS", help="Only learn one batch by heart, as a first test; writes nothing."
)
def train(model: str | None, overfit_check: int | None, **options: Any) -> None:
    """Train the generalised model G, or the baseline Wav2Lip-H.

    \b
    Examples:
      lipsync-eval stylesync train --dry-run
      lipsync-eval stylesync train --data data/ --out runs/g --set loss.sync_checkpoint=runs/sync
      lipsync-eval stylesync train --model wav2lip-h --data data/ --out runs/w
    """
    from lipsync_eval.baselines.stylesync.training import generator
    from lipsync_eval.baselines.stylesync.training.shapes import shapes

    asked = Asked(**options)
    config = _resolved(asked, () if model is None else (f"model.network={model}",))
    if overfit_check is None or asked.dry_run:
        return train_or_describe(asked, config, shapes, generator.run_training)
    from lipsync_eval.baselines.kit.training.processes import ranks

    with ranks(asked.device) as mine:
        generator.overfit_check(config, mine, overfit_check, say)
    return None
