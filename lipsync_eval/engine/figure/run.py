"""The qualitative figure of one clip, from finished runs: open the videos, choose the moments, cut the cells, draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from lipsync_eval.cache import Cache
from lipsync_eval.engine.figure.moments import MOST, differences, frames_at, most_different
from lipsync_eval.engine.figure.places import MOUTH_SHAPE, Box, elsewhere, faces, mouths, whole
from lipsync_eval.engine.figure.words import read_words, word_at
from lipsync_eval.engine.scored_clips import open_side
from lipsync_eval.errors import ClipError, FaceError, OutputError, UsageError
from lipsync_eval.features.speaker import track_one
from lipsync_eval.registry import no_such
from lipsync_eval.results.clips import other_real_videos
from lipsync_eval.results.rows import ClipRow
from lipsync_eval.results.schema import Result
from lipsync_eval.types import FPS, Clip, Frame, Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lipsync_eval.reports.clip_figure import Row, Width

View = Literal["face", "frame"]
Zoom = Literal["none", "mouth", "mouth-only"]
Warn = Callable[[str], None]
MOST_ROWS = 16
GT = "GT"
"""What tables call the real videos; a run of this name is the real videos' row."""


@dataclass(frozen=True, slots=True)
class ClipFigure:
    """A drawn figure and what it shows."""

    figure: Figure
    """Of matplotlib, with a canvas of its own."""
    rows: tuple[str, ...]
    """Names of the rows, from the top."""
    times: tuple[float, ...]
    """Of the columns: when their frames begin, in seconds."""
    frames: tuple[int, ...]
    """Of the columns."""
    words: tuple[str, ...] | None
    """Of the columns; '' in silence; None where no alignment was given."""

    def save(self, stem: Path | str, *, overwrite: bool = False) -> tuple[Path, Path]:
        """Write stem.png (300 dpi) and stem.pdf; a suffix .png or .pdf of `stem` is dropped.

        Raises:
            OutputError: one of them is there already and `overwrite` is False, or the folder cannot be written.
        """
        from lipsync_eval.reports.clip_figure import save

        check_free(stem, overwrite=overwrite)
        try:
            return save(self.figure, without_suffix(stem))
        except OSError as error:
            raise OutputError(f"{stem}: cannot be written ({error.strerror or error}); name another file") from error


@dataclass(slots=True)
class _Video:
    """One row: an open video and where it is cut in every frame."""

    name: str
    clip: Clip
    views: Sequence[Box | None] = ()
    mouths: Sequence[Box | None] = ()


def without_suffix(stem: Path | str) -> Path:
    """The path of both files without .png or .pdf."""
    path = Path(stem)
    return path.with_suffix("") if path.suffix.lower() in (".png", ".pdf") else path


def check_free(stem: Path | str, *, overwrite: bool) -> None:
    """Raise OutputError where a file would be replaced that may not be."""
    from lipsync_eval.reports import plot_files

    plot_files.check_free(without_suffix(stem), overwrite=overwrite)


def make_figure(
    runs: Sequence[Result],
    clip: str,
    *,
    at: Sequence[float] | None = None,
    columns: int = 5,
    view: View = "face",
    zoom: Zoom = "none",
    errors: bool = False,
    words: Path | None = None,
    tier: str | None = None,
    real: bool = True,
    width: Width = "column",
    font: str | None = None,
    settings: Settings | None = None,
    warn: Warn = lambda text: None,
) -> ClipFigure:
    """Draw one clip of several runs: methods as rows, the real video last, moments as columns.

    Args:
        runs: finished runs that hold the clip.
        clip: its id.
        at: moments in seconds, as columns from the left; None: those where the methods' mouths differ most.
        columns: how many of those.
        view: a square around the face, or the whole frame.
        zoom: 'mouth' adds the enlarged mouth below each cell, 'mouth-only' shows nothing else.
        errors: a map of the absolute error against the real video below each method.
        words: an alignment file whose words stand under the columns (see words.py).
        tier: of it.
        real: whether the real video has a row.
        width: of the paper's column or page.
        font: an installed family or a .ttf file.
        settings: landmarks, detector, face, weights and cache; None: Settings().
        warn: told what a reader must know.

    Raises:
        UsageError: nothing was drawn: no such clip, a video that is not there any more, no face...
    """
    from lipsync_eval.reports.clip_figure import TALLEST, draw

    _check(columns, view, zoom, width)
    spoken = read_words(words, tier) if words is not None else None
    methods, truth, n = _open(runs, clip, warn)
    if truth is None and errors:
        raise UsageError("--errors compares with the real video, and these runs were scored without one")
    if at is not None:
        chosen = frames_at(at, n)
    try:
        if view == "face" or zoom != "none" or at is None:
            _find_faces(methods, truth, n, settings or Settings(), warn)
        if view == "frame":
            _whole_frames(methods, truth, n)
        if at is None:
            compared = methods if len(methods) > 1 or truth is None else [*methods, truth]
            if len(compared) < 2:
                raise UsageError("--auto compares videos, and there is one; name the moments with --at")
            chosen = most_different(differences([v.clip for v in compared], [v.mouths for v in compared], n), columns)
        rows = _rows(methods, truth, chosen, zoom=zoom, errors=errors, real=real, width=width)
    except ClipError as error:
        raise UsageError(f"clip {clip!r} cannot be shown: {error}") from error
    times = [i / FPS for i in chosen]
    said = None if spoken is None else [word_at(spoken, t) for t in times]
    if said is not None and not any(said):
        warn(f"{words}: no word is spoken at any of the moments shown; are its times those of this clip?")
    figure = draw(rows, times, said, width=width, font=font, warn=warn)
    if (tall := float(figure.get_size_inches()[1])) > TALLEST:
        warn(f"the figure is {tall:.1f} inches tall, more than a page; show fewer methods, or more columns")
    return ClipFigure(
        figure, tuple(r.name for r in rows), tuple(times), tuple(chosen), None if said is None else tuple(said)
    )


def _check(columns: int, view: str, zoom: str, width: str) -> None:
    if not 1 <= columns <= MOST:
        raise UsageError(f"{columns} columns; a figure takes 1 to {MOST}")
    for name, value, known in (
        ("view", view, get_args(View)), ("zoom", zoom, get_args(Zoom)), ("width", width, ("column", "page")),
    ):  # fmt: skip
        if value not in known:
            raise UsageError(no_such(name, str(value), known))


def _open(runs: Sequence[Result], clip: str, warn: Warn) -> tuple[list[_Video], _Video | None, int]:
    """The methods' videos, the real one, and their common length as it was scored."""
    from lipsync_eval.reports.naming import method_names, refuse_doubled

    shown = [(name, run) for name, run in zip(method_names(runs), runs, strict=True) if name != GT]
    names = [name for name, _ in shown]
    if not 1 <= len(shown) <= MOST_ROWS:
        raise UsageError(f"{len(shown)} methods given; a figure takes 1 to {MOST_ROWS} (a run called {GT} is none)")
    refuse_doubled(names)
    rows = [_row(run, name, clip) for name, run in shown]
    for name, run in shown[1:]:
        if clip in other_real_videos(shown[0][1], run):
            raise UsageError(f"clip {clip!r}: {names[0]} and {name} were scored against different real videos")
    videos = [_Video(n, _opened(r, "gen", n, warn)) for n, r in zip(names, rows, strict=True)]
    first = next((r for r in rows if r.gt), None)
    real = next((run for run in runs if run.run.name == GT), None)
    if first is not None:
        truth = _Video(GT, _opened(first, "gt", "the real video", warn))
    elif real is not None:  # scored as a method, beside methods that were scored without real videos
        rows.append(_row(real, GT, clip))
        truth = _Video(GT, _opened(rows[-1], "gen", "the real video", warn))
    else:
        truth = None
    n = min(min(r.n_frames or 0 for r in rows), *(v.clip.n_frames for v in [*videos, *([truth] if truth else [])]))
    return videos, truth, n


def _row(run: Result, name: str, clip: str) -> ClipRow:
    rows = {c.id: c for c in run.clips}
    if clip not in rows:
        raise UsageError(f"{name}: {no_such('clip', clip, list(rows))}")
    row = rows[clip]
    if not row.gen or not row.n_frames:
        raise UsageError(f"{name}: clip {clip!r} was never read (see its failure row); choose another clip")
    return row


def _opened(row: ClipRow, side: Literal["gen", "gt"], name: str, warn: Warn) -> Clip:
    path = str(getattr(row, side))
    try:
        clip = open_side(row, side, path)
    except (ClipError, OSError) as error:
        raise UsageError(f"{name}: {path} cannot be read any more ({error}); put it back, or score again") from error
    facts = row.details.get(side)
    if isinstance(facts, dict) and facts.get("sha256") not in (None, clip.digest):
        warn(f"{name}: {path} is not the file that was scored: its content is another one now")
    return clip


def _find_faces(methods: list[_Video], truth: _Video | None, n: int, settings: Settings, warn: Warn) -> None:
    """Where each video is cut: at the real video's place, so that a mouth in a wrong place is seen; a video of another size,
    or whose mouth lies elsewhere, by its own landmarks.
    """
    cache = Cache(settings.cache_dir)

    def places(video: _Video) -> bool:
        try:
            track = track_one(settings, video.clip, cache).cut(n)
        except FaceError as error:
            video.views = video.mouths = [None] * n
            warn(f"{video.name}: {error}")
            return False
        video.views = faces(track.points, video.clip.height, video.clip.width)
        video.mouths = mouths(track.points, video.clip.height, video.clip.width)
        return True

    known = truth is not None and places(truth)
    found = [places(video) for video in methods]
    if not known and not any(found):
        raise UsageError("no face was found in any of these videos; show whole frames with --view frame and --at")
    for video, own in zip(methods, found, strict=True):
        if truth is None or not known:
            continue
        if video.clip.size == truth.clip.size and not (own and elsewhere(list(video.mouths), list(truth.mouths))):
            video.views, video.mouths = truth.views, truth.mouths
        else:
            why = "frames of another size" if video.clip.size != truth.clip.size else "a face in another place"
            warn(f"{video.name} has {why} than the real video: it is cut by its own landmarks")


def _whole_frames(methods: Sequence[_Video], truth: _Video | None, n: int) -> None:
    videos = [*methods, truth] if truth is not None else list(methods)
    height, width = videos[-1].clip.size
    for video in videos:
        h, w = video.clip.size
        if abs(h * width - w * height) > 0.01 * h * width:
            raise UsageError(
                f"{video.name}: frames of {w}x{h}, {videos[-1].name} has {width}x{height}: whole frames of other shapes "
                "cannot stand in one figure; use --view face"
            )
        video.views = [whole(h, w)] * n


def _rows(
    methods: Sequence[_Video], truth: _Video | None, chosen: Sequence[int], *,
    zoom: Zoom, errors: bool, real: bool, width: Width,
) -> list[Row]:  # fmt: skip
    """The images of all cells, one video after the other."""
    from lipsync_eval.reports.clip_figure import Row, Strip, cell_pixels, cell_width

    shape = next((b.height / b.width for v in [*methods, *([truth] if truth else [])] for b in v.views if b), 1.0)
    only = zoom == "mouth-only"
    ratios = [MOUTH_SHAPE] if only else [shape] + [MOUTH_SHAPE] * (zoom == "mouth")
    inches, _ = cell_width(len(chosen), ratios, width)
    size, small = cell_pixels(inches, ratios[0]), cell_pixels(inches, MOUTH_SHAPE)

    def strips(video: _Video, truths: Sequence[Frame | None] | None) -> tuple[tuple[Strip, ...], list[Frame | None]]:
        main: list[Frame | None] = []
        close: list[Frame | None] = []
        marks = []
        for i in chosen:
            frame = next(iter(video.clip.frames(i, i + 1)))
            place, mouth = (video.mouths if only else video.views)[i], video.mouths[i] if zoom == "mouth" else None
            main.append(None if place is None else place.cut(frame, size))
            close.append(None if mouth is None else mouth.cut(frame, small))
            marks.append(None if place is None or mouth is None else _share(mouth, place))
        made = [Strip(tuple(main), ratios[0], tuple(marks))]
        if zoom == "mouth":
            made.append(Strip(tuple(close), MOUTH_SHAPE))
        if truths is not None:
            pairs = zip(main, truths, strict=True)
            made.append(Strip(tuple(None if a is None or b is None else _error(a, b) for a, b in pairs), ratios[0]))
        return tuple(made), main

    true_strips, true_images = strips(truth, None) if truth is not None else ((), [])
    rows = [Row(v.name, strips(v, true_images if errors else None)[0]) for v in methods]
    return [*rows, Row(GT, true_strips)] if truth is not None and real else rows


def _share(inner: Box, outer: Box) -> tuple[float, float, float, float]:
    """Where a rectangle lies in another: left, top, width and height as shares of the outer one."""
    return (
        (inner.left - outer.left) / outer.width,
        (inner.top - outer.top) / outer.height,
        inner.width / outer.width,
        inner.height / outer.height,
    )


def _error(a: Frame, b: Frame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(H, W) mean over the colours of the absolute difference, in levels of 255."""
    out: np.ndarray[Any, np.dtype[np.float64]] = np.abs(a.astype(np.float64) - b).mean(axis=2)
    return out
