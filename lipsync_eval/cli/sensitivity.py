"""`lipsync-eval sensitivity CLIPS`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli.options import WORKERS_HELP, Headed, measuring, measuring_settings, processes

_ALL = "shift,rotate,scale,blur,jpeg,recode,delay"


@click.command(cls=Headed)
@click.argument("clips", type=click.Path(path_type=Path))
@click.option("--perturb", default=_ALL, show_default=True, help="Kinds of damage, comma separated.")
@click.option(
    "--grades", multiple=True, metavar="NAME=A,B,...", help="Strengths of one kind instead of its own; repeatable."
)
@click.option(
    "--metrics", default="core", show_default=True, help="core | all | names, comma separated; -name leaves one out."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the table, the JSON and the plots."
)
@click.option("--overwrite", is_flag=True, help="Replace the study that OUT holds.")
@click.option("--workers", type=processes, metavar="N|auto", default=1, show_default=True, help=WORKERS_HELP)
@click.option("--quiet", is_flag=True, help="No progress.")
@measuring
def sensitivity(
    clips: Path,
    perturb: str,
    grades: tuple[str, ...],
    metrics: str,
    out: Path,
    overwrite: bool,
    workers: Any,
    quiet: bool,
    **values: Any,
) -> int:
    """Which metrics a shift, a blur, a delay... moves.

    Every clip (a video, or a folder of them) is scored against itself and against copies of itself that are damaged in
    growing grades. Writes sensitivity.csv, .json, .png and .pdf into OUT and prints the means. Exit 3: some numbers are missing.

    \b
    shift    px to the right                  blur    sigma of a Gaussian, px
    rotate   degrees about the centre         jpeg    100 - quality
    scale    % larger about the centre        recode  constant rate factor of H.264
    delay    frames of 40 ms that the audio comes late
    jitter   px to the right and left in turn (by name only)
    silence  % of the audio, from its start (by name only)

    \b
    Examples:
      lipsync-eval sensitivity clips/ --out runs/robust
      lipsync-eval sensitivity clips/ --perturb shift,blur --metrics psnr,lmd --protocol raw --out runs/robust
      lipsync-eval sensitivity a.mp4 --perturb delay --grades delay=-5,-2,2,5 --metrics lse_c,avs_u --out runs/delay
    """
    from lipsync_eval.cli.progress import progress
    from lipsync_eval.engine.sensitivity.files import check_folder, write_study
    from lipsync_eval.engine.sensitivity.perturbations import parse_perturbations
    from lipsync_eval.engine.sensitivity.run import run_study
    from lipsync_eval.metrics.registry import select

    chosen = parse_perturbations(perturb, dict(_grade(text) for text in grades))
    names = select(metrics)
    settings = measuring_settings(values)
    check_folder(out, overwrite)
    with progress(quiet=quiet) as event:
        study = run_study(
            clips, chosen, names, settings, workers=workers, progress=event, command=["lipsync-eval", *sys.argv[1:]]
        )
    write_study(study, out)
    click.echo(_table(study), nl=False)
    click.echo(f"table and plots: {out}")
    return 3 if study.failed else 0


def _grade(text: str) -> tuple[str, str]:
    name, equals, strengths = text.partition("=")
    if not equals:
        raise click.BadParameter(f"--grades {text!r}: expected NAME=A,B,...")
    return name.strip(), strengths


def _table(study: Any) -> str:
    """Means over clips: a line per grade, a column per metric."""
    from lipsync_eval.engine.sensitivity.study import NONE
    from lipsync_eval.metrics.registry import get_spec

    cells = [["damage", *study.metrics]]
    for name, strength in study.grades:
        found = [(metric, *study.mean(metric, name, strength)) for metric in study.metrics]
        texts = [
            "-" if mean is None else f"{mean:.{get_spec(m).decimals}f}{'' if n == study.asked(m) else '*'}"
            for m, mean, n in found
        ]
        cells.append([name if name == NONE else f"{name} {strength:g}", *texts])
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    lines = [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))]) for line in cells
    ]
    if study.failed:
        lines.append("* mean over fewer clips, - no value: sensitivity.csv says which and why")
    return "\n".join(lines) + "\n"
