"""`lipsync-eval table RUN...`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from lipsync_eval.errors import OutputError


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
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
@click.option("--group-by", type=click.Choice(["dataset"]), help="One group of columns per folder of real videos.")
@click.option(
    "--ignore",
    multiple=True,
    metavar="KEY",
    help="A signature key that may differ ('data': other real videos); repeatable.",
)
@click.option("--seed", type=int, default=12345, show_default=True, help="Of the paired bootstrap behind the § mark.")
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file instead of stdout.")
def table(
    runs: tuple[Path, ...],
    form: str,
    layout: str | None,
    published: tuple[str, ...],
    group_by: str | None,
    ignore: tuple[str, ...],
    seed: int,
    out: Path | None,
) -> None:
    """Methods as rows, metrics as columns: best bold, second underlined, * nearest to the real videos' LSE.

    Runs that were measured otherwise are refused with the differing keys. A run called GT is the real videos' row.

    \b
    Examples:
      lipsync-eval table runs/a runs/b
      lipsync-eval table runs/* --layout radio --format latex --out table.tex
      lipsync-eval table runs/a --layout radio --published radio --format markdown
      lipsync-eval table --published radio --layout radio
    """
    from lipsync_eval.files import write_text
    from lipsync_eval.results.schema import load_result

    build = import_module("lipsync_eval.reports.table").build
    get_layout = import_module("lipsync_eval.reports.layout").get_layout
    select = import_module("lipsync_eval.reports.published").select
    render = import_module("lipsync_eval.reports.render").FORMATS[form]
    numbers = [number for key in published for number in select(key)]
    chosen = get_layout(layout) if layout else None
    made = build(
        [load_result(r) for r in runs],
        numbers,
        layout=chosen,
        by_dataset=group_by == "dataset",
        ignore=ignore,
        seed=seed,
    )
    text = render(made)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        write_text(out, text)
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written ({error.strerror})") from error
