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
    from lipsync_eval.demo import make_demo
    from lipsync_eval.engine.score import score
    from lipsync_eval.errors import OutputError

    parts = [folder / name for name in ("gen", "gt", "run")]
    if any(p.exists() for p in parts):
        if not overwrite:
            raise OutputError(f"{folder}: holds a demo already; replace it with --overwrite or name another folder")
        for part in parts:
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
