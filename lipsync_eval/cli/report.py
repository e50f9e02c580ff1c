"""`lipsync-eval report RUN... --out DIR`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipsync_eval.cli.runs import read_methods
from lipsync_eval.errors import OutputError
from lipsync_eval.locks import Held, Lock
from lipsync_eval.results.names import printable
from lipsync_eval.results.schema import ClipRow, Result
from lipsync_eval.urls import is_url

if TYPE_CHECKING:
    from lipsync_eval.reports.page_media import Media

_EVERY = 5.0
"""Seconds between lines of progress."""


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN[=NAME]...")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the page.")
@click.option("--no-media", is_flag=True, help="No previews of the videos.")
@click.option(
    "--videos-from",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Show videos of this folder too, beside those of the runs' own folders; repeatable.",
)
@click.option(
    "--preview-height",
    type=click.IntRange(64, 2160),
    default=320,
    show_default=True,
    help="Height of the videos on the page, px; larger ones give sharper figures and a larger page.",
)
@click.option("--quiet", is_flag=True, help="No progress, no warnings.")
def report(
    runs: tuple[str, ...], out: Path, no_media: bool, videos_from: tuple[Path, ...], preview_height: int, quiet: bool
) -> None:
    """A page to look at runs clip by clip: opens from the disk, needs no server and no network.

    The real video and all methods play side by side in step, over their per-frame curves. Videos are read from where they
    were scored: from the folders GEN and GT of each run, and no others, since a page may be passed on.

    \b
    Examples:
      lipsync-eval report runs/a --out page
      lipsync-eval report runs/a=ours runs/b --out page --no-media
    """
    from lipsync_eval.reports.page import is_page, write_page
    from lipsync_eval.reports.unlike import unlike

    def warn(text: str) -> None:
        if not quiet:
            click.echo(f"warning: {printable(text)}", err=True)

    loaded = read_methods(runs)
    for sentence in unlike(loaded):
        warn(sentence)
    if out.exists() and not (out.is_dir() and (is_page(out) or all(p.name.startswith(".lock") for p in out.iterdir()))):
        raise OutputError(f"--out {out}: is not empty and holds no report page; name a new or empty folder")
    frames = [run.all_frames() if run.has_frames else {} for run in loaded]
    for run, held in zip(loaded, frames, strict=True):
        if not held:
            warn(f"{run.run.name}: there is no frames.npz beside its results, so the page has no curves of it")
    media = [_previews(run, videos_from, None if no_media else preview_height, warn) for run in loaded]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with Lock(out / ".lock"):
            index = write_page(loaded, frames, out, media, _teller(quiet or no_media))
    except Held as error:
        raise OutputError(f"--out {out}: another job makes a page there: {error}; name another folder") from error
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    click.echo(str(index))


def _previews(run: Result, more: Sequence[Path], height: int | None, warn: Callable[[str], None]) -> Media:
    """What makes the previews of a run (none where `height` is None); tells at once which videos it will not show, and why."""
    from lipsync_eval.engine.preview import preview
    from lipsync_eval.reports.page_media import no_media

    if height is None:
        return no_media
    roots = [*own_folders(run), *(p.resolve() for p in more)]
    shown: set[str] = set()
    absent, foreign, urls = [], [], []
    for clip in run.clips:
        named = [p for p in (clip.gen, clip.gt) if p]
        if not clip.gen or (run.data.gt and not clip.gt) or not clip.n_frames:
            continue
        if remote := [p for p in named if is_url(p)]:
            urls.append(remote[0])
            continue
        paths = [Path(p) for p in named]
        if not all(p.exists() for p in paths):
            absent.append(next(str(p) for p in paths if not p.exists()))
        elif not all(any(p.resolve().is_relative_to(root) for root in roots) for p in paths):
            foreign.append(str(next(p for p in paths if not any(p.resolve().is_relative_to(r) for r in roots))))
        else:
            shown.add(clip.id)
    if absent:
        warn(
            f"{run.run.name}: {len(absent)} clips are shown without videos, which are not there any more, e.g. {absent[0]}"
        )
    if urls:
        warn(
            f"{run.run.name}: {len(urls)} clips are shown without videos, which are URLs and are not fetched for a page, e.g. "
            f"{urls[0]}; copy them to a disk and score them there to see them"
        )
    if foreign:
        warn(
            f"{run.run.name}: {len(foreign)} clips are shown without videos, which lie outside the run's folders, e.g. "
            f"{foreign[0]}; allow them with --videos-from DIR"
        )

    def make(clip: ClipRow, side: str, stem: Path) -> Mapping[str, Any] | None:
        return preview(clip, side, stem, height=height) if clip.id in shown else None

    return make


def own_folders(run: Result) -> list[Path]:
    """The folders (or files) GEN and GT of a run, resolved; never one that holds the user's home or is the root of a disk."""
    found = [Path(p).resolve() for p in (run.data.gen, run.data.gt) if p and not is_url(p)]
    try:
        home = Path.home().resolve()
    except RuntimeError:  # this user has none
        home = None
    return [p for p in found if p != Path(p.anchor) and not (home is not None and home.is_relative_to(p))]


def _teller(quiet: bool) -> Callable[[int, int], None]:
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if not quiet and (now - last >= _EVERY or (done == total and now - last >= 1)):
            last = now
            sys.stderr.write(f"previews of {done}/{total} clips\n")

    return tell
