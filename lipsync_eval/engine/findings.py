"""What is known of a clip under way: the outcome that grows, and which metrics can still get a number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lipsync_eval.engine.tools import Ask
from lipsync_eval.errors import ClipError
from lipsync_eval.metrics.base import Measurement
from lipsync_eval.results.journal import Outcome
from lipsync_eval.results.numbers import measured
from lipsync_eval.types import FOUND, MISSING, RATE, Clip, Track


@dataclass(frozen=True, slots=True)
class _Lost:
    """A metric that gets no number on this clip."""

    stage: str
    metric: str
    error: str
    """Name of the exception class."""
    message: str


@dataclass
class Findings:
    """One clip's outcome, and what is still to be found."""

    outcome: Outcome
    asks: Sequence[Ask]
    open: dict[str, Ask] = field(init=False)
    """Metrics that nothing has failed yet, by id."""
    lost: list[_Lost] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open = {ask.name: ask for ask in self.asks}

    def fail(self, stage: str, error: BaseException, metrics: Iterable[str]) -> None:
        """These metrics get no number; one that is lost already keeps its first reason."""
        for name in metrics:
            self._lose(_Lost(stage, name, type(error).__name__, str(error) or type(error).__name__))

    def take(self, found: Measurement, asks: Sequence[Ask]) -> None:
        """Keep what a family found for the metrics asked of it."""
        for failure in found.failures:
            self._lose(_Lost("metric", failure.metric, failure.error, failure.message))
        for ask in asks:
            if ask.name in self.open:
                (self._take_state if ask.pooled else self._take_value)(ask, found)
        outcome = self.outcome
        outcome.notes += [note for note in found.notes if note not in outcome.notes]
        outcome.details |= found.details
        outcome.frames |= {name: np.asarray(values) for name, values in (found.frames | found.arrays).items()}

    def close(self) -> Outcome:
        """The outcome: every metric that is a mean over clips has a number, or None and a failure row."""
        outcome = self.outcome
        order = {ask.name: i for i, ask in enumerate(self.asks)}
        outcome.values = {ask.name: outcome.values.get(ask.name) for ask in self.asks if not ask.pooled}
        rows: list[dict[str, Any]] = [
            {"id": outcome.id, "stage": lost.stage, "metric": lost.metric, "error": lost.error, "message": lost.message}
            for lost in sorted(self.lost, key=lambda lost: order[lost.metric])
        ]
        alike = len({(lost.stage, lost.error, lost.message) for lost in self.lost}) == 1
        outcome.failures = [{**rows[0], "metric": None}] if alike and len(rows) == len(order) else rows
        return outcome

    def _lose(self, lost: _Lost) -> None:
        if self.open.pop(lost.metric, None) is not None:
            self.lost.append(lost)

    def _take_state(self, ask: Ask, found: Measurement) -> None:
        if ask.name in found.states:
            self.outcome.states[ask.name] = found.states[ask.name]
        else:
            self.fail("metric", ClipError("the clip gave nothing to pool"), [ask.name])

    def _take_value(self, ask: Ask, found: Measurement) -> None:
        value, own = found.values.get(ask.name), found.gt_values.get(ask.name)
        low, high = ask.spec.range
        if value is None or not measured(value):
            self.fail("metric", ClipError(f"no value came out ({value})"), [ask.name])
        elif not low <= value <= high:
            problem = f"the value {value!r} lies outside the declared range {low}..{high}; please report it"
            self.fail("metric", ClipError(problem), [ask.name])
        else:
            self.outcome.values[ask.name] = float(value)
        if own is not None and measured(own):
            self.outcome.gt_values[ask.name] = float(own)


def track_counts(track: Track) -> dict[str, int]:
    """How many frames have a face, for the outcome's details."""
    found, missing = int((track.status == FOUND).sum()), int((track.status == MISSING).sum())
    return {"found": found, "missing": missing, "filled": len(track.status) - found - missing}


def clip_facts(clip: Clip) -> dict[str, Any]:
    """What a file is, for the outcome's details."""
    beside = clip.audio is not None and clip.audio.source != clip.path
    return {
        "sound_file": str(clip.audio.source) if clip.audio is not None and beside else None,
        "n_frames": clip.n_frames,
        "height": clip.height,
        "width": clip.width,
        "source_fps": round(clip.source_fps, 3),
        "sound_seconds": None if clip.audio is None else round(len(clip.audio.samples) / RATE, 3),
        "sha256": clip.digest,
    }
