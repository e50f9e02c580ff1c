"""`lipsync-eval avhubert-expert`: a trainable generator. Parse, call, print; torch is imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli import generator_commands
from lipsync_eval.cli.generator_commands import Asked, train_or_check, train_or_describe
from lipsync_eval.cli.generator_options import OVERFIT_CHECK, dub_options, prepare_options, training_options


@click.group("avhubert-expert", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def avhubert_expert() -> None:
    """The AV-HuBERT-expert generator (Yaman et al. 2024): prepare data, train, dub.

    \b
    Examples:
      lipsync-eval avhubert-expert prepare lrs2/ data/
      lipsync-eval avhubert-expert train --dry-run
      lipsync-eval avhubert-expert train-expert --preset avhubert-expert-48 --data data/ --out runs/expert
      lipsync-eval avhubert-expert train --data data/ --out runs/mine --set expert.weights=lipsync_expert.pth
          --set loss.avhubert_weights=base_vox_433h.pt --set loss.vgg_weights=vgg19.pth
      lipsync-eval avhubert-expert dub --video talk.mp4 --audio speech.wav --checkpoint runs/mine --out dubbed.mp4
    """


@avhubert_expert.command()
@prepare_options(size=96)
def prepare(videos: Path, out: Path, workers: int, **options: Any) -> int:
    """Talking VIDEOS (a folder, or one) to tight faces, landmarks and audio in OUT. Call again to go on.

    \b
    Example:
      lipsync-eval avhubert-expert prepare mvlrs_v1/ data/ --layout lrs2 --workers 4
    """
    from lipsync_eval.baselines.avhubert_expert.data.inputs import options as expert_options

    return generator_commands.prepare(videos, out, workers, expert_options(**options))


_OPTIONS = training_options(
    "avhubert-expert-96 (default), avhubert-expert-96-lipexpert|visual|multimodal|unsupervised, avhubert-expert-48.",
    prepare="avhubert-expert prepare",
)


@avhubert_expert.command("train-expert")
@_OPTIONS
def train_expert(**options: Any) -> None:
    """Train the lip expert, where Wav2Lip's lipsync_expert.pth is not at hand.

    \b
    Example:
      lipsync-eval avhubert-expert train-expert --data data/ --out runs/expert
    """
    from lipsync_eval.baselines.avhubert_expert.presets import load
    from lipsync_eval.baselines.avhubert_expert.training.lip_expert import run_expert_training
    from lipsync_eval.baselines.avhubert_expert.training.shapes import shapes

    asked = Asked(**options)
    train_or_describe(asked, asked.resolved(load), shapes, run_expert_training)


@avhubert_expert.command()
@_OPTIONS
@OVERFIT_CHECK
def train(overfit_check: int | None, **options: Any) -> None:
    """Train the generator.

    \b
    Examples:
      lipsync-eval avhubert-expert train --dry-run
      lipsync-eval avhubert-expert train --preset avhubert-expert-48 --data data/ --out runs/48
          --set expert.weights=runs/expert
      torchrun --nproc-per-node 4 -m lipsync_eval avhubert-expert train --data data/ --out runs/96
    """
    from lipsync_eval.baselines.avhubert_expert.presets import load
    from lipsync_eval.baselines.avhubert_expert.training import generator
    from lipsync_eval.baselines.avhubert_expert.training.shapes import shapes

    asked = Asked(**options)
    config = asked.resolved(load)
    train_or_check(asked, config, shapes, generator.run_training, generator.overfit_check, overfit_check)


@avhubert_expert.command()
@dub_options("avhubert-expert train")
@click.option(
    "--mask",
    type=click.Choice(["box", "lower", "face"]),
    default="box",
    show_default=True,
    help="What is pasted back: the whole crop, its lower half, or the face's hull in that.",
)
@click.option(
    "--lead",
    type=click.IntRange(0, 1),
    default=1,
    show_default=True,
    help="Frames by which a mel window begins before its frame; 1 as in training, 0 as Wav2Lip's inference.",
)
def dub(checkpoint: Path, device: str, lead: int, **options: Any) -> None:
    """Dub a video with new speech, keeping its rate, size and everything around the face.

    \b
    Example:
      lipsync-eval avhubert-expert dub --video talk.mp4 --audio speech.wav --checkpoint runs/mine --out dubbed.mp4
    """
    from lipsync_eval.baselines.avhubert_expert.dubbing.generator import load_generator

    generator_commands.dub(load_generator(checkpoint, device, lead), cubic=True, **options)
