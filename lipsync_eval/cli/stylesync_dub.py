"""`lipsync-eval stylesync personalise, dub`. Parse, call, print; torch is imported inside the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli import generator_commands
from lipsync_eval.cli.finite import Finite
from lipsync_eval.cli.generator_options import AUDIO, DEVICE, FOLDER, VIDEO, dub_options, say


@click.command()
@click.argument("base", type=FOLDER)
@click.option("--video", type=VIDEO, required=True, help="Of the person: seconds to a minute.")
@click.option("--audio", type=AUDIO, help="The person's speech in it, where the video has no audio.")
@click.option("--general", type=FOLDER, help="Folder made by `stylesync prepare`: half of every batch.")
@click.option("--alone", is_flag=True, help="No general data (the paper found that less stable).")
@click.option("--out", type=FOLDER, required=True, help="Folder of the run.")
@click.option(
    "--preset", type=click.Choice(["p", "p-wodw"]), default="p", show_default=True, help="p-wodw: without dW."
)
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="personal.*, data.* or loss.*.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
@DEVICE
def personalise(
    base: Path,
    video: Path,
    audio: Path | None,
    general: Path | None,
    alone: bool,
    out: Path,
    preset: str,
    overrides: tuple[str, ...],
    resume: bool,
    device: str,
) -> None:
    """Personalise the run or checkpoint BASE of `stylesync train` for the person of one video.

    \b
    Examples:
      lipsync-eval stylesync personalise runs/g --video talk.mp4 --general data/ --out runs/p
      lipsync-eval stylesync personalise runs/g --video talk.mp4 --alone --out runs/p --set personal.epochs=5
    """
    from lipsync_eval.baselines.kit.training.processes import ranks
    from lipsync_eval.baselines.stylesync.training.personal import personalise as run
    from lipsync_eval.baselines.stylesync.training.personal import resolve

    given = [f"data.folder={json.dumps(str(general))}"] if general else []
    with ranks(device) as mine:
        config = resolve(base, preset, (*given, *overrides), alone=alone)
        run(base, video, audio, out, config, mine, alone=alone, resume=resume, say=say)


@click.command()
@dub_options("stylesync train")
@click.option("--personal", type=FOLDER, help="RUN of `stylesync personalise` from this checkpoint.")
@click.option(
    "--mask",
    type=click.Choice(["model", "lower", "face"]),
    default="model",
    show_default=True,
    help="What is pasted back: the model's own mask, the lower half, or the hull of jaw and nose.",
)
@click.option(
    "--audio-smooth",
    type=Finite(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of the frame before in f_a (authors: 0.3).",
)
@click.option(
    "--audio-gain",
    type=Finite(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Factor on f_a (authors: 1.25).",
)
def dub(
    checkpoint: Path,
    device: str,
    personal: Path | None,
    mask: str,
    audio_smooth: float,
    audio_gain: float,
    reference: str | None,
    **options: Any,
) -> None:
    """Dub a video with new speech, keeping its rate, size and everything around the mouth.

    `--reference each` shows the network every frame itself, with its true mouth, as the authors' script does.

    \b
    Examples:
      lipsync-eval stylesync dub --video talk.mp4 --audio speech.wav --checkpoint runs/g --out dubbed.mp4
      lipsync-eval stylesync dub --video talk.mp4 --audio speech.wav --checkpoint runs/g --personal runs/p --out p.mkv
    """
    from lipsync_eval.baselines.stylesync.dubbing.generator import load_generator
    from lipsync_eval.baselines.stylesync.dubbing.mask import masker

    generator = load_generator(checkpoint, device, personal, audio_smooth, audio_gain)
    own = reference == "each"
    chosen = masker(generator.mask, generator.size) if mask == "model" else mask
    generator_commands.dub(generator, reference=None if own else reference, own_frames=own, mask=chosen, **options)
