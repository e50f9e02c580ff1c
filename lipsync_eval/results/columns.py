"""The clips of a run by metric: reports ask for one metric over all clips, a run holds all metrics of one clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lipsync_eval.results.rows import ClipRow

Column = Mapping[str, float]
"""Clip id -> value, in clip order; clips without a value are absent."""


class Columns:
    """One pass over the clips serves all metrics.

    Attributes:
        clips: what the columns were made of.
        values: metric -> column.
        real: the same of the real videos' own values.
    """

    def __init__(self, clips: Sequence[ClipRow]) -> None:
        self.clips = clips
        self.values = _by_metric((c.id, c.values) for c in clips)
        self.real = _by_metric((c.id, c.gt_values) for c in clips)


def _by_metric(rows: Iterable[tuple[str, Mapping[str, float | None]]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for clip, values in rows:
        for metric, value in values.items():
            if value is not None:
                found.setdefault(metric, {})[clip] = value
    return found
