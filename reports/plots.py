"""Plots of runs for papers: PNG and PDF, colour-blind safe (Okabe and Ito), fonts that fit a column.

Every function draws on its own Figure and returns it; nothing touches pyplot's global state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import UsageError
from lipsync_eval.reports.marks import real_level
from lipsync_eval.reports.naming import method_names, refuse_doubled
from lipsync_eval.reports.plot_files import FONT
from lipsync_eval.reports.printing import ARROWS
from lipsync_eval.results.clips import common_clips, pooled_over, values_of
from lipsync_eval.results.facts import NO_DIRECTION
from lipsync_eval.results.names import shortened
from lipsync_eval.results.numbers import level, rank
from lipsync_eval.results.schema import Result, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
_HATCHES = ("", "//", "\\\\", "..", "xx", "--", "++", "oo")
_LINES = ("-", "--", "-.", ":")
COLUMN = 3.4
"""Width of a paper's column, inches."""
PAGE = 7.0
"""Width of two columns and the gap between them, inches."""
MOST_METHODS = 40

Frames = Mapping[str, Mapping[str, NDArray[Any]]]
"""clip id -> array name -> values, as load_frames gives."""


def bars(
    runs: Sequence[Result], metrics: Sequence[str], frames: Sequence[Frames], columns: int | None = None
) -> Figure:
    """Mean and bootstrap interval of each method, one panel a metric."""
    figure, panels = _panels(runs, metrics, columns)
    for axes, metric in zip(panels, metrics, strict=True):
        for i, run in enumerate(runs):
            score = _score(run, metric)
            if score is None or score.value is None:
                _none(axes, i)
                continue
            axes.bar(i, score.value, color=COLOURS[i % 8], hatch=_HATCHES[i // 8 % 8])
            if score.ci is not None:  # not as `yerr`: an interval need not hold the value
                ends = [score.ci.low, score.ci.high]
                axes.plot([i, i], ends, color="black", linewidth=0.8, marker="_", markersize=4, markeredgewidth=0.8)
            if score.mean_abs is not None:
                axes.plot(i, score.mean_abs, marker="D", markersize=3, color="black", linestyle="none")
        axes.set_xlim(-0.6, len(runs) - 0.4)
        _real_line(axes, runs, metric)
        _method_ticks(axes, runs)
        _title(axes, runs, metric, absolute=True)
    return figure


def box(runs: Sequence[Result], metrics: Sequence[str], frames: Sequence[Frames], columns: int | None = None) -> Figure:
    """Distribution over clips: median, quartiles, whiskers at 1.5 IQR, outliers."""
    figure, panels = _panels(runs, metrics, columns)
    for axes, metric in zip(panels, metrics, strict=True):
        values = [[v for c in r.clips if (v := c.values.get(metric)) is not None] for r in runs]
        drawn = axes.boxplot(
            values,
            positions=range(len(runs)),
            widths=0.6,
            patch_artist=True,
            flierprops={"markersize": 2},
            medianprops={"color": "black"},
        )
        for i, patch in enumerate(drawn["boxes"]):
            patch.set(facecolor=COLOURS[i % 8], alpha=0.7, hatch=_HATCHES[i // 8 % 8])
        for i in (i for i, found in enumerate(values) if not found):
            _none(axes, i)
        _real_line(axes, runs, metric)
        _method_ticks(axes, runs)
        _title(axes, runs, metric)
    return figure


def curve(
    runs: Sequence[Result], metrics: Sequence[str], frames: Sequence[Frames], columns: int | None = None
) -> Figure:
    """Per-frame values averaged over the clips that reach a frame, against time."""
    figure, panels = _panels(runs, metrics, columns, wide=True)
    names = _labels(runs)
    for axes, metric in zip(panels, metrics, strict=True):
        for i, run_frames in enumerate(frames):
            rows = [
                np.asarray(a[metric], np.float64)
                for a in run_frames.values()
                if metric in a and np.ndim(a[metric]) == 1
            ]
            if not rows:
                continue
            length = max(map(len, rows))
            total, count = np.zeros(length), np.zeros(length)
            for row in rows:
                good = np.isfinite(row)
                total[: len(row)] += np.where(good, row, 0)
                count[: len(row)] += good
            mean = np.divide(total, count, out=np.full(length, np.nan), where=count > 0)
            axes.plot(
                np.arange(length) / 25,
                mean,
                color=COLOURS[i % 8],
                linestyle=_LINES[i // 8 % 4],
                linewidth=0.9,
                label=names[i],
            )
        axes.set_xlabel("time (s)")
        _real_line(axes, runs, metric)
        _title(axes, runs, metric)
    _legend(figure, panels, names)
    return figure


def offset(
    runs: Sequence[Result], metrics: Sequence[str], frames: Sequence[Frames], columns: int | None = None
) -> Figure:
    """SyncNet's mean distance at every shift of the audio, averaged over clips: the lowest point is the offset."""
    figure, (axes,) = _panels(runs, ["av_offset"], columns, wide=True)
    found, names = False, _labels(runs)
    for i, run_frames in enumerate(frames):
        rows = [np.asarray(a["syncnet_distance"], np.float64) for a in run_frames.values() if "syncnet_distance" in a]
        rows = [r if r.ndim == 1 else r.mean(axis=0) for r in rows]
        if rows:
            found = True
            mean = np.mean(rows, axis=0)
            shifts = np.arange(len(mean)) - len(mean) // 2
            axes.plot(
                shifts,
                mean,
                color=COLOURS[i % 8],
                linestyle=_LINES[i // 8 % 4],
                linewidth=0.9,
                label=names[i],
            )
    if not found:
        raise UsageError("--kind offset: none of these runs holds SyncNet distances; score lse_d first")
    axes.set_xlabel("shift of the audio (frames)")
    axes.set_ylabel("distance")
    axes.set_title("SyncNet distance by shift")
    _legend(figure, [axes], names)
    return figure


def radar(
    runs: Sequence[Result], metrics: Sequence[str], frames: Sequence[Frames], columns: int | None = None
) -> Figure:
    """Each metric scaled so that the worst of these runs is at 0.2 and the best at 1, over the clips that all of them scored.

    Shapes compare, distances do not.
    """
    from matplotlib.figure import Figure

    if len(metrics) < 3:
        raise UsageError(f"--kind radar needs at least three metrics, {len(metrics)} are there; use --kind bars")
    figure = Figure(figsize=(PAGE if columns == 2 else COLUMN, COLUMN), layout="constrained")
    axes = figure.add_subplot(projection="polar")
    angles = np.linspace(0, 2 * np.pi, len(metrics), endpoint=False)
    scaled = np.full((len(runs), len(metrics)), np.nan)
    for j, metric in enumerate(metrics):
        ranks = _goodness(runs, metric)
        low, high = np.nanmin(ranks, initial=np.inf), np.nanmax(ranks, initial=-np.inf)
        scaled[:, j] = 1.0 if high == low else 0.2 + 0.8 * (ranks - low) / (high - low)
        scaled[np.isnan(ranks), j] = np.nan
    names = _labels(runs)
    for i in range(len(runs)):
        axes.plot(
            [*angles, angles[0]],
            [*scaled[i], scaled[i][0]],
            color=COLOURS[i % 8],
            linestyle=_LINES[i // 8 % 4],
            linewidth=1,
            marker="o",
            markersize=2,
            label=names[i],
        )
    axes.set_xticks(angles, [_first(runs, m).title for m in metrics])
    for text, side in zip(axes.get_xticklabels(), np.round(np.cos(angles), 1), strict=True):
        text.set_horizontalalignment("left" if side > 0 else "right" if side < 0 else "center")  # away from the circle
    axes.set_yticks([0.2, 1.0], ["worst", "best"], fontsize=5)
    axes.set_ylim(0, 1.05)
    _legend(figure, [axes], names)
    return figure


KINDS: dict[str, Callable[[Sequence[Result], Sequence[str], Sequence[Frames], int | None], Figure]] = {
    "bars": bars,
    "box": box,
    "curve": curve,
    "radar": radar,
    "offset": offset,
}


def draw(
    kind: str,
    runs: Sequence[Result],
    metrics: Sequence[str] | None,
    frames: Sequence[Frames],
    columns: int | None = None,
) -> Figure:
    """One plot.

    Args:
        kind: of KINDS.
        runs: at least one.
        metrics: ids; None: all that the first run scored (for 'curve', those with per-frame values).
        frames: per run, as load_frames gives; used by curve and offset.
        columns: of the paper that the plot spans, 1 (3.4 inches wide) or 2 (7 inches); None: by the number of panels and
            methods.

    Raises:
        UsageError: no runs, too many, or nothing to draw.
    """
    import matplotlib as mpl

    if not 1 <= len(runs) <= MOST_METHODS:
        raise UsageError(f"{len(runs)} runs given; a plot takes 1 to {MOST_METHODS}")
    refuse_doubled(method_names(runs))
    there = list(dict.fromkeys(s.metric for r in runs for s in r.scores if s.value is not None))
    if kind in {"box", "curve"}:
        there = [m for m in there if any(c.values.get(m) is not None for r in runs for c in r.clips)]
    if kind == "curve":
        there = [m for m in there if any(m in a for f in frames for a in f.values())]
    if kind == "radar" and metrics is None:
        there = [m for m in there if _first(runs, m).ranked and _first(runs, m).direction]
    chosen = there if metrics is None else list(metrics)
    if missing := [m for m in chosen if m not in there]:
        raise UsageError(
            f"--kind {kind}: no values of {', '.join(missing)} in these runs; there are: {', '.join(there) or 'none'}"
        )
    if not chosen:
        raise UsageError(f"--kind {kind}: these runs hold nothing to draw")
    with mpl.rc_context(FONT):
        return KINDS[kind](runs, chosen, frames, columns)


def _panels(
    runs: Sequence[Result], metrics: Sequence[str], columns: int | None, wide: bool = False
) -> tuple[Figure, list[Axes]]:
    """A panel a metric; `wide`: methods lie over each other in a panel, so their number does not matter."""
    from matplotlib.figure import Figure

    n = len(metrics)
    if columns is None:
        across = 1 if n == 1 or (len(runs) > 6 and not wide) else 2
        width = COLUMN if across == 1 and len(runs) <= 12 else 2 * COLUMN
    elif columns == 1:
        across, width = (min(n, 2) if len(runs) <= 3 else 1), COLUMN
    else:
        across, width = min(n, 3 if len(runs) <= 6 or wide else 2), PAGE
    down = -(-n // across)
    figure = Figure(figsize=(width, 1.9 * down + 0.3), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    panels = list(grid.flat)
    for spare in panels[len(metrics) :]:
        spare.set_visible(False)
    for axes in panels[: len(metrics)]:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels[: len(metrics)]


def _score(run: Result, metric: str) -> Score | None:
    return next((s for s in run.scores if s.metric == metric), None)


def _first(runs: Sequence[Result], metric: str) -> Score:
    return next(s for r in runs if (s := _score(r, metric)) is not None)


def _goodness(runs: Sequence[Result], metric: str) -> NDArray[np.float64]:
    """(runs,) larger is better, over the clips that all runs with the metric scored; NaN where a run has none."""
    direction = _first(runs, metric).direction
    if direction is None:
        raise UsageError(f"--kind radar: {metric}: {NO_DIRECTION}; leave it out with --metrics")
    there = [r for r in runs if (s := _score(r, metric)) is not None and s.value is not None]
    pooled = any(pooled_over(r, metric) for r in there)
    common = [] if pooled else common_clips(there, metric)
    out = np.full(len(runs), np.nan)
    for i, run in enumerate(runs):
        score = _score(run, metric)
        if score is None or score.value is None:
            continue
        if pooled:
            out[i] = -rank(score.value, direction)
        elif common:
            values = values_of(run, metric)
            out[i] = -rank(level([values[c] for c in common], direction), direction)
    return out


def _labels(runs: Sequence[Result], most: int = 30) -> list[str]:
    return shortened(method_names(runs), most)


def _method_ticks(axes: Axes, runs: Sequence[Result]) -> None:
    names = _labels(runs, 24)
    steep = sum(map(len, names)) > 24
    axes.set_xticks(range(len(runs)), names, rotation=45 if steep else 0, ha="right" if steep else "center")


def _title(axes: Axes, runs: Sequence[Result], metric: str, *, absolute: bool = False) -> None:
    score = _first(runs, metric)
    unit = "" if score.unit == "1" else f" ({score.unit})"
    text = f"{score.title}{unit} {ARROWS[score.direction]}".rstrip()
    if absolute and any((s := _score(r, metric)) is not None and s.mean_abs is not None for r in runs):
        text += "; diamond: mean of absolute values"
    axes.set_title(text)


def _none(axes: Axes, i: int) -> None:
    """Say at a method's place that it has no value."""
    where = ("data", "axes fraction")
    axes.annotate("none", (i, 0), xycoords=where, ha="center", va="bottom", fontsize=6, color="0.3")


def _real_line(axes: Axes, runs: Sequence[Result], metric: str) -> None:
    """The real videos' own level, where the metric has one."""
    if (truth := real_level(runs, metric)) is None:
        return
    axes.axhline(truth, color="0.3", linestyle="--", linewidth=0.8)
    axes.annotate("real", (0.99, truth), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=6)


def _legend(figure: Figure, panels: Sequence[Any], names: Sequence[str]) -> None:
    """Every method that is drawn in any panel, in the order of runs; a name may begin with '_', which matplotlib would drop."""
    lines = {line.get_label(): line for axes in panels for line in axes.get_lines()}
    drawn = [name for name in names if name in lines]
    if not drawn:
        return
    legend = figure.legend(
        [lines[name] for name in drawn],
        [f"method {i}" for i in range(len(drawn))],
        loc="outside lower center",
        ncols=max(1, min(3, len(drawn), int(figure.get_figwidth() / (0.055 * max(map(len, drawn)) + 0.5)))),
        frameon=False,
    )
    for text, name in zip(legend.get_texts(), drawn, strict=True):
        text.set_text(name)
