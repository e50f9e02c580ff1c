"""The numbers of a sensitivity study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lipsync_eval.metrics.registry import get_spec
from lipsync_eval.results.aggregate import clip_mean

NONE: Final = "none"
"""The clip against itself, untouched."""


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """One number."""

    perturbation: str
    """'none' for the clip against itself."""
    strength: float
    unit: str
    clip: str
    """Clip id; '' for a metric that is pooled over all clips."""
    metric: str
    value: float | None
    error: str
    """Why there is no value; '' where there is one."""


@dataclass(frozen=True, slots=True)
class Study:
    """All numbers of a study, in the order: perturbation, strength, clip, metric."""

    rows: tuple[SensitivityRow, ...]
    metrics: tuple[str, ...]
    clips: tuple[str, ...]
    perturbations: Mapping[str, tuple[float, ...]]
    signatures: Mapping[str, str]
    command: tuple[str, ...] = field(default=())

    def mean(self, metric: str, perturbation: str, strength: float) -> tuple[float | None, int]:
        """Mean over the clips that have a value (the pooled value of a pooled metric), and how many there were."""
        chosen = (r for r in self.rows if (r.metric, r.perturbation, r.strength) == (metric, perturbation, strength))
        values = [r.value for r in chosen if r.value is not None]
        return clip_mean(values), len(values)

    def asked(self, metric: str) -> int:
        """How many numbers a mean of this metric should be over."""
        return 1 if get_spec(metric).pooling == "pooled" else len(self.clips)

    @property
    def grades(self) -> list[tuple[str, float]]:
        """(perturbation, strength) in the order of the rows, the untouched clips first."""
        return [(NONE, 0.0), *((n, float(s)) for n, strengths in self.perturbations.items() for s in strengths)]

    @property
    def failed(self) -> bool:
        """Whether any number is missing."""
        return any(r.value is None for r in self.rows)
