"""What a reader of a score has to know about its metric. A run writes these facts beside every score.

Tables, pages, plots and the gate read them from there, never from a list of their own. This file asks the registry of
metrics only for what is missing: results of schema 1, scores made by hand, and published numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Direction = Literal["up", "down", "zero"]

BETTER: Final[Mapping[str | None, str]] = {"up": "higher", "down": "lower", "zero": "near 0", None: "none"}
"""What is better, in words."""
NO_DIRECTION: Final = "neither direction is known to be better"
UNRANKED: Final = frozenset({"mouth_audio_corr", "mouth_audio_offset"})
"""Coarse metrics (loudness against mouth opening) that are shown, but neither ranked nor gated unless they are named."""
DECIMALS: Final = 3
"""Digits of a metric that nobody describes."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One metric as tables print it."""

    title: str
    """Heading, e.g. 'PSNR'."""
    decimals: int
    """Digits after the point."""
    direction: Direction | None
    """up: higher is better; down: lower; zero: nearest to zero; None: no direction is better, or none is known, so the metric is not ranked."""
    unit: str
    """'dB', 'px', 'frames', or '1' for none."""
    family: str
    """Metrics of one family measure nearly the same thing (four LMDs); tests treat them together."""
    ranked: bool
    """False: shown, but neither marked nor gated unless it is named."""


def facts_of(metric: str) -> Facts | None:
    """The facts of a metric that is installed here, or None."""
    from lipsync_eval.metrics.registry import family_of, specs

    spec = specs().get(metric)
    if spec is None:
        return None
    family = family_of(metric)
    return Facts(
        spec.title,
        spec.decimals,
        spec.direction,
        spec.unit,
        f"{family.__module__}:{family.__qualname__}".rpartition(".")[2],
        metric not in UNRANKED,
    )


def completed(score: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of one score with absent facts filled in: from the registry for a known id.

    An id that nobody here knows stands for itself as title. Its direction is what the file says, else None: it is never
    guessed.
    """
    wanted = ("title", "decimals", "direction", "unit", "family", "ranked")
    if all(score.get(name) is not None for name in wanted):
        return dict(score)
    metric = str(score.get("metric"))
    known = facts_of(metric) or Facts(metric, DECIMALS, None, "1", metric, True)
    return dict(score) | {name: getattr(known, name) for name in wanted if score.get(name) is None}
