"""`lipsync-eval style-train CLIPS`: a style encoder of one's own, judged on speakers it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli.style_options import corpus, corpus_settings, tell


@click.command("style-train")
@click.argument("clips", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File for the encoder.")
@click.option(
    "--window",
    type=click.IntRange(10),
    default=100,
    show_default=True,
    help="Frames (1/25 s) of a stretch; clips must hold two and 10 more.",
)
@click.option("--steps", type=click.IntRange(1), default=2000, show_default=True)
@click.option(
    "--batch",
    type=click.IntRange(2),
    default=32,
    show_default=True,
    help="Speakers a step, or all where there are fewer.",
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=1e-4, show_default=True, help="Of Adam.")
@click.option(
    "--hold-out",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Speakers (every k-th by name) kept out of training and judged on.",
)
@click.option("--seed", type=int, default=12345, show_default=True)
@corpus
def style_train(clips: Path, out: Path, hold_out: int, features: str, speakers: Path | None, **values: Any) -> None:
    """Train a style encoder of DiffPoseTalk's architecture with the NT-Xent loss.

    CLIPS holds one folder a speaker (or --speakers says who is who). Hundreds of speakers are needed for a metric; with
    fewer it learns faces and cameras as much as manners, so look at the held-out line.

    \b
    Examples:
      lipsync-eval style-train corpus/ --out encoder.pt --hold-out 20
      lipsync-eval style-train corpus/ --features blendshapes --window 40 --steps 500 --out encoder.pt
    """
    from lipsync_eval.features.style.constants import build
    from lipsync_eval.features.style.corpus import find_recordings, read_all
    from lipsync_eval.features.style.training import Recipe, save, train

    sequences = read_all(find_recordings(clips, speakers), features, corpus_settings(values), tell)
    by_speaker: dict[str, list[Any]] = {}
    for s in sequences:
        by_speaker.setdefault(s.recording.speaker, []).append((s.raw, s.index))
    seen, unseen = split(by_speaker, hold_out)
    recipe = Recipe(**values)
    constants = build(features, seen, f"{clips.name}: {len(seen)} speakers")

    def event(step: int, loss: float) -> None:
        if (step + 1) % 100 == 0 or step + 1 == recipe.steps:
            click.echo(f"step {step + 1} of {recipe.steps}: loss {loss:.3f}", err=True)

    trained = train(seen, constants, recipe, event)
    save(trained, out)
    click.echo(f"{out}: {features}, {len(seen)} speakers, {recipe.steps} steps, window {recipe.window}")
    for name, group in (("trained on", seen), ("held out", unseen)):
        if len(group) > 1:
            click.echo(f"{name}: {judge(trained, group)}")


def split(by_speaker: dict[str, list[Any]], hold_out: int) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Speakers trained on and speakers held out, spread evenly over their names.

    Raises:
        UsageError: fewer than two would be left to train on.
    """
    from lipsync_eval.errors import UsageError

    names = sorted(by_speaker)
    if len(names) - hold_out < 2:
        raise UsageError(
            f"--hold-out {hold_out} leaves {max(len(names) - hold_out, 0)} of {len(names)} speakers to train on; at least 2 are needed"
        )
    kept_out = {names[(2 * k + 1) * len(names) // (2 * hold_out)] for k in range(hold_out)}
    return {n: by_speaker[n] for n in names if n not in kept_out}, {n: by_speaker[n] for n in names if n in kept_out}


def judge(trained: Any, speakers: dict[str, list[Any]]) -> str:
    """Mean cosine of two halves of one clip, and of halves of different speakers."""
    import numpy as np

    halves, names = [], []
    for speaker, recordings in speakers.items():
        for raw, index in recordings:
            middle = len(index) // 2
            halves.append(
                (trained.style((raw[:middle], index[:middle])), trained.style((raw[middle:], index[middle:])))
            )
            names.append(speaker)
    matrix = np.array([[a @ b for _, b in halves] for a, _ in halves])
    same = float(np.diag(matrix).mean())
    other = float(matrix[np.array(names)[:, None] != np.array(names)[None]].mean())
    first = float(np.mean(matrix.argmax(1) == np.arange(len(names))))
    return f"{len(speakers)} speakers, same clip {same:.3f}, different speakers {other:.3f}, own half ranked first {first:.0%}"
