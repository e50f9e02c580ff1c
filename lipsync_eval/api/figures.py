"""The qualitative figure from Python: what `lipsync-eval figure` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lipsync_eval.results.schema import Result, load_result
from lipsync_eval.types import Settings

if TYPE_CHECKING:
    from lipsync_eval.engine.figure.run import ClipFigure


def figure(
    runs: Sequence[Result | Path | str],
    clip: str,
    *,
    at: Sequence[float] | None = None,
    columns: int = 5,
    view: Literal["face", "frame"] = "face",
    zoom: Literal["none", "mouth", "mouth-only"] = "none",
    errors: bool = False,
    words: Path | str | None = None,
    tier: str | None = None,
    real: bool = True,
    width: Literal["column", "page"] = "column",
    font: str | None = None,
    settings: Settings | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> ClipFigure:
    """Methods and the real video as rows, moments of one clip as columns; `.figure` is matplotlib's, `.save(stem)` writes it.

    Args:
        runs: results or folders of runs; a run called 'GT' is the real video's row.
        clip: its id, as in clips.csv.
        at: moments in seconds; None: those where the methods' mouths differ most.
        columns: how many of those.
        view: a square around the face, or the whole frame.
        zoom: 'mouth' adds the enlarged mouth below each cell, 'mouth-only' shows nothing else.
        errors: below each method a map of its absolute error against the real video.
        words: an alignment file (TextGrid, JSON, CSV, TSV, .align, LRS .txt) whose words stand under the columns.
        tier: of it.
        real: whether the real video has a row.
        width: 3.4 inches (column) or 7 (page).
        font: an installed family or a .ttf file; None: DejaVu Sans.
        settings: landmarks, detector, face, weights and cache; None: Settings().
        warn: told what a reader must know.

    Raises:
        UsageError: no such clip, a video that is not there any more, a moment outside the clip, no face...
        ParseError: the alignment file is malformed.
    """
    from lipsync_eval.engine.figure.run import make_figure

    return make_figure(
        [run if isinstance(run, Result) else load_result(run) for run in runs],
        clip,
        at=at,
        columns=columns,
        view=view,
        zoom=zoom,
        errors=errors,
        words=None if words is None else Path(words),
        tier=tier,
        real=real,
        width=width,
        font=font,
        settings=settings,
        warn=warn,
    )
