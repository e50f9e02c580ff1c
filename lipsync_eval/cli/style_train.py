"""`lipsync-eval style train CLIPS`: a style encoder of one's own, judged on speakers it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli.finite import Finite
from lipsync_eval.cli.output_files import check_output, encoder
from lipsync_eval.cli.style_options import corpus, corpus_settings, tell


@click.command("train")
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
@click.option("--rate", type=Finite(0, min_open=True), default=1e-4, show_default=True, help="Of Adam.")
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
      lipsync-eval style train corpus/ --out encoder.pt --hold-out 20
      lipsync-eval style train corpus/ --features blendshapes --window 40 --steps 500 --out encoder.pt
      lipsync-eval style train corpus/ --features vertices --out encoder.pt    # for stylesim_vertices_encoder
    """
    from lipsync_eval.engine.style.encoder import by_speaker, judge
    from lipsync_eval.engine.style.encoder import hold_out as split
    from lipsync_eval.features.style.constants import build
    from lipsync_eval.features.style.corpus import find_recordings, read_all
    from lipsync_eval.features.style.training import Recipe, save, train

    check_output(out, "--out", encoder)
    sequences = read_all(find_recordings(clips, speakers), features, corpus_settings(values), tell)
    seen, unseen = split(by_speaker(sequences), hold_out)
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
            found = judge(trained, group)
            click.echo(
                f"{name}: {found.n_speakers} speakers, same clip {found.same:.3f}, different speakers {found.different:.3f}, "
                f"own half ranked first {found.ranked_first:.0%}"
            )
