"""The curves of a watched training: one panel a metric, with what is better, the best checkpoint and what is missing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lipsync_eval.errors import UsageError
from lipsync_eval.reports.plot_files import FONT, save
from lipsync_eval.reports.plots import COLOURS, COLUMN
from lipsync_eval.reports.printing import ARROWS
from lipsync_eval.results.history import History, HistoryRow, steps
from lipsync_eval.results.names import shortened
from lipsync_eval.results.numbers import rank
from lipsync_eval.results.rows import Score
from lipsync_eval.results.signature import difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEM: Final = "history"
_TICKS: Final = 8


def write(history: History, folder: Path) -> None:
    """Write history.png and history.pdf; nothing where no checkpoint has a value yet."""
    if metrics_of(history):
        save(draw(history), folder / STEM)


def metrics_of(history: History) -> list[str]:
    """Metrics that have a value at any checkpoint."""
    return list(dict.fromkeys(s.metric for row in history.rows for s in row.scores if s.value is not None))


def draw(history: History, wanted: Sequence[str] | None = None) -> Figure:
    """One panel a metric against the training step; the interval is shaded, a star marks the best checkpoint.

    A checkpoint without a value is a cross at the bottom, one that misses clips is hollow. The star goes to one of those
    that scored the most clips, where there are two at least; there is none where a metric is not ranked. Where 0 is best the mean of absolute values is
    drawn, which the gate compares. Where the signature changes the line breaks, and no checkpoint is the best.

    Args:
        history: of a watch.
        wanted: ids of metrics; None: all that have a value.

    Raises:
        UsageError: no metric has a value, or one of `wanted` has none.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    there = metrics_of(history)
    metrics = there if wanted is None else list(dict.fromkeys(wanted))
    if unknown := [m for m in metrics if m not in there]:
        raise UsageError(f"no checkpoint has a value of {', '.join(unknown)}; there are: {', '.join(there) or 'none'}")
    if not metrics:
        raise UsageError("no checkpoint has a value yet; wait for the first one")
    with mpl.rc_context(FONT):
        across = 1 if len(metrics) == 1 else 2
        down = -(-len(metrics) // across)
        figure = Figure(figsize=(across * COLUMN, 1.9 * down + 0.4), layout="constrained")
        panels = list(figure.subplots(down, across, squeeze=False).flat)
        for spare in panels[len(metrics) :]:
            spare.set_visible(False)
        at = steps([row.checkpoint for row in history.rows])
        for i, (axes, metric) in enumerate(zip(panels, metrics, strict=False)):
            _panel(axes, metric, history.rows, at)
            _ticks(axes, history.rows, at)
            if i + across >= len(metrics):
                axes.set_xlabel("checkpoint" if _counted(at) else "step")
        figure.supxlabel(
            "★ best   ○ clips are missing   × no score   - - real videos   shaded: interval over clips", fontsize=6
        )
    return figure


def _panel(axes: Axes, metric: str, rows: list[HistoryRow], at: list[int]) -> None:
    there = [
        (x, s)
        for x, row in zip(at, rows, strict=True)
        for s in row.scores
        if s.metric == metric and s.value is not None
    ]
    first = there[0][1]
    for piece in _pieces(there):
        xs, ys = [x for x, _ in piece], [_level(s) for _, s in piece]
        axes.plot(xs, ys, color=COLOURS[0], linewidth=1, marker="o", markersize=3)
        if first.direction != "zero" and len(piece) > 1:
            low = [s.ci.low if s.ci else y for (_, s), y in zip(piece, ys, strict=True)]
            high = [s.ci.high if s.ci else y for (_, s), y in zip(piece, ys, strict=True)]
            axes.fill_between(xs, low, high, color=COLOURS[0], alpha=0.15, linewidth=0)
    for x, s in there:
        if s.n_scored < s.n_asked:
            axes.plot(
                x, _level(s), marker="o", markersize=3, color=COLOURS[0], markerfacecolor="white", linestyle="none"
            )
    most = max(s.n_scored for _, s in there)  # one that lost the hard clips is not the best
    whole = [(x, s) for x, s in there if s.n_scored == most]
    if first.direction is not None and first.ranked and len(whole) > 1 and len(_pieces(there)) == 1:
        x, best = min(whole, key=lambda point: rank(_level(point[1]), str(first.direction)))
        axes.plot(x, _level(best), marker="*", markersize=7, color=COLOURS[1], linestyle="none")
    truth = [s.gt_value for _, s in there if s.gt_value is not None]
    if truth and first.direction != "zero":
        axes.axhline(truth[-1], color="0.3", linestyle="--", linewidth=0.8)
    missing = sorted(set(at) - {x for x, _ in there})
    if missing:
        axes.plot(missing, [0.03] * len(missing), transform=axes.get_xaxis_transform(), marker="x", markersize=4,
                  color="0.3", linestyle="none")  # fmt: skip
    unit = "" if first.unit == "1" else f" ({first.unit})"
    absolute = ", mean of |x|" if first.direction == "zero" else ""
    axes.set_title(f"{first.title}{unit} {ARROWS[first.direction]}".rstrip() + absolute)
    axes.spines[["top", "right"]].set_visible(False)


def _level(score: Score) -> float:
    return float((score.mean_abs if score.mean_abs is not None else score.value) or 0.0)


def _pieces(points: list[tuple[int, Score]]) -> list[list[tuple[int, Score]]]:
    """Runs of points whose scores can be compared."""
    pieces = [points[:1]]
    for before, point in itertools.pairwise(points):
        if difference(before[1].signature, point[1].signature):
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def _counted(at: list[int]) -> bool:
    """Whether checkpoints are counted, since their names hold no step."""
    return at == list(range(1, len(at) + 1))


def _ticks(axes: Axes, rows: list[HistoryRow], at: list[int]) -> None:
    """Steps as they are; where they are only counted, names of checkpoints."""
    names = [row.checkpoint for row in rows]
    if _counted(at):
        every = -(-len(at) // _TICKS)
        axes.set_xticks(at[::every], shortened(names, 20)[::every], rotation=30, ha="right")
    elif len(at) <= _TICKS:
        axes.set_xticks(at, [str(x) for x in at])
    margin = max(0.5 if len(at) == 1 else 0.0, 0.04 * (at[-1] - at[0]))
    axes.set_xlim(at[0] - margin, at[-1] + margin)
