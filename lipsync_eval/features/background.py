"""What sounds under the speech: how loud music or noise is, estimated from the moments when the speech leaves a gap.

Speech does not fill all frequencies all the time: in every frequency bin there are moments between harmonics, syllables
and words in which only the background is left. The 10th percentile over time of a bin's power is therefore the
background's; for a steady background it is 9.8 dB below its mean (the power of a bin of noise is exponentially
distributed), which is added back. Reverberation fills the gaps too. Ours; the idea of minimum statistics: Martin, Noise
power spectral density estimation based on optimal smoothing and minimum statistics, IEEE TSAP 9(5), 2001.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import RATE, Float

_WINDOW: Final = 512
_HOP: Final = 256
_BINS: Final = slice(3, 128)
"""94 to 4000 Hz: where speech is."""
_PERCENTILE: Final = 10
_BIAS: Final = -10 * np.log10(-np.log(1 - _PERCENTILE / 100))
"""dB from the 10th percentile of an exponential distribution to its mean: 9.8."""
LEAST: Final = RATE
"""Samples of speech (1 s) that an estimate needs."""
HIGHEST: Final = 15.0
"""dB: from here on the speech's own gaps are not deep enough to tell more."""
LOWEST: Final = -5.0
"""dB: from here on hardly any moment shows the speech."""
TONAL: Final = 0.15
"""Spectral flatness of the quietest moments below which they have pitch: music, hum or voices."""


@dataclass(frozen=True, slots=True)
class Background:
    """Estimate of what is under the speech."""

    ratio: float
    """dB of the speech over the background; HIGHEST stands for this much or more, LOWEST for this or less."""
    level: float
    """dBFS of the speech with its background."""
    flatness: float
    """Spectral flatness (0 a tone, 0.56 white noise) of the quietest fifth of all moments."""

    @property
    def kind(self) -> Literal["tonal", "noise"]:
        """tonal: music, hum or other voices; noise: hiss, wind, a fan."""
        return "tonal" if self.flatness < TONAL else "noise"


def background(samples: NDArray[np.floating], speech: NDArray[np.intp]) -> Background | None:
    """Estimate the background under the speech.

    Args:
        samples: (N,) mono at 16 kHz in [-1, 1].
        speech: (k, 2) first sample and end of each stretch of speech, of features.voice.segments.

    Returns:
        None where there is less than 1 s of speech.
    """
    inside = np.zeros(len(samples), bool)
    for first, stop in speech:
        inside[first:stop] = True
    if inside.sum() < LEAST or len(samples) < _WINDOW:
        return None
    starts = np.arange(0, len(samples) - _WINDOW + 1, _HOP)
    power = np.concatenate([_power(samples, starts[i : i + 4096]) for i in range(0, len(starts), 4096)])
    spoken = power[inside[starts + _WINDOW // 2]]
    floor, mean = np.percentile(spoken, _PERCENTILE, axis=0), spoken.mean(axis=0)
    share = min(float(floor[_BINS].sum() / mean[_BINS].sum()) * 10 ** (_BIAS / 10), 0.999)
    ratio = 10 * np.log10((1 - share) / max(share, 1e-9))
    loudness = 10 * np.log10(max(float(np.mean(np.square(samples[inside], dtype=np.float64))), 1e-10))
    return Background(float(np.clip(ratio, LOWEST, HIGHEST)), float(loudness), _flatness(power))


def _power(samples: NDArray[np.floating], starts: NDArray[np.intp]) -> Float:
    windows = np.asarray(samples, np.float64)[starts[:, None] + np.arange(_WINDOW)]
    out: Float = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW), axis=1)) ** 2
    return out


def _flatness(power: Float) -> float:
    """Mean ratio of geometric to arithmetic mean over the bins, in the quietest fifth of the windows that are not silent."""
    total = power[:, _BINS].sum(axis=1)
    heard = power[total > 1e-9]
    if not len(heard):
        return 0.0
    total = heard[:, _BINS].sum(axis=1)
    quiet = heard[total <= np.percentile(total, 20)][:, _BINS] + 1e-12
    return float(np.mean(np.exp(np.log(quiet).mean(axis=1)) / quiet.mean(axis=1)))
