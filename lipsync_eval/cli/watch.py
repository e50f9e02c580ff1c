"""`lipsync-eval watch CHECKPOINTS --run CMD --data M`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli.generators import AGAIN_FAILED
from lipsync_eval.cli.options import (
    FIRST,
    METRICS,
    QUIET,
    SKIP_MISSING,
    THREADS,
    WORKERS,
    Headed,
    flag,
    measuring,
    measuring_settings,
)
from lipsync_eval.results.names import printable


@click.command(cls=Headed)
@click.argument("checkpoints", type=click.Path(path_type=Path), metavar="CHECKPOINTS")
@flag(
    "--run",
    "command",
    required=True,
    metavar="CMD",
    heading=FIRST,
    help="Command that dubs with a checkpoint; {checkpoint}, {data} (the manifest) and {out} are put in. No shell reads it.",
)
@flag(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    heading=FIRST,
    help="Manifest: CSV with columns id,video,audio[,reference][,real]; CMD writes {out}/ID.mp4 for each.",
)
@flag(
    "--out",
    type=click.Path(path_type=Path),
    heading=FIRST,
    help="Folder of the history and the runs [default: runs/<name of CHECKPOINTS>].",
)
@METRICS
@flag(
    "--pattern",
    multiple=True,
    heading=FIRST,
    help="What is a checkpoint: a pattern of names; repeatable [default: *.pt *.pth *.ckpt *.safetensors *.bin *.onnx].",
)
@flag(
    "--order",
    type=click.Choice(["name", "mtime"]),
    default="name",
    show_default=True,
    heading=FIRST,
    help="Of checkpoints: by name (numbers as numbers), or by time of change.",
)
@flag("--once", is_flag=True, heading=FIRST, help="Score what is there, then end.")
@flag(
    "--interval",
    type=click.FloatRange(0.1),
    default=30.0,
    show_default=True,
    heading=FIRST,
    help="Seconds between two looks at the folder.",
)
@flag(
    "--settle",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    heading=FIRST,
    help="Seconds without a change after which a checkpoint counts as complete.",
)
@flag(
    "--timeout",
    type=click.FloatRange(1),
    default=86400.0,
    show_default=True,
    heading=FIRST,
    help="Seconds that CMD may take for one checkpoint.",
)
@WORKERS
@THREADS
@SKIP_MISSING
@AGAIN_FAILED
@flag("--drop-videos", is_flag=True, heading="Output", help="Remove a checkpoint's videos once they are scored.")
@QUIET
@measuring
def watch(
    checkpoints: Path,
    command: str,
    out: Path | None,
    data: Path,
    pattern: tuple[str, ...],
    once: bool,
    interval: float,
    again_failed: bool,
    quiet: bool,
    **values: Any,
) -> int:
    """Score every new checkpoint of a folder, and keep a history with a curve per metric.

    CMD dubs the clips of the manifest into {out}/ID.mp4; they are scored against the column `real`. A checkpoint whose CMD
    fails is a row with its reason; the watch goes on. Killed, it takes up where it was. Exit 3 (with --once): something
    failed, the rest is written. `lipsync-eval gate OUT --baseline OUT` compares the newest checkpoint with the one before.

    \b
    Examples:
      lipsync-eval watch ckpt/ --run "python dub.py {checkpoint} {data} {out}" --data val.csv
      lipsync-eval watch ckpt/ --run "./dub {checkpoint} {data} {out}" --data val.csv --pattern "step_*.pt" --once
    """
    from lipsync_eval.cli.progress import progress
    from lipsync_eval.cli.streams import isolated
    from lipsync_eval.results.history import HistoryRow
    from lipsync_eval.watch.begin import Asked
    from lipsync_eval.watch.checkpoints import PATTERNS
    from lipsync_eval.watch.run import watch as run_watch

    out = out or Path("runs") / checkpoints.resolve().name
    asked = Asked(checkpoints, out, command, data, settings=measuring_settings(values), patterns=pattern or PATTERNS,
                  isolate=isolated(), **values)  # fmt: skip

    def tell(text: str) -> None:
        if not quiet:
            click.echo(text, err=True)

    def done(row: HistoryRow) -> None:
        found = ", ".join(f"{s.metric} {s.printed(s.value)}" for s in row.scores)
        failed = f" ({row.n_failures} failures)" if row.n_failures else ""
        said = f"{found}{failed}" if row.status == "scored" else f"failed: {row.reason}"
        click.echo(f"{printable(row.checkpoint)}: {said}")

    rows = run_watch(
        asked, once=once, interval=interval, again_failed=again_failed, done=done, tell=tell,
        scoring=lambda: progress(quiet=quiet),
    )  # fmt: skip
    click.echo(f"history: {out / 'history.json'}")
    return 3 if any(row.status == "failed" or row.n_failures for row in rows) else 0
