"""`lipsync-eval score GEN GT`."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli.options import (
    FIRST,
    METRICS,
    PLACE,
    QUIET,
    SKIP_MISSING,
    THREADS,
    WORKERS,
    Headed,
    flag,
    measuring,
    measuring_settings,
    on_cluster,
)
from lipsync_eval.cli.output_files import check_output, png
from lipsync_eval.cli.project_file import ProjectFile, config_text, flags
from lipsync_eval.cli.streams import isolated
from lipsync_eval.cli.telling import Telling, telling
from lipsync_eval.errors import UsageError
from lipsync_eval.logs import note
from lipsync_eval.progress import Progress
from lipsync_eval.results.names import printable
from lipsync_eval.urls import Place, Url, without_secrets


@click.command(cls=Headed)
@click.argument("gen", type=PLACE, required=False, metavar="GEN")
@click.argument("gt", type=PLACE, required=False, metavar="[GT]")
@METRICS
@flag(
    "--out",
    type=click.Path(path_type=Path),
    heading=FIRST,
    help="Folder for the results [default: runs/<name of GEN>].",
)
@flag("--resume", is_flag=True, heading=FIRST, help="Continue the run that OUT holds.")
@flag("--overwrite", is_flag=True, heading=FIRST, help="Replace the run that OUT holds.")
@flag(
    "--pairs",
    type=click.Path(path_type=Path),
    heading=FIRST,
    help="CSV with columns gen,gt[,audio,id,speaker] instead of matching by stem.",
)
@WORKERS
@THREADS
@flag(
    "--shard",
    metavar="K/N",
    heading="Many machines",
    help="Measure the K-th of N shares into OUT; `lipsync-eval merge` puts them together.",
)
@on_cluster
@SKIP_MISSING
@flag(
    "--contact-sheet", type=click.Path(path_type=Path), heading="Output", help="Write an image of every clip's crops."
)
@flag(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    heading="Output",
    help="json: results.json on stdout.",
)
@flag(
    "--resample",
    type=click.Choice(["clip", "speaker"]),
    default="clip",
    show_default=True,
    heading="Output",
    help="What intervals draw; speaker: the column of --pairs, with all clips of a person.",
)
@flag("--name", heading="Output", help="The method's name in tables [default: name of GEN].")
@QUIET
@flag(
    "--show-config",
    is_flag=True,
    heading="Output",
    help="Print every option with its value and where it is from; score nothing.",
)
@telling
@measuring
@click.pass_context
def score(
    ctx: click.Context,
    /,
    gen: Place | None,
    gt: Place | None,
    form: str,
    quiet: bool,
    contact_sheet: Path | None,
    show_config: bool,
    shard: str | None,
    **values: Any,
) -> int:
    """Score generated videos against real ones.

    GEN and GT are folders, matched by stem, or single files, or their URLs (s3://, gs://, https://: docs/scale.md). Without GT only metrics that need no real video are scored;
    with --setting cross GT shows the same person saying something else (docs/settings-self-cross.md). Nothing is cut,
    skipped or resampled without being named in the result. Exit 0: all scored. 2: nothing was done. 3: some clips failed, the rest is written.

    \b
    Examples:
      lipsync-eval score gen/ gt/
      lipsync-eval score a.mp4 b.mp4 --metrics psnr,ssim --protocol raw
      lipsync-eval score gen/ gt/ --metrics all --skip-missing --workers 4
      lipsync-eval score gen/ --metrics lse_c,lse_d,niqe,mouth_mel_corr
      lipsync-eval score dubbed/ originals/ --setting cross --metrics all
      lipsync-eval score gen/ gt/ --metrics core,-lmd --align strict --out runs/x --resume
      lipsync-eval score gen/ gt/ --out runs/x --shard 2/8
    """
    from lipsync_eval.engine.score import score as run_score
    from lipsync_eval.engine.score import usual_name

    project: ProjectFile = (ctx.obj or {}).get("project", ProjectFile())
    settings = measuring_settings(values)
    tell = Telling.taken(values)
    if show_config:
        click.echo(config_text(ctx, project))
        return 0
    if gen is None:
        raise click.MissingParameter(ctx=ctx, param=ctx.command.params[0])
    added = flags(ctx)
    if added and not quiet:
        click.echo(f"options from {printable(str(project.path))}: {printable(shlex.join(added))}", err=True)
    if contact_sheet is not None and (urls := [p for p in (gen, gt) if isinstance(p, Url)]):
        raise UsageError(f"--contact-sheet opens the videos again, and {urls[0]} is a URL; leave it out")
    check_output(contact_sheet, "--contact-sheet", png, (gen, gt))
    out: Path = values.pop("out") or Path("runs") / usual_name(gen)

    def warn(text: str) -> None:
        if not quiet:
            click.echo(f"warning: {text}", err=True)
        note(f"warning: {printable(text)}", logging.WARNING)

    command = [without_secrets(word) for word in ("lipsync-eval", *sys.argv[1:], *added)]
    note(printable(shlex.join(command)))
    how: dict[str, Any] = {"settings": settings, "out": out, "command": command, "warn": warn, "isolate": isolated()}
    how |= values
    if shard is not None:
        return _shard(gen, gt, shard, how, contact_sheet, form, tell.progress(quiet))
    with tell.progress(quiet) as event:
        result = run_score(gen, gt, event=event, **how)
    for row in result.failures:
        note(printable(f"failed: {row.id}: {row.stage}: {row.metric or 'all metrics'}: {row.message}"), logging.ERROR)
    note(printable(f"results: {out / 'results.json'}"))
    if contact_sheet is not None:
        from lipsync_eval.engine.scored_clips import write_contact_sheet

        write_contact_sheet(result, settings, contact_sheet)
    click.echo(result.to_json(out).rstrip("\n") if form == "json" else str(result))
    if form == "text":
        click.echo(f"results: {out / 'results.json'}")
    return 3 if result.failures else 0


def _shard(
    gen: Place,
    gt: Place | None,
    shard: str,
    how: dict[str, Any],
    contact_sheet: Path | None,
    form: str,
    told: AbstractContextManager[Progress],
) -> int:
    """Measure one share; how its result is shown is the affair of `merge`."""
    from lipsync_eval.engine.score_shard import score_shard

    how.pop("resume")  # a shard always goes on
    elsewhere = [how.pop(key) for key in ("scheduler", "cluster", "cluster_options")]
    if any(elsewhere):
        raise UsageError("--shard needs no cluster, and a cluster needs no shards; leave one out")
    if how.pop("overwrite"):
        raise UsageError(
            "--shard with --overwrite would remove what the other shards have measured; "
            "name another folder, or remove this one before the first shard starts"
        )
    if contact_sheet is not None:
        raise UsageError("--contact-sheet shows all clips, and a shard has some of them; leave one out")
    with told as event:
        report = score_shard(gen, gt, shard, event=event, **how)
    if form == "json":
        said = {"shard": report.shard, "clips": list(report.ids), "failed": list(report.failed)}
        click.echo(json.dumps({**said, "out": str(report.folder)}))
    else:
        click.echo(str(report))
    return 3 if report.failed else 0
