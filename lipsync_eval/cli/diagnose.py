"""`lipsync-eval diagnose CLIP...`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli.options import STORES, Headed, declared, stores
from lipsync_eval.settings import RUN_OPTIONS

_TAKEN = ("device", "landmarks", "detector", "offline")


def _options(command: Any) -> Any:
    for option in reversed([*STORES, *(declared(o, o.default or None) for o in RUN_OPTIONS if o.name in _TAKEN)]):
        command = option(command)
    return command


@click.command(cls=Headed)
@click.argument("clips", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="CLIP...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("diagnose"),
    show_default=True,
    help="Folder for NAME.png and NAME.json of each clip.",
)
@click.option("--overwrite", is_flag=True, help="Replace files of these names in OUT.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What is printed: sentences, or one JSON list.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
@_options
def diagnose(
    clips: tuple[Path, ...],
    out: Path,
    overwrite: bool,
    form: str,
    quiet: bool,
    **values: Any,
) -> int:
    """Why is the sync score of a clip what it is?

    Looks at each CLIP (a video, or a folder of them): how well each offset fits, how much of the audio is speech, what
    sounds under it, who is seen and who speaks, cuts, frame rate, and what the file says of itself. Prints sentences, problems
    first, and writes a picture and a JSON file into OUT. SyncNet is asked where its weights are here; else our mouth-mel
    score, and it says so. Exit 3: some clips could not be read.

    \b
    Examples:
      lipsync-eval diagnose gt/a.mp4
      lipsync-eval diagnose gt/ --out why --weights syncnet=syncnet_v2.model
      lipsync-eval diagnose a.mp4 b.mp4 --format json
    """
    from lipsync_eval.cli.progress import progress
    from lipsync_eval.engine.diagnose.run import diagnose as run
    from lipsync_eval.engine.diagnose.run import plan
    from lipsync_eval.results.names import printable
    from lipsync_eval.types import Settings

    settings = Settings(**stores(values), **{**values, "offline": bool(values["offline"])})
    jobs = plan(clips, out, overwrite=overwrite)
    shown, failed = [], 0
    with progress(quiet=quiet) as event:
        for done in run(jobs, settings, event):
            if done.data is None:
                failed += 1
                click.echo(f"error: {printable(str(done.job.clip))}: {printable(done.text)}", err=True)
            elif form == "json":
                shown.append(done.data | {"picture": str(done.job.picture)})
            else:
                for line in done.text.split("\n"):
                    click.echo(printable(line))
                click.echo(f"  picture: {printable(str(done.job.picture))}")
    if form == "json":
        click.echo(json.dumps(shown, indent=1))
    return 3 if failed else 0
