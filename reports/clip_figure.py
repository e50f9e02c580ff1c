"""Drawing of the qualitative figure: rows of images with names at the left and words and times below.

Everything is placed in inches on a page of a paper's column; texts are measured and made to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import UsageError
from lipsync_eval.reports import plot_files
from lipsync_eval.reports.plot_files import FONT
from lipsync_eval.reports.plots import COLUMN, PAGE
from lipsync_eval.results.names import printable, shortened
from lipsync_eval.types import Frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

Width = Literal["column", "page"]
WIDTHS: Final[dict[Width, float]] = {"column": COLUMN, "page": PAGE}
"""Inches: a column and the text width of a two-column paper."""
TALLEST: Final = 9.0
"""Inches; what is taller does not fit on a page."""
_GAP, _STRIP_GAP, _ROW_GAP = 0.03, 0.015, 0.06
_LABEL = 0.17
"""Inches beside the cells for a name that stands upright."""
_WIDE_LABEL = 0.75
_UPRIGHT_FROM = 0.5
"""Inches; a row that is lower has its name lying."""
_SMALLEST = 5.0
"""Points; below it a text is shortened instead."""
_PIXELS = 400
"""Pixels of an image per inch of paper."""
_MAP = "inferno"
_MARK = "#F0E442"


@dataclass(frozen=True, slots=True)
class Strip:
    """One line of images: the views of one method, or their enlarged mouths, or its errors."""

    images: tuple[Frame | NDArray[np.float64] | None, ...]
    """A column each: (H, W, 3) uint8 RGB, or (H, W) errors in levels of 255; None: no face there."""
    ratio: float
    """Height over width of its cells."""
    marks: tuple[tuple[float, float, float, float] | None, ...] = ()
    """A rectangle in each cell (left, top, width, height as shares of the cell), or none."""


@dataclass(frozen=True, slots=True)
class Row:
    """One method, or the real video."""

    name: str
    strips: tuple[Strip, ...]


def cell_width(columns: int, ratios: Sequence[float], width: Width) -> tuple[float, float]:
    """(width of a cell, width of the names' column) in inches.

    Args:
        columns: how many moments.
        ratios: height over width of the strips of the lowest row.
        width: of the figure.
    """
    for label in (_LABEL, _WIDE_LABEL):
        cell = (WIDTHS[width] - label - _GAP * columns) / columns
        if cell * sum(ratios) >= _UPRIGHT_FROM:
            break
    return cell, label


def cell_pixels(inches: float, ratio: float) -> tuple[int, int]:
    """(height, width) px in which the image of a cell is made."""
    return max(2, round(inches * ratio * _PIXELS)), max(2, round(inches * _PIXELS))


def draw(
    rows: Sequence[Row],
    times: Sequence[float],
    words: Sequence[str] | None,
    *,
    width: Width = "column",
    font: str | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> Figure:
    """The figure, on a canvas of its own.

    Args:
        rows: methods and the real video; all with as many images a strip as there are times.
        times: of the columns, seconds.
        words: of the columns; None: times alone.
        width: a column or the page.
        font: an installed family or a .ttf file; None: DejaVu Sans, which comes with matplotlib.
        warn: told about letters that no font has.

    Raises:
        UsageError: there is no such font.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    families = _families(font)
    cell, label = cell_width(len(times), [s.ratio for s in min(rows, key=_height).strips], width)
    maps = [i for r in rows for s in r.strips for i in s.images if i is not None and i.ndim == 2]
    most = _scale(maps)
    below = 0.14 + (0.13 if words is not None else 0.0) + (0.2 if maps else 0.0)
    heights = [cell * _height(r) + _STRIP_GAP * (len(r.strips) - 1) for r in rows]
    tall = sum(heights) + _ROW_GAP * (len(rows) - 1) + below
    with mpl.rc_context({**FONT, "font.family": families}):
        figure = Figure(figsize=(WIDTHS[width], tall))
        FigureCanvasAgg(figure)
        page = _Page(figure, families, warn)
        top = 0.0
        for row, high in zip(rows, heights, strict=True):
            if label == _LABEL:
                page.text(row.name, label / 2, top + high / 2, 8, high, upright=True)
            else:
                page.text(row.name, label / 2, top + high / 2, 8, label - 0.04)
            for strip in row.strips:
                for k, image in enumerate(strip.images):
                    mark = strip.marks[k] if strip.marks else None
                    page.cell(image, (label + k * (cell + _GAP), top, cell, cell * strip.ratio), most, mark)
                top += cell * strip.ratio + _STRIP_GAP
            top += _ROW_GAP - _STRIP_GAP
        top -= _ROW_GAP - 0.07
        for k, seconds in enumerate(times):
            middle = label + k * (cell + _GAP) + cell / 2
            if words is not None:
                page.text(words[k] or "–", middle, top, 8, cell)
            page.text(f"{seconds:.2f} s", middle, top + (0.13 if words is not None else 0), 6.5, cell, colour="0.25")
        if maps:
            page.scale(label, tall - 0.1, most)
    return figure


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write stem.png and stem.pdf as `plot_files.save` does; the PDF holds all pixels of the images."""
    images = [image for axes in figure.axes for image in axes.get_images()]

    def prepare(kind: str) -> None:
        for image in images:
            image.set_interpolation("antialiased" if kind == "png" else "none")

    return plot_files.save(figure, stem, prepare)


def _height(row: Row) -> float:
    return sum(s.ratio for s in row.strips)


def _scale(maps: Sequence[NDArray[Any]]) -> float:
    """The brightest value of all error maps: the largest 99.5th percentile of any, up to the next multiple of 8."""
    return max((8.0 * np.ceil(max(float(np.percentile(m, 99.5)), 1.0) / 8.0) for m in maps), default=8.0)


def _families(font: str | None) -> list[str]:
    """The families that letters are looked for in."""
    from matplotlib import font_manager

    usual = "DejaVu Sans"
    if font is None:
        return [usual]
    try:
        if Path(font).suffix.lower() in (".ttf", ".ttc"):
            font_manager.fontManager.addfont(font)
            font = font_manager.FontProperties(fname=font).get_name()
        font_manager.findfont(font, fallback_to_default=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"--font {printable(str(font))!r}: no such font; give an installed family or a .ttf file"
        ) from error
    return [str(font), usual]


class _Page:
    """A figure in inches from its upper left corner."""

    def __init__(self, figure: Figure, families: list[str], warn: Callable[[str], None]) -> None:
        from matplotlib import font_manager
        from matplotlib.ft2font import FT2Font

        self.figure, self.warn = figure, warn
        self.wide, self.tall = (float(v) for v in figure.get_size_inches())
        self.letters: set[int] = set()
        for family in families:
            self.letters |= set(FT2Font(font_manager.findfont(family)).get_charmap())

    def text(
        self, text: str, x: float, y: float, size: float, room: float, *, upright: bool = False, colour: str = "black"
    ) -> None:
        """A text around (x, y), no longer than `room`: smaller, then shortened in the middle."""
        made: Text = self.figure.text(
            x / self.wide, 1 - y / self.tall, "", ha="center", va="center", rotation=90 if upright else 0, color=colour
        )
        shown = self._drawable(text)
        for most in range(len(shown), 0, -1):
            made.set_text(shortened([shown], most)[0] if most > 2 else shown[:most])
            for points in np.arange(size, _SMALLEST - 0.01, -0.5) if most == len(shown) else (_SMALLEST,):
                made.set_fontsize(float(points))
                box = made.get_window_extent()
                if (box.height if upright else box.width) / self.figure.dpi <= room:
                    return

    def cell(
        self,
        image: NDArray[Any] | None,
        place: tuple[float, float, float, float],
        most: float,
        mark: tuple[float, float, float, float] | None,
    ) -> None:
        """An image, an error map, or an empty cell, at (left, top, width, height)."""
        from matplotlib.patches import Rectangle

        axes = self._axes(place)
        if image is None:
            axes.set_facecolor("0.9")
            self.text("no face", place[0] + place[2] / 2, place[1] + place[3] / 2, 6, place[2], colour="0.35")
            return
        axes.imshow(image, aspect="auto", cmap=_MAP, vmin=0, vmax=most)
        if mark is not None:
            high, wide = image.shape[:2]
            corner = (mark[0] * wide - 0.5, mark[1] * high - 0.5)
            axes.add_patch(Rectangle(corner, mark[2] * wide, mark[3] * high, fill=False, ec=_MARK, lw=0.5))

    def scale(self, left: float, y: float, most: float) -> None:
        """What the colours of the error maps mean."""
        axes = self._axes((left + 0.12, y - 0.035, 0.6, 0.07))
        axes.imshow(np.linspace(0, 1, 256)[None, :], aspect="auto", cmap=_MAP)
        x = (left + 0.12 + 0.6 + 0.05) / self.wide
        self.figure.text((left + 0.06) / self.wide, 1 - y / self.tall, "0", ha="center", va="center", fontsize=6)
        self.figure.text(x, 1 - y / self.tall, f"{most:g} of 255: error against the real video",
                         ha="left", va="center", fontsize=6)  # fmt: skip

    def _axes(self, place: tuple[float, float, float, float]) -> Any:
        left, top, wide, high = place
        axes = self.figure.add_axes(
            (left / self.wide, 1 - (top + high) / self.tall, wide / self.wide, high / self.tall)
        )
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def _drawable(self, text: str) -> str:
        """A text in letters that the fonts have; others as escapes, and a warning."""
        shown = printable(text)
        missing = sorted({c for c in shown if ord(c) not in self.letters})
        if missing:
            self.warn(f"no font has {' '.join(missing)} (in {shown!r}): shown as escapes; name a font with --font")
            for c in missing:
                shown = shown.replace(c, c.encode("ascii", "backslashreplace").decode())
        return shown
