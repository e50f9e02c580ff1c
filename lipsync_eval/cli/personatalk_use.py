"""`lipsync-eval personatalk dub, style`. Parse, call, print; torch is imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli import generator_commands, output_files
from lipsync_eval.cli.finite import Finite
from lipsync_eval.cli.generator_options import DEVICE, FILE, FOLDER, VIDEO, dub_options, say
from lipsync_eval.cli.output_files import check_apart, check_output
from lipsync_eval.cli.personatalk_train import geometry_config, provider_files

GEOMETRY = click.option(
    "--geometry", type=FOLDER, required=True, help="RUN or RUN/checkpoints/STEP of `personatalk train-geometry`."
)


@click.command()
@dub_options("personatalk train-renderer", reference=False)
@GEOMETRY
@click.option("--style", type=VIDEO, help="Speak in this video's manner [default: in that of --video].")
@click.option("--lip-references", type=click.IntRange(min=1), help="N_l [default: the configuration's, 25].")
@provider_files
def dub(
    checkpoint: Path, geometry: Path, device: str, style: Path | None, lip_references: int | None, **options: Any
) -> None:
    """Dub a video with new speech, in the speaker's own manner.

    \b
    Examples:
      lipsync-eval personatalk dub --video talk.mp4 --audio speech.wav --geometry runs/geometry \\
        --checkpoint runs/renderer --out dubbed.mp4
      lipsync-eval personatalk dub --video talk.mp4 --audio speech.wav --geometry runs/geometry \\
        --checkpoint runs/renderer --style other.mp4 --out other.mp4
    """
    from lipsync_eval.baselines.personatalk.dubbing.fitting import fit_clip
    from lipsync_eval.baselines.personatalk.dubbing.generator import load_generator
    from lipsync_eval.baselines.personatalk.dubbing.masks import hull_mask

    generator = load_generator(geometry, checkpoint, device, geometry_config(options))
    generator.lip_references = lip_references
    if style is not None:
        generator.style = fit_clip(generator.provider, style)
    generator_commands.dub(generator, mask=hull_mask, **options)


@click.command()
@click.argument("clips", type=click.Path(path_type=Path, exists=True, file_okay=False))
@GEOMETRY
@click.option("--generated", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Dubbed videos.")
@click.option("--out", type=FILE, default=Path("styles.png"), show_default=True, help="Image to write.")
@click.option("--codes", type=FILE, help="JSON file that gets every clip's code S.")
@click.option("--speakers", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="CSV clip,speaker.")
@click.option("--window", type=click.IntRange(20), help="Frames in one code [default: the whole clip].")
@click.option("--perplexity", type=Finite(2, min_open=True), default=10.0, show_default=True)
@DEVICE
@provider_files
def style(clips: Path, geometry: Path, device: str, out: Path, codes: Path | None, **options: Any) -> None:
    """Draw the style codes S of stage 1 (figure 5 of the paper), one colour a speaker, generated videos as crosses.

    CLIPS holds one folder a speaker, or --speakers says who is who. A clip with a geometry file of `personatalk fit`
    beside it is not fitted again.

    \b
    Examples:
      lipsync-eval personatalk style corpus/ --generated dubbed/ --geometry runs/geometry --out styles.png
    """
    from lipsync_eval.baselines.personatalk.dubbing.styles import draw

    check_apart(out=out, codes=codes)
    check_output(out, "--out", output_files.png)
    check_output(codes, "--codes", output_files.codes)
    speakers, window, perplexity = options.pop("speakers"), options.pop("window"), options.pop("perplexity")
    generated = options.pop("generated")
    files = geometry_config(options)
    text = draw(clips, generated, geometry, out, codes, speakers, window, perplexity, files, device, say)
    click.echo(text)
