"""`lipsync-eval figure RUN... --clip ID`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cache import find_cache_dir
from lipsync_eval.cli.runs import read_runs
from lipsync_eval.errors import UsageError
from lipsync_eval.results.names import printable


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN[=NAME]...")
@click.option("--clip", required=True, metavar="ID", help="The clip, as in clips.csv.")
@click.option("--at", metavar="T,...", help="Moments in seconds, comma separated: one column each.")
@click.option("--auto", is_flag=True, help="The moments where the methods' mouths differ most [default without --at].")
@click.option("--columns", type=click.IntRange(1, 12), help="How many moments --auto takes.  [default: 5]")
@click.option(
    "--view",
    type=click.Choice(["face", "frame"]),
    default="face",
    show_default=True,
    help="A square around the face, or the whole frame.",
)
@click.option(
    "--zoom",
    type=click.Choice(["none", "mouth", "mouth-only"]),
    default="none",
    show_default=True,
    help="mouth: the enlarged mouth below each cell. mouth-only: nothing else.",
)
@click.option("--errors", is_flag=True, help="Below each method a map of its error against the real video.")
@click.option(
    "--words",
    type=click.Path(path_type=Path),
    help="Words under the columns: TextGrid, JSON, CSV, TSV, .align or LRS .txt.",
)
@click.option("--tier", help="Of a TextGrid [default: words, else the first].")
@click.option("--no-real", is_flag=True, help="No row of the real video.")
@click.option(
    "--width",
    type=click.Choice(["column", "page"]),
    default="column",
    show_default=True,
    help="3.4 or 7 inches.",
)
@click.option("--font", help="An installed family, or a .ttf file.  [default: DejaVu Sans]")
@click.option("--landmarks", default="dlib68", show_default=True, help="As in `score`.")
@click.option("--no-cache", is_flag=True, help="Read and keep no tracks.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("figure"),
    show_default=True,
    help="OUT.png and OUT.pdf are written.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT.png and OUT.pdf.")
@click.option("--quiet", is_flag=True, help="No warnings.")
def figure(
    runs: tuple[str, ...],
    at: str | None,
    auto: bool,
    columns: int | None,
    no_real: bool,
    landmarks: str,
    no_cache: bool,
    out: Path,
    overwrite: bool,
    quiet: bool,
    **how: Any,
) -> None:
    """The figure that every paper has: methods and the real video as rows, moments of one clip as columns.

    A run called GT is the real video's row. Videos are read from where they were scored.

    \b
    Examples:
      lipsync-eval figure runs/a runs/b=ours --clip obama_01
      lipsync-eval figure runs/a runs/b --clip obama_01 --at 0.4,1.2,2 --zoom mouth --words obama_01.TextGrid
      lipsync-eval figure runs/a --clip obama_01 --errors --width page --out figures/obama
    """
    from lipsync_eval.engine.figure.run import check_free, make_figure
    from lipsync_eval.settings import Settings

    def warn(text: str) -> None:
        if not quiet:
            click.echo(f"warning: {printable(text)}", err=True)

    if at is not None and (auto or columns is not None):
        raise UsageError("--at names the moments, --auto and --columns choose them; give one of the two")
    times = None if at is None else _times(at)
    check_free(out, overwrite=overwrite)
    made = make_figure(
        read_runs(runs),
        at=times,
        columns=columns or 5,
        real=not no_real,
        settings=Settings(landmarks=landmarks, cache_dir=None if no_cache else find_cache_dir()),
        warn=warn,
        **how,
    )
    for path in made.save(out, overwrite=overwrite):
        click.echo(str(path))
    if not quiet:
        click.echo(f"moments: {', '.join(f'{t:.2f} s' for t in made.times)}", err=True)


def _times(text: str) -> list[float]:
    parts = [p.strip() for p in text.split(",")]
    try:
        return [float(p) for p in parts]
    except ValueError:
        raise UsageError(f"--at {printable(text)!r}: expected seconds, comma separated, e.g. 0.4,1.2") from None
