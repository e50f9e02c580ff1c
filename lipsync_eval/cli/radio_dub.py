"""`lipsync-eval radio dub, attention, robustness`. Parse, call, print; torch is imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cache import Cache, default_cache_dir
from lipsync_eval.cli import generator_commands
from lipsync_eval.cli.generator_options import (
    AUDIO,
    DEVICE,
    FILE,
    FOLDER,
    LENGTH,
    VIDEO,
    checkpoint_option,
    dub_options,
    say,
)
from lipsync_eval.cli.output_files import check_output, png
from lipsync_eval.errors import UsageError


@click.command()
@dub_options("radio train")
@click.option(
    "--mask",
    type=click.Choice(["lower", "face"]),
    default="lower",
    show_default=True,
    help="What is pasted back: the lower half, or the face's hull in it.",
)
def dub(checkpoint: Path, device: str, **options: Any) -> None:
    """Dub a video with new speech, keeping its rate, size and everything around the mouth.

    \b
    Examples:
      lipsync-eval radio dub --video talk.mp4 --audio speech.wav --checkpoint runs/mine --out dubbed.mp4
      lipsync-eval radio dub --video talk.mp4 --audio speech.wav --checkpoint runs/mine --out dubbed.mkv --crops crops/
    """
    from lipsync_eval.baselines.radio.dubbing.generator import load_generator

    generator_commands.dub(load_generator(checkpoint, device), **options)


@click.command()
@click.option("--video", type=VIDEO, required=True)
@click.option("--audio", type=AUDIO, help="[default: the video's own audio]")
@click.option("--frame", default=0, show_default=True, help="Number of the frame.")
@click.option(
    "--layer", metavar="I.J", help="Att_{I,J}, e.g. 5.2 [default: the last attention layer of the first ViT block]."
)
@click.option("--reference", metavar="IMG|FRAME")
@checkpoint_option("radio train")
@click.option("--out", type=FILE, required=True, help="PNG file.")
@DEVICE
def attention(
    video: Path,
    audio: Path | None,
    frame: int,
    layer: str | None,
    reference: str | None,
    checkpoint: Path,
    out: Path,
    device: str,
) -> None:
    """Where patches of the generated mouth look in the reference (figure 5 of the paper), as a frame."""
    import cv2

    from lipsync_eval.baselines.kit.dubbing.destinations import check_folder
    from lipsync_eval.baselines.radio.dubbing.attention import attention_figure
    from lipsync_eval.baselines.radio.dubbing.generator import load_generator
    from lipsync_eval.files import atomic

    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out.name!r}: the figure is a PNG file; give a name that ends in .png")
    check_folder(out)
    check_output(out, "--out", png)
    generator, cache = load_generator(checkpoint, device), Cache(default_cache_dir())
    made, name = attention_figure(
        video, audio, generator, frame=frame, layer=layer, reference=reference, cache=cache, say=say
    )
    with atomic(out) as file:
        file.write(cv2.imencode(".png", made[:, :, ::-1])[1].tobytes())
    click.echo(f"{out}: attention layer {name}, frame {frame}")


@click.command()
@click.option("--video", type=VIDEO, required=True)
@click.option(
    "--audio", type=AUDIO, help="[default: the video's own audio, which makes the scores those of a reconstruction]"
)
@click.option(
    "--references",
    "references",
    multiple=True,
    required=True,
    metavar="R...",
    help="At least two image files or numbers of frames.",
)
@click.argument("more", nargs=-1, metavar="")
@checkpoint_option("radio train")
@click.option(
    "--out", type=FOLDER, required=True, help="New folder for the dubbed videos, the scores and robustness.json."
)
@click.option("--metrics", default="core", show_default=True, help="As in `score`.")
@LENGTH
@DEVICE
def robustness(
    video: Path,
    audio: Path | None,
    references: tuple[str, ...],
    more: tuple[str, ...],
    checkpoint: Path,
    out: Path,
    metrics: str,
    length: Any,
    device: str,
) -> None:
    """Dub with several references and tell how much every score moves.

    \b
    Example:
      lipsync-eval radio robustness --video talk.mp4 --references 0 120 photo.png
          --checkpoint runs/mine --out runs/robustness
    """
    from lipsync_eval.baselines.radio.dubbing.generator import load_generator
    from lipsync_eval.baselines.radio.dubbing.robustness import robustness as run
    from lipsync_eval.baselines.radio.dubbing.robustness import table

    generator = load_generator(checkpoint, device)
    settings = {"metrics": metrics, "length": length, "device": device, "cache": default_cache_dir()}
    report = run(video, audio or video, (*references, *more), generator, out, say=say, **settings)
    click.echo(table(report))
