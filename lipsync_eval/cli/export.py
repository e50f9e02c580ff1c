"""`lipsync-eval export RUN --to wandb|mlflow|tensorboard|csv|hf-model-card`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lipsync_eval.cli.runs import split_name
from lipsync_eval.cli.streams import data
from lipsync_eval.errors import OutputError, UsageError
from lipsync_eval.results.names import printable

if TYPE_CHECKING:
    from lipsync_eval.export.points import Series

_BELONGS: Final = {
    "--online": ("wandb",),
    "--tracking-uri": ("mlflow",),
    "--dataset": ("hf-model-card",),
    "--project": ("wandb", "mlflow"),
    "--step": ("wandb", "mlflow", "tensorboard", "csv"),
    "--overwrite": ("tensorboard", "csv", "hf-model-card"),
}
"""What each option is for; elsewhere it is refused."""


@click.command()
@click.argument("run", metavar="RUN[=NAME]")
@click.option(
    "--to",
    "target",
    type=click.Choice(["wandb", "mlflow", "tensorboard", "csv", "hf-model-card"]),
    required=True,
    help="The program, or the kind of file.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for a tracker; file for csv and hf-model-card [default: standard output].",
)
@click.option("--overwrite", is_flag=True, help="Replace the file, or TensorBoard's events.")
@click.option("--step", type=click.IntRange(0), help="Training step of a single run [default: 0].")
@click.option("--project", help="wandb's project, MLflow's experiment  [default: lipsync-eval].")
@click.option("--online", is_flag=True, help="wandb: send it now. Without it, `wandb sync` does later.")
@click.option("--tracking-uri", metavar="URI", help="mlflow: another store than the folder --out.")
@click.option("--dataset", help="hf-model-card: what was scored, e.g. 'HDTF, 50 clips'.")
def export(
    run: str,
    target: str,
    out: Path | None,
    overwrite: bool,
    step: int | None,
    project: str | None,
    online: bool,
    tracking_uri: str | None,
    dataset: str | None,
) -> None:
    """Hand the scores of a run, or the curves of a watched training, to another program.

    Every value goes with its signature. A score without value is named on stderr and never becomes a 0. Nothing leaves this
    machine unless --online or --tracking-uri says so. A model card is of one run; the folder of a `watch` stands there for
    its newest checkpoint.

    \b
    Examples:
      lipsync-eval export runs/ckpt --to tensorboard --out tb
      lipsync-eval export runs/ckpt --to wandb --out . --project dubbing
      lipsync-eval export runs/mine --to mlflow --out mlruns --step 1000
      lipsync-eval export runs/mine --to hf-model-card --dataset "HDTF, 50 clips"
    """
    from lipsync_eval.export import points

    given = {
        "--online": online, "--tracking-uri": tracking_uri is not None, "--dataset": dataset is not None,
        "--project": project is not None, "--step": step is not None, "--overwrite": overwrite,
    }  # fmt: skip
    for flag, owners in _BELONGS.items():
        if given[flag] and target not in owners:
            raise UsageError(f"{flag} belongs to --to {' and '.join(owners)}; leave it out with --to {target}")
    path, name = split_name(run)
    if target == "hf-model-card":
        from lipsync_eval.export.to_model_card import model_card

        if not dataset:
            raise UsageError("--to hf-model-card needs --dataset: a number without the clips it is of says nothing")
        result = points.read_one(path)
        for s in result.scores:
            if s.value is None:
                click.echo(f"no value of {s.metric}: left out of the card", err=True)
        _text(model_card(result, model=name, dataset=dataset), out, overwrite)
        return
    series = points.read_series(path, name=name, step=step)
    if target == "csv":
        _text(points.scores_csv(series), out, overwrite)
        return
    for sentence in points.without_value(series):
        click.echo(printable(sentence), err=True)
    try:
        click.echo(_track(series, target, out, overwrite, project or "lipsync-eval", online, tracking_uri))
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written ({error.strerror or error})") from error


def _track(
    series: Series,
    target: str,
    out: Path | None,
    overwrite: bool,
    project: str,
    online: bool,
    tracking_uri: str | None,
) -> Path | str:
    """Hand the series to a tracker; returns where it lies."""
    from lipsync_eval.export import to_mlflow, to_tensorboard, to_wandb

    if tracking_uri is not None and out is not None:
        raise UsageError("--out and --tracking-uri both name MLflow's store; leave one out")
    if target == "mlflow" and (out is not None or tracking_uri is not None):
        return to_mlflow.export(series, out, project=project, tracking_uri=tracking_uri)
    if out is None:
        raise UsageError(f"--to {target} needs --out: the folder that the files go into")
    if target == "tensorboard":
        return to_tensorboard.export(series, out, overwrite=overwrite)
    return to_wandb.export(series, out, project=project, online=online)


def _text(text: str, out: Path | None, overwrite: bool) -> None:
    """To a file or to standard output."""
    from lipsync_eval.files import write_text

    if out is None:
        data(text)
        return
    if out.exists() and not overwrite:
        raise OutputError(f"{out} is there already; name another file with --out, or replace it with --overwrite")
    try:
        write_text(out, text)
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    click.echo(str(out))
