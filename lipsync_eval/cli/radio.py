"""`lipsync-eval radio`: the reference generator. Parse, call, print; torch is imported inside the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lipsync_eval.cache import Cache, default_cache_dir
from lipsync_eval.errors import UsageError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
DEVICE = click.option("--device", default="auto", show_default=True, help="auto | cpu | cuda[:N]")
LENGTH = click.option(
    "--length",
    type=click.Choice(["strict", "shortest"]),
    default="strict",
    show_default=True,
    help="strict refuses sound that is not as long as the video; shortest stops with the shorter of the two.",
)
CHECKPOINT = click.option(
    "--checkpoint", type=FOLDER, required=True, help="RUN or RUN/checkpoints/STEP of `radio train`."
)


def _say(text: str) -> None:
    click.echo(text, err=True)


@click.group(context_settings=CONTEXT)
def radio() -> None:
    """The reference generator RADIO: prepare data, train, dub, look inside.

    \b
    Examples:
      lipsync-eval radio prepare videos/ data/
      lipsync-eval radio train --dry-run
      lipsync-eval radio train-sync --preset radio-48 --data data/ --out runs/sync
      lipsync-eval radio train --preset radio-48 --data data/ --out runs/mine --set loss.sync_checkpoint=runs/sync
      lipsync-eval radio dub --video talk.mp4 --audio speech.wav --checkpoint runs/mine --out dubbed.mp4
    """


@radio.command()
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

    found = summary(run(videos, out, Options(**options), workers=workers, say=_say))
    for failure in found["failures"]:
        _say(f"failed: {failure['source']}: {failure['message']}")
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
        run(config, out, mine, resume=resume, say=_say if mine.first else lambda text: None)


@radio.command("train-sync")
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


@radio.command()
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
            training.overfit_check(resolved, mine, overfit_check, _say)
        return None
    return _train(training.run_training, out, device, resolved, resume=resume)


@radio.command()
@click.option("--video", type=click.Path(path_type=Path), required=True, help="Video whose mouth is replaced.")
@click.option("--audio", type=FILE, required=True, help="New speech: a sound file, or a video's sound.")
@click.option(
    "--reference",
    metavar="IMG|FRAME",
    help="Image file, or number of a picture of the video [default: its first with a face].",
)
@CHECKPOINT
@click.option("--out", type=FILE, required=True, help=".mp4 (H.264) or .mkv (lossless). OUT.json tells what was done.")
@click.option(
    "--crops",
    type=FOLDER,
    help="Folder that also gets gen/STEM.mkv and gt/STEM.mkv, the aligned pictures, for scoring.",
)
@click.option(
    "--mask",
    type=click.Choice(["lower", "face"]),
    default="lower",
    show_default=True,
    help="What is pasted back: the lower half, or the face's hull in it.",
)
@LENGTH
@click.option("--batch", default=16, show_default=True, help="Pictures at once.")
@DEVICE
def dub(checkpoint: Path, device: str, **options: Any) -> None:
    """Dub a video with new speech, keeping its rate, size and everything around the mouth.

    \b
    Examples:
      lipsync-eval radio dub --video talk.mp4 --audio speech.wav --checkpoint runs/mine --out dubbed.mp4
      lipsync-eval radio dub --video talk.mp4 --audio speech.wav --checkpoint runs/mine --out dubbed.mkv --crops crops/
    """
    from dataclasses import asdict

    from lipsync_eval.baselines.radio.dub import dub as run
    from lipsync_eval.baselines.radio.inference import load_generator

    generator = load_generator(checkpoint, device)
    cache = Cache(default_cache_dir())
    report = run(options.pop("video"), options.pop("audio"), options.pop("out"), generator, cache=cache, **options)
    click.echo(json.dumps(asdict(report), indent=1))


@radio.command()
@click.option("--video", type=click.Path(path_type=Path), required=True)
@click.option("--audio", type=FILE, help="[default: the video's own sound]")
@click.option("--frame", default=0, show_default=True, help="Number of the picture.")
@click.option(
    "--layer", metavar="I.J", help="Att_{I,J}, e.g. 5.2 [default: the last attention layer of the first ViT block]."
)
@click.option("--reference", metavar="IMG|FRAME")
@CHECKPOINT
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
    """Where patches of the generated mouth look in the reference (figure 5 of the paper), as a picture."""
    import cv2

    from lipsync_eval.baselines.radio.attention import attention_figure
    from lipsync_eval.baselines.radio.inference import load_generator
    from lipsync_eval.files import atomic

    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out.name!r}: the figure is a PNG file; give a name that ends in .png")
    made, name = attention_figure(
        video, audio, load_generator(checkpoint, device), frame=frame, layer=layer, reference=reference
    )
    with atomic(out) as file:
        file.write(cv2.imencode(".png", made[:, :, ::-1])[1].tobytes())
    click.echo(f"{out}: attention layer {name}, picture {frame}")


@radio.command()
@click.option("--video", type=click.Path(path_type=Path), required=True)
@click.option(
    "--audio", type=FILE, help="[default: the video's own sound, which makes the scores those of a reconstruction]"
)
@click.option(
    "--references", "references", multiple=True, required=True, metavar="IMG|FRAME", help="At least two; repeatable."
)
@CHECKPOINT
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
    checkpoint: Path,
    out: Path,
    metrics: str,
    length: Any,
    device: str,
) -> None:
    """Dub with several references and tell how much every score moves.

    \b
    Example:
      lipsync-eval radio robustness --video talk.mp4 --references 0 --references 120 --references photo.png
          --checkpoint runs/mine --out runs/robustness
    """
    from lipsync_eval.baselines.radio.inference import load_generator
    from lipsync_eval.baselines.radio.robustness import robustness as run
    from lipsync_eval.baselines.radio.robustness import table

    generator = load_generator(checkpoint, device)
    report = run(
        video, audio or video, references, generator, out, metrics=metrics, length=length, say=_say, device=device
    )
    click.echo(table(report))
