"""The report page: a folder that opens from the disk, with no server and no network.

index.html shows the summary and the list of clips. The per-frame values and the videos of each clip lie in scripts of
their own and are read when the clip is opened, so a large run opens at once. All text of users (names, messages) travels
as JSON and is put into the page as text, never as markup.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from lipsync_eval.errors import UsageError
from lipsync_eval.files import write_text
from lipsync_eval.reports.naming import method_names, with_reference
from lipsync_eval.reports.page_data import clip_data, script_json, summary
from lipsync_eval.reports.page_media import Media, Previews, make_previews
from lipsync_eval.reports.plots import Frames
from lipsync_eval.results.schema import Result

MARK = '<meta name="generator" content="lipsync-eval report">'
"""Stands in every page: a folder without it is none that this command wrote."""
ASSETS = ("page.css", "core.js", "player.js", "sync.js", "curves.js", "figure.js", "list.js", "start.js")
_LIBRARY = "plotly.min.js"


def is_page(folder: Path) -> bool:
    """Whether a folder holds a page that `write_page` wrote."""
    try:
        text = (folder / "index.html").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    old = "<title>lipsync-eval report</title>" in text and (folder / "data" / "run.js").is_file()
    return MARK in text or old


def write_page(
    runs: Sequence[Result],
    frames: Sequence[Frames],
    folder: Path,
    media: Sequence[Media],
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the page of one or more runs into a folder.

    Args:
        runs: results; their names must differ.
        frames: per run, as load_frames gives.
        folder: made if absent; an older page in it is replaced.
        media: per run, what makes a preview of one side of a clip.
        tell: told how many clips of how many have their previews.

    Returns:
        the path of index.html.

    Raises:
        UsageError: no run, two of one name, or the plotting library is not installed.
        OSError: the folder cannot be written.
    """
    names = method_names(runs)
    if not runs or len(set(names)) < len(names):
        raise UsageError(
            f"the page needs runs of different names; got: {', '.join(names) or 'none'}; give another name: RUN=NAME"
        )
    library = _library()
    runs = [run.renamed(with_reference(name, [run])) for run, name in zip(runs, names, strict=True)]
    older = is_page(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "index.html", f"<head>\n{MARK}\n<p>This page is not finished.\n")  # a kill may come
    for part in ("data", "media"):
        if older:
            shutil.rmtree(folder / part, ignore_errors=True)  # of the older page
        (folder / part).mkdir(exist_ok=True)
    ids = list(dict.fromkeys(c.id for r in runs for c in r.clips))
    previews: list[Previews] = []
    rows = [{c.id: c for c in r.clips} for r in runs]
    for i, name in enumerate(ids):
        previews.append(make_previews(i, [mine.get(name) for mine in rows], media, folder / "media"))
        tell(i + 1, len(ids))
    for i, name in enumerate(ids):
        data = clip_data(name, runs, frames, previews[i])
        write_text(folder / "data" / f"{i:06d}.js", f"clipData({i},{script_json(data)});\n")
    for asset in ASSETS:
        write_text(folder / asset, _template(asset))
    write_text(folder / _LIBRARY, library)
    write_text(folder / "data" / "run.js", f"const DATA = {script_json(summary(runs, ids, previews))};\n")
    index = folder / "index.html"
    write_text(index, _template("page.html"))
    return index


def _library() -> str:
    """The text of plotly.min.js, out of the package plotly; nothing of the package is imported.

    Raises:
        UsageError: it is not installed.
    """
    spec = find_spec("plotly")
    places = (
        [] if spec is None else [Path(p) / "package_data" / _LIBRARY for p in spec.submodule_search_locations or ()]
    )
    for path in places:
        if path.is_file():
            return path.read_text("utf-8")
    raise UsageError(
        f"the page needs {_LIBRARY} of the package plotly, which is not installed; pip install 'plotly>=6,<8'"
    )


def _template(name: str) -> str:
    text = files("lipsync_eval.reports").joinpath("templates", name).read_text("utf-8")
    return text.replace("<head>", f"<head>\n{MARK}", 1) if name == "page.html" else text
