"""`lipsync-eval demo [DIR]`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=Path("demo"), required=False)
@click.option("--overwrite", is_flag=True, help="Replace what DIR holds.")
def demo(folder: Path, overwrite: bool) -> int:
    """Make DIR/gen and DIR/gt from a public-domain photograph, score them into DIR/run. No download.

    \b
    Examples:
      lipsync-eval demo
      lipsync-eval demo /tmp/demo --overwrite
    """
    import shutil

    from lipsync_eval.cli.progress import progress
    from lipsync_eval.demo import CLIPS, make_demo
    from lipsync_eval.engine.score import score
    from lipsync_eval.errors import OutputError

    videos, run = [folder / side for side in ("gen", "gt")], folder / "run"
    foreign = [p for side in videos if side.is_dir() for p in side.iterdir() if p.name not in CLIPS]
    if foreign or (run.exists() and not all(side.is_dir() for side in videos)):
        raise OutputError(
            f"{folder}: holds other files than a demo ({foreign[0] if foreign else run}); name another folder"
        )
    if any(p.exists() for p in (*videos, run)):
        if not overwrite:
            raise OutputError(f"{folder}: holds a demo already; replace it with --overwrite or name another folder")
        for part in (*videos, run):
            shutil.rmtree(part, ignore_errors=True)
    try:
        gen, gt = make_demo(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error}); name another folder") from error
    click.echo(f"made {gen} and {gt}; now: lipsync-eval score {gen} {gt} --out {folder / 'run'}", err=True)
    with progress(quiet=False) as event:
        result = score(gen, gt, out=folder / "run", name="demo", event=event)
    click.echo(str(result))
    click.echo(f"results: {folder / 'run' / 'results.json'}")
    return 3 if result.failures else 0
