"""`lipsync-eval report RUN... --out DIR`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from lipsync_eval.errors import OutputError


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the page.")
@click.option("--no-media", is_flag=True, help="No previews of the videos.")
def report(runs: tuple[Path, ...], out: Path, no_media: bool) -> None:
    """A page to look at runs clip by clip: opens from the disk, needs no server and no network.

    Videos are shown small and side by side, read from where they were scored.

    \b
    Examples:
      lipsync-eval report runs/a --out page
      lipsync-eval report runs/a runs/b --out page --no-media
    """
    from lipsync_eval.engine.preview import side_by_side
    from lipsync_eval.results.schema import ClipRow, load_result
    from lipsync_eval.results.store import load_frames

    def media(place: int, clip: ClipRow, folder: Path) -> str | None:
        name = f"{place:06d}.mp4"
        return name if not no_media and side_by_side(clip, folder / name) else None

    loaded = [load_result(r) for r in runs]
    for sentence in import_module("lipsync_eval.reports.unlike").unlike(loaded):
        click.echo(f"warning: {sentence}", err=True)
    frames = [load_frames(r) for r in runs]
    if out.exists() and not (out.is_dir() and ((out / "index.html").exists() or not any(out.iterdir()))):
        raise OutputError(f"--out {out}: is not empty and holds no report page; name a new or empty folder")
    try:
        index = import_module("lipsync_eval.reports.page").write_page(loaded, frames, out, [media] * len(loaded))
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    click.echo(str(index))
