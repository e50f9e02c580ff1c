"""The plot of a map of styles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lipsync_eval.engine.style.map import StyleMap
from lipsync_eval.errors import UsageError


def draw_styles(found: StyleMap, features: str, out: Path) -> None:
    """Draw a map of styles into a file.

    Args:
        found: the map.
        features: for the title.
        out: the suffix gives the format.

    Raises:
        UsageError: it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    speakers = sorted({speaker for speaker, _ in found.owners})
    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = _colours(len(speakers))
    for k, speaker in enumerate(speakers):
        for generated, mark in ((False, "o"), (True, "X")):
            mine = np.array([owner == (speaker, generated) for owner in found.owners])
            if mine.any():
                label = f"{speaker} (generated)" if generated else speaker
                axes.scatter(
                    found.places[mine, 0],
                    found.places[mine, 1],
                    s=42,
                    marker=mark,
                    color=colours[k],
                    edgecolors="white",
                    linewidths=0.6,
                    label=label,
                )
    axes.set(title=f"Style codes ({features}), t-SNE", xticks=[], yticks=[])
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    try:
        figure.savefig(out, dpi=150)
    except (OSError, ValueError) as error:
        raise UsageError(f"{out} cannot be written: {error}") from error


def _colours(n: int) -> list[Any]:
    """n colours that can be told apart: tab10, tab20, then around the hue circle."""
    from matplotlib import colormaps

    if n <= 20:
        table = colormaps["tab10" if n <= 10 else "tab20"]
        return [table(k) for k in range(n)]
    return [colormaps["hsv"](k / n) for k in range(n)]
