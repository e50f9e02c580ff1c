"""`lipsync-eval style constants CLIPS`: the numbers that StyleSim codes are standardised with, from a corpus of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli import output_files
from lipsync_eval.cli.style_options import corpus, corpus_settings, tell
from lipsync_eval.errors import UsageError


@click.command("constants")
@click.argument("clips", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="JSON file to write.")
@click.option("--provenance", default="", help="What the clips are; goes into the file.")
@corpus
def style_constants(
    clips: Path, out: Path, provenance: str, features: str, speakers: Path | None, **values: Any
) -> None:
    """Learn what StyleSim codes are measured against from a folder of speakers.

    CLIPS holds one folder a speaker (or --speakers says who is who). Score with the result by
    --option style_constants.points68=FILE. Every speaker counts the same; dozens of speakers make a better file than
    the shipped one, which rests on 15.

    \b
    Examples:
      lipsync-eval style constants corpus/ --out mine.json
      lipsync-eval style constants corpus/ --features blendshapes --speakers who.csv --out mine.json
    """
    from lipsync_eval.engine.style.encoder import by_speaker
    from lipsync_eval.features.style.constants import build, write
    from lipsync_eval.features.style.corpus import find_recordings, read_all

    if features == "vertices":
        raise UsageError(
            "vertices have no constants: stylesim_vertices standardises nothing; see `style train --features vertices`"
        )
    output_files.check_output(out, "--out", output_files.constants, (speakers,))
    settings = corpus_settings(values)
    sequences = read_all(find_recordings(clips, speakers), features, settings, tell)
    found = by_speaker(sequences)
    frames = sum(len(s.index) for s in sequences)
    text = f"{provenance or clips.name}: {len(found)} speakers, {len(sequences)} clips, {frames} frames at 25 fps, landmarks {settings.landmarks}"
    write(build(features, found, text), out)
    click.echo(f"{out}: {text}")
