"""`lipsync-eval score GEN GT`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli.options import measuring, measuring_settings
from lipsync_eval.cli.streams import isolated


@click.command()
@click.argument("gen", type=click.Path(path_type=Path))
@click.argument("gt", type=click.Path(path_type=Path))
@click.option(
    "--metrics", default="core", show_default=True, help="core | all | names, comma separated; -name leaves one out."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the results [default: runs/<name of GEN>].")
@click.option("--resume", is_flag=True, help="Continue the run that OUT holds.")
@click.option("--overwrite", is_flag=True, help="Replace the run that OUT holds.")
@click.option(
    "--pairs", type=click.Path(path_type=Path), help="CSV with columns gen,gt[,audio,id] instead of matching by stem."
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes; the numbers do not depend on it.",
)
@click.option("--skip-missing", is_flag=True, help="Score the rest when weights are missing.")
@click.option("--contact-sheet", type=click.Path(path_type=Path), help="Write a picture of every clip's crops.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: results.json on stdout.",
)
@click.option("--name", help="The method's name in tables [default: name of GEN].")
@click.option("--quiet", is_flag=True, help="No progress, no warnings.")
@measuring
def score(gen: Path, gt: Path, form: str, quiet: bool, contact_sheet: Path | None, **values: Any) -> int:
    """Score generated videos against real ones.

    GEN and GT are folders, matched by stem, or single files. Nothing is cut, skipped or resampled without being named
    in the result. Exit 0: all scored. 2: nothing was done. 3: some clips failed, the rest is written.

    \b
    Examples:
      lipsync-eval score gen/ gt/
      lipsync-eval score a.mp4 b.mp4 --metrics psnr,ssim --protocol raw
      lipsync-eval score gen/ gt/ --metrics all --skip-missing --workers 4
      lipsync-eval score gen/ gt/ --metrics core,-lmd --align strict --out runs/x --resume
    """
    from lipsync_eval.cli.progress import progress
    from lipsync_eval.cli.summary import summary
    from lipsync_eval.engine.score import score as run_score

    settings = measuring_settings(values)
    out: Path = values.pop("out") or Path("runs") / (gen.stem if gen.is_file() else gen.resolve().name)

    def warn(text: str) -> None:
        if not quiet:
            click.echo(f"warning: {text}", err=True)

    with progress(quiet=quiet) as event:
        result = run_score(
            gen, gt, out=out, command=["lipsync-eval", *sys.argv[1:]], event=event, warn=warn,
            isolate=isolated(), **values, **settings,
        )  # fmt: skip
    if contact_sheet is not None:
        from lipsync_eval.engine.look import write_contact_sheet
        from lipsync_eval.engine.score import make_settings

        write_contact_sheet(result, make_settings(**settings), contact_sheet)
    click.echo(result.to_json() if form == "json" else summary(result), nl=False)
    if form == "text":
        click.echo(f"results: {out / 'results.json'}")
    return 3 if result.failures else 0
