"""`lipsync-eval table RUN...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipsync_eval.cli import output_files
from lipsync_eval.cli.output_files import check_output
from lipsync_eval.cli.runs import RESAMPLE, read_methods
from lipsync_eval.cli.streams import data
from lipsync_eval.errors import OutputError, UsageError
from lipsync_eval.results.rows import Resample

if TYPE_CHECKING:
    from lipsync_eval.reports.latex import Fit


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN[=NAME]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "latex", "csv", "html"]),
    default="text",
    show_default=True,
)
@click.option(
    "--layout", help="radio | personatalk | avhubert-expert | stylesync | FILE.toml [default: all metrics of the runs]"
)
@click.option(
    "--published",
    multiple=True,
    metavar="KEY",
    help="Add a paper's numbers, marked: radio, personatalk, avhubert-expert, stylesync, or KEY/TABLE; repeatable.",
)
@click.option(
    "--dataset", help="The runs' dataset as the papers call it: printed numbers on it stand in the same columns."
)
@click.option("--group-by", type=click.Choice(["dataset"]), help="One group of columns per set of real videos.")
@click.option(
    "--ignore",
    multiple=True,
    metavar="KEY",
    help="A signature key that may differ ('data': other real videos); repeatable.",
)
@click.option("--seed", type=int, default=12345, show_default=True, help="Of the paired bootstrap behind the § mark.")
@RESAMPLE
@click.option("--label", help="LaTeX: the \\label, e.g. tab:main.")
@click.option("--caption", help="LaTeX: the caption, as LaTeX source; the footnotes then stand as comments.")
@click.option(
    "--fit",
    type=click.Choice(["auto", "column", "page"]),
    default="auto",
    show_default=True,
    help="LaTeX: as wide as a column, or across the page.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write to a file instead of stdout; a text file that is there is replaced.",
)
def table(
    runs: tuple[str, ...],
    form: str,
    layout: str | None,
    published: tuple[str, ...],
    dataset: str | None,
    group_by: str | None,
    ignore: tuple[str, ...],
    seed: int,
    resample: Resample,
    label: str | None,
    caption: str | None,
    fit: Fit,
    out: Path | None,
) -> None:
    """Methods as rows, metrics as columns: best bold, second underlined, * nearest to the real videos' LSE.

    Marks compare methods over the clips that all of them scored. Runs that were measured otherwise are refused with the
    differing keys. A run called GT is the real videos' row. RUN=NAME shows a run under another name.
    The folder of a `watch` stands for all its scored checkpoints, a row each.

    \b
    Examples:
      lipsync-eval table runs/a runs/b
      lipsync-eval table runs/* --layout radio --format latex --out table.tex
      lipsync-eval table runs/a=ours --layout radio --published radio --dataset HDTF --format markdown
      lipsync-eval table --published radio --layout radio
      lipsync-eval table runs/ckpt                         (checkpoints of a watch)
    """
    from lipsync_eval.files import write_text
    from lipsync_eval.reports.latex import as_latex, needs_shrinking
    from lipsync_eval.reports.layout import get_layout
    from lipsync_eval.reports.published import select
    from lipsync_eval.reports.render import FORMATS
    from lipsync_eval.reports.table import build

    if form != "latex" and (label or caption or fit != "auto"):
        raise UsageError("--label, --caption and --fit belong to --format latex")
    check_output(out, "--out", output_files.text)
    made = build(
        read_methods(runs),
        [number for key in published for number in select(key)],
        layout=get_layout(layout) if layout else None,
        dataset=dataset,
        by_dataset=group_by == "dataset",
        ignore=ignore,
        seed=seed,
        resample=resample,
    )
    text = as_latex(made, name=label, caption=caption, fit=fit) if form == "latex" else FORMATS[form](made)
    if form == "latex" and (share := needs_shrinking(made, fit)):
        click.echo(
            f"warning: the table is too wide for {'a column' if fit == 'column' else 'the page'} and is shrunk to about "
            f"{100 * share:.0f} %; show fewer metrics with --layout",
            err=True,
        )
    if out is None:
        data(text)
        return
    try:
        write_text(out, text)
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written ({error.strerror})") from error
