"""`lipsync-eval style map CLIPS`: style codes of many clips on a plane, coloured by speaker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipsync_eval.cli.finite import Finite
from lipsync_eval.cli.output_files import check_output, png
from lipsync_eval.cli.style_options import corpus, corpus_settings, tell
from lipsync_eval.errors import UsageError

if TYPE_CHECKING:
    from lipsync_eval.features.style.compare import Halves
    from lipsync_eval.features.style.corpus import Sequence52or68


@click.command("map")
@click.argument("clips", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("style-map.png"),
    show_default=True,
    help="Image to write.",
)
@click.option(
    "--generated",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A second folder of the same speakers, drawn as crosses.",
)
@click.option("--window", type=click.IntRange(20), default=50, show_default=True, help="Frames (1/25 s) in one code.")
@click.option("--hop", type=click.IntRange(1), default=25, show_default=True, help="Frames from one code to the next.")
@click.option(
    "--perplexity",
    type=Finite(2, min_open=True),
    default=10.0,
    show_default=True,
    help="Of t-SNE: effective number of neighbours.",
)
@click.option(
    "--encoder",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Codes of an encoder from `style train` instead of statistics.",
)
@click.option(
    "--halves",
    is_flag=True,
    help="Also print the cosines of first against second halves, constants learned without the speakers compared.",
)
@corpus
def style_map(
    clips: Path,
    out: Path,
    generated: Path | None,
    window: int,
    hop: int,
    perplexity: float,
    encoder: Path | None,
    halves: bool,
    features: str,
    speakers: Path | None,
    **values: Any,
) -> None:
    """Draw the speaking styles of many clips, one colour a speaker.

    CLIPS holds one folder a speaker; a video directly in it is a speaker of its own; --speakers FILE says otherwise. A
    code is made of every window of a clip, standardised with the shipped constants, and placed by t-SNE: neighbours
    are alike, distances between groups mean nothing.

    \b
    Examples:
      lipsync-eval style map corpus/ --out styles.png
      lipsync-eval style map corpus/ --generated dubbed/ --out styles.png
      lipsync-eval style map corpus/ --features blendshapes --halves
    """
    from lipsync_eval.engine.style.map import encoder_coder, map_styles, statistics_coder
    from lipsync_eval.engine.style.plot import draw_styles
    from lipsync_eval.features.style.corpus import find_recordings, read_all

    if features == "vertices" and not encoder:
        raise UsageError(
            "vertices have no shipped constants: give --encoder of `style train --features vertices`, or see `personatalk style`"
        )
    check_output(out, "--out", png, (encoder, speakers))
    settings = corpus_settings(values)
    coder = (
        encoder_coder(encoder, features, window, hop) if encoder else statistics_coder(settings, features, window, hop)
    )
    real = read_all(find_recordings(clips, speakers), features, settings, tell)
    made = read_all(find_recordings(generated), features, settings, tell) if generated else []
    found = map_styles(coder, real, made, perplexity)
    draw_styles(found, features, out)
    click.echo(f"{out}: {len(found.owners)} codes of {found.n_speakers} speakers, {len(real) + len(made)} clips")
    if halves:
        _print_halves(real, features)


def _print_halves(sequences: Sequence[Sequence52or68], features: str) -> None:
    from lipsync_eval.features.style.code import LEAST
    from lipsync_eval.features.style.compare import halves

    long = [s for s in sequences if len(s.index) >= 2 * LEAST]
    for s in sequences:
        if s not in long:
            tell(s.recording, f"too short for halves ({len(s.index)} frames)")
    click.echo(_table(halves(features, long)))


def _table(found: Halves) -> str:
    """The matrix as text: rows first halves, columns second halves."""
    width = max(len(name) for name in found.names)
    lines = [
        "cosine of style codes, rows: first halves, columns: second halves, constants without the speakers compared"
    ]
    for name, row in zip(found.names, found.matrix, strict=True):
        lines.append(name.ljust(width) + "".join(f"{x:7.2f}" for x in row))
    lines.append(
        f"same clip {found.within:.3f}, different speakers {found.between:.3f}, own half ranked first {found.ranked_first:.0%}"
    )
    return "\n".join(lines)
