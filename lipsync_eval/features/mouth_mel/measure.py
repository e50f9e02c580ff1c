"""What a video's mouth and audio say together: agreement, offset, and whether it is sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MetricError
from lipsync_eval.features.mfcc import loudness
from lipsync_eval.features.mouth_mel.agreement import SHIFT, Curve, agreement, certainty
from lipsync_eval.features.mouth_mel.constants import Constants, shipped
from lipsync_eval.features.mouth_mel.series import LEAST, mel_series, mouth_series, prepared
from lipsync_eval.types import RATE, Float

QUIETEST: Final = -60.0
"""dBFS: audio that nowhere reaches this is silent."""
_RIVALS: Final = 6
"""Shifts outside the peak that must be there to compare it with."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one video says."""

    corr: float
    shift: int
    """Frames; the audio leads where it is positive."""
    sure: float
    """Certainty of the peak, in standard errors; NaN where nothing is there to compare it with."""
    refusal: str
    """Why there is no offset; '' where there is one."""
    curve: Curve
    frames: int
    """Frames whose mouth was seen."""


def measure(points: Float, samples: NDArray[np.int16], constants: Constants | None = None) -> Found:
    """Agreement of mouth and audio, and the shift where it is best.

    Args:
        points: (T, 68, 2) iBUG points in px; NaN where missing.
        samples: (N,) int16 mono at 16 kHz; sample 0 sounds with frame 0.
        constants: default: those that are shipped.

    Raises:
        MetricError: silent or too short, too few frames with a mouth, or a mouth that hardly moves.
    """
    constants = constants or shipped()
    if len(samples) < RATE:
        raise MetricError(f"the audio lasts {len(samples) / RATE:.2f} s: too little to compare with the mouth")
    if loudness(samples, len(points)).max(initial=-np.inf) < QUIETEST:
        raise MetricError(f"the audio is silent (nowhere above {QUIETEST:g} dBFS): the mouth has nothing to follow")
    mouth, mel, seen = prepared(
        mouth_series(points, constants.mean_face), mel_series(samples, len(points)), constants.spread
    )
    predicted = constants.predict(mouth)
    curve = agreement(predicted, mel, seen)
    if not np.isfinite(curve).any():
        raise MetricError(f"no shift leaves {LEAST} frames in which mouth and audio change")
    best = int(np.nanargmax(curve))
    sure = certainty(predicted, mel, seen, curve)
    refusal = _refusal(curve, best, sure, constants.limit)
    return Found(float(curve[best]), best - SHIFT, sure, refusal, curve, int(seen.sum()))


def _refusal(curve: Curve, best: int, sure: float, limit: float) -> str:
    shift, usable = best - SHIFT, np.flatnonzero(np.isfinite(curve))
    if len(usable) < 2 * _RIVALS:
        return f"the clip leaves {len(usable)} shifts to compare; {2 * _RIVALS} are needed to tell an offset"
    if best in (usable[0], usable[-1]):
        return f"the agreement is best at the last shift that was tried ({shift} frames), so the true offset may lie beyond"
    if not sure >= limit:
        return (
            f"the best shift ({shift} frames) is not surely better than others: {sure:.2f} standard errors, {limit:.2f} are needed "
            "(5 of 100 foreign audios reach that)"
        )
    return ""
