"""The picture of a diagnosis: who is seen, how well each shift fits, what is heard when, and the sentences."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lipsync_eval.engine.diagnose.findings import Finding, main_curve
from lipsync_eval.engine.diagnose.look import Look
from lipsync_eval.features.mouth_mel import SHIFT
from lipsync_eval.files import atomic
from lipsync_eval.types import FPS, RATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_GREY: Final = "#777777"
_DRAWN: Final = 4
"""People that have a colour and a curve."""
_MARK: Final = {"problem": "PROBLEM", "note": "note", "unknown": "unknown", "ok": "ok"}
_WIDE: Final = 135
"""Characters in a line of the sentences."""


def draw(seen: Look, found: list[Finding], path: Path) -> None:
    """Write the PNG, whole or not at all. Equal diagnoses give equal bytes.

    Raises:
        OSError: it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = _lines(found)
    tall = 0.3 + 0.155 * len(lines)
    figure = Figure(figsize=(10, 5.4 + tall), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, 2, height_ratios=[3.2, 1.8, tall])
    _frame(figure.add_subplot(grid[0, 0]), seen)
    _curves(figure.add_subplot(grid[0, 1]), seen)
    _time(figure.add_subplot(grid[1, :]), seen)
    words = figure.add_subplot(grid[2, :])
    words.axis("off")
    words.text(
        0, 1, "\n".join(lines), fontsize=7.5, va="top", family="monospace", transform=words.transAxes, parse_math=False
    )
    figure.suptitle(_plain(seen.clip.path.name)[:100], fontsize=10, parse_math=False)
    with atomic(path) as file:
        figure.savefig(file, format="png", dpi=120, metadata={"Software": None})


def _plain(text: str) -> str:
    """What the built-in font can draw on one line; the rest as escapes."""
    ascii_ = text.encode("ascii", "backslashreplace").decode()
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in ascii_)


def _lines(found: list[Finding]) -> list[str]:
    lines = []
    for finding in found:
        head = f"{_MARK[finding.level]:8} {finding.about:11}"
        lines += textwrap.wrap(
            _plain(finding.text), _WIDE, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=True
        )
    return lines


def _name(seen: Look, index: int) -> str:
    speaks = " (speaks)" if seen.sure and index == seen.speaker else ""
    return f"person {index + 1}{speaks}"


def _frame(axes: Axes, seen: Look) -> None:
    axes.imshow(seen.frame)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, seen.clip.width - 0.5), ylim=(seen.clip.height - 0.5, -0.5))
    axes.set_title(f"frame {seen.frame_at} ({seen.frame_at / FPS:.2f} s)", fontsize=8)
    for index, track in enumerate(seen.people.tracks[:_DRAWN]):
        box = track.boxes[seen.frame_at]
        if not np.isfinite(box).all():
            continue
        colour = _COLOURS[index]
        style: dict[str, Any] = {"color": colour, "linewidth": 2 if index == seen.speaker and seen.sure else 1}
        x0, y0, x1, y1 = box
        axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], **style)
        axes.text(
            max(x0, 2), max(y0, seen.clip.height * 0.06), _name(seen, index), fontsize=7, color="white", va="bottom",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 1}, clip_on=True,
        )  # fmt: skip


def _curves(axes: Axes, seen: Look) -> None:
    """SyncNet's distances where they are there, else the mouth-mel scores; up is better in both."""
    shifts = np.arange(-SHIFT, SHIFT + 1)
    drawn = False
    if main_curve(seen) is not None:
        for curve in seen.syncnet:
            _curve(axes, seen, curve.person, shifts, curve.mean, curve.offset)
            drawn = True
        axes.invert_yaxis()
        axes.set_ylabel("SyncNet distance (axis turned: up is better)", fontsize=8)
    else:
        for index, one in enumerate(seen.heard[:_DRAWN]):
            if one.found is not None:
                _curve(axes, seen, index, shifts, one.found.curve, one.found.shift)
                drawn = True
        why = " (no SyncNet weights)" if not seen.syncnet and seen.syncnet_missing else ""
        axes.set_ylabel(f"mouth-mel score{why}", fontsize=8)
    axes.axvline(0, color="black", linewidth=0.6, linestyle=(0, (4, 3)))
    axes.set_xlabel("offset in frames; right: the audio comes before the lips", fontsize=8)
    axes.set_title("How well each offset fits", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25, linewidth=0.4)
    if drawn:
        axes.legend(fontsize=7, frameon=False)
    else:
        axes.text(0.5, 0.5, "no curve", transform=axes.transAxes, ha="center", va="center", fontsize=8)


def _curve(axes: Axes, seen: Look, index: int, shifts: Any, values: Any, best: int) -> None:
    colour = _COLOURS[index] if index < _DRAWN else _GREY
    axes.plot(shifts, values, color=colour, linewidth=1.4, label=f"{_name(seen, index)}: best at {best:+d}")
    axes.plot([best], [values[best + SHIFT]], "o", color=colour, markersize=5)


def _time(axes: Axes, seen: Look) -> None:
    """Level of the audio over time, with speech, cuts, and when each face is there."""
    n = seen.clip.n_frames
    axes.set_xlim(0, n / FPS)
    axes.set_ylim(-75, 5)
    if seen.level is not None:
        axes.plot((np.arange(n) + 0.5) / FPS, np.maximum(seen.level, -75), color=_GREY, linewidth=0.8)
    for first, stop in seen.speech if seen.speech is not None else ():
        axes.axvspan(first / RATE, stop / RATE, color="#56B4E9", alpha=0.25, linewidth=0)
    if seen.background is not None:
        under = seen.background
        axes.axhline(under.level - max(under.ratio, 0.0), color="#E69F00", linewidth=1.0, linestyle=(0, (2, 2)))
    for cut in seen.people.cuts:
        axes.axvline(cut / FPS, color="black", linewidth=0.8)
    for index, track in enumerate(seen.people.tracks[:_DRAWN]):
        there = np.where(track.valid, 3 - 3.5 * index, np.nan)
        axes.plot((np.arange(len(there)) + 0.5) / FPS, there, color=_COLOURS[index], linewidth=2.5)
    axes.set_xlabel("s", fontsize=8)
    axes.set_ylabel("dBFS", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_title(
        "Audio level (grey), speech (blue areas), level under the speech (dashes, at most so high), cuts (black), faces (bars on top)",
        fontsize=8,
    )
