"""The plot of a sensitivity study: a row of panels per metric, a column per kind of damage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lipsync_eval.engine.sensitivity.perturbations import PERTURBATIONS
from lipsync_eval.engine.sensitivity.study import NONE, Study
from lipsync_eval.files import atomic
from lipsync_eval.metrics.registry import get_spec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ARROW: Final = {
    "up": "higher is better",
    "down": "lower is better",
    "zero": "zero is best",
    None: "nothing is better by itself",
}
_BLUE, _GREY = "#0072B2", "#999999"
_PLAIN: Final[dict[str, dict[str, Any]]] = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}
"""No dates and versions in the files: equal studies give equal bytes."""


def write_plot(study: Study, path: Path) -> None:
    """Draw a study into a .png or .pdf: thin lines are clips, the thick one is their mean, dashes the
    untouched clips. A hollow point is a mean over fewer clips than there are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(study.perturbations)
    figure = Figure(figsize=(1.0 + 2.0 * len(names), 0.6 + 1.5 * len(study.metrics)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(study.metrics), len(names), squeeze=False, sharey="row")
    for i, metric in enumerate(study.metrics):
        for j, name in enumerate(names):
            _panel(study, metric, name, axes[i][j])
        axes[i][0].set_ylabel(_label(study, metric), fontsize=7)
        _scale(study, metric, list(axes[i]))
    for j, name in enumerate(names):
        axes[0][j].set_title(name, fontsize=9)
        axes[-1][j].set_xlabel(PERTURBATIONS[name].unit, fontsize=7)
    with atomic(path) as file:
        figure.savefig(file, format=path.suffix[1:], dpi=150, metadata=_PLAIN[path.suffix])


def _panel(study: Study, metric: str, name: str, axis: Axes) -> None:
    strengths = study.perturbations[name]
    for clip in study.clips:
        found = {r.strength: r.value for r in study.rows if (r.metric, r.perturbation, r.clip) == (metric, name, clip)}
        axis.plot(strengths, [_number(found.get(s)) for s in strengths], color=_GREY, linewidth=0.6)
    scored = [study.mean(metric, name, s) for s in strengths]
    means = [_number(mean) for mean, _ in scored]
    axis.plot(strengths, means, color=_BLUE, linewidth=1.6, marker="o", markersize=2.5)
    fewer = [(s, m) for s, m, (_, n) in zip(strengths, means, scored) if n < study.asked(metric)]
    axis.plot([s for s, _ in fewer], [m for _, m in fewer], "o", color=_BLUE, markerfacecolor="white", markersize=5)
    if all(math.isnan(m) for m in means):
        axis.text(0.5, 0.5, "no value", transform=axis.transAxes, ha="center", va="center", fontsize=7)
    axis.set_xticks(strengths, [f"{s:g}" for s in strengths])
    axis.tick_params(labelsize=6)
    axis.grid(alpha=0.25, linewidth=0.4)


def _label(study: Study, metric: str) -> str:
    spec = get_spec(metric)
    untouched = study.mean(metric, NONE, 0.0)[0]
    last = "" if untouched is None else f"\nuntouched {untouched:.{spec.decimals}f}"
    return f"{spec.title}{'' if spec.unit == '1' else f' ({spec.unit})'}\n{_ARROW[spec.direction]}{last}"


def _scale(study: Study, metric: str, axes: Sequence[Axes]) -> None:
    """Dash the untouched clips' value and scale a metric's row of panels: to the damaged values, and to the untouched one
    unless that is far off (the 100 dB of identical frames would flatten every curve)."""
    values = [r.value for r in study.rows if r.metric == metric and r.perturbation != NONE and r.value is not None]
    untouched = study.mean(metric, NONE, 0.0)[0]
    if untouched is None or not values:
        return
    spread = max(max(values) - min(values), 1e-6)
    shown = [*values, untouched] if min(values) - spread <= untouched <= max(values) + spread else values
    axes[0].set_ylim(min(shown) - 0.08 * spread, max(shown) + 0.08 * spread)
    for axis in axes:
        axis.axhline(untouched, color="black", linewidth=0.6, linestyle=(0, (4, 3)))


def _number(value: float | None) -> float:
    return math.nan if value is None else value
