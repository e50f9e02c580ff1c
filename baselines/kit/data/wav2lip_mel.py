"""Wav2Lip's mel-spectrogram: 16 kHz, window 800, hop 200, 80 bands (80 columns a second; a window is 16 columns).

Source: the papers give "16x80, hop 200, window 800, 16 kHz"; the rest is read off Rudrabha/Wav2Lip@db7bc44
(hparams.py, audio.py): pre-emphasis 0.97, Hann window, centred with reflected ends, magnitude, 80 Slaney filters
55..7600 Hz with area 1, 20 log10(max(x, 1e-5)) - 20 dB, -100..0 dB to -4..4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.data.inputs import Array, Levels, Samples
from lipsync_eval.errors import InputError
from lipsync_eval.types import FPS, RATE

N_FFT = 800
HOP = 200
BANDS = 80
COLUMNS = 16
"""Of a window: 0.2 s, five frames at 25 fps."""
PER_SECOND = RATE // HOP
EMPHASIS = 0.97
LOW, HIGH = 55.0, 7600.0
"""Hz, the edges of the first and the last filter."""
LEVEL = 1e-5
REFERENCE_DB, RANGE_DB = 20.0, 100.0
MOST = 4.0
BLOCK = 2048
"""Columns at a time: the spectrum of an hour would fill the memory."""


def slaney_filters() -> NDArray[np.float64]:
    """(401, 80) triangles, equally spaced on Slaney's mel scale (linear below 1 kHz, logarithmic above), each of area 1."""
    edges = _to_hertz(np.linspace(_to_mel(LOW), _to_mel(HIGH), BANDS + 2))
    frequencies = np.linspace(0, RATE / 2, N_FFT // 2 + 1)[:, None]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    return filters


_STEP = 200 / 3
"""Hz per mel below 1 kHz."""
_LOG_STEP = np.log(6.4) / 27
"""Natural logarithm of the ratio per mel above it."""


def _to_mel(hertz: float) -> float:
    return float(hertz / _STEP if hertz < 1000 else 1000 / _STEP + np.log(hertz / 1000) / _LOG_STEP)


def _to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    corner = 1000 / _STEP
    hertz: NDArray[np.float64] = np.where(
        mel < corner, mel * _STEP, 1000 * np.exp(_LOG_STEP * (np.maximum(mel, corner) - corner))
    )
    return hertz


_filters = lru_cache(maxsize=1)(slaney_filters)


def wav2lip_mel(samples: Samples) -> Array:
    """The mel-spectrogram of a whole audio.

    Args:
        samples: (N,) float32 mono at 16 kHz in [-1, 1].

    Returns:
        (1 + N // 200, 80) float32 in [-4, 4]; column j is centred on sample 200 j (second j / 80).

    Raises:
        InputError: not (N,) float samples.
    """
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise InputError(
            f"expected mono float samples (N,), got {samples.dtype} {samples.shape}; mix down and scale to [-1, 1]"
        )
    x = samples.astype(np.float64)
    x[1:] -= EMPHASIS * samples[:-1]
    half = N_FFT // 2
    padded = np.pad(x, half, mode="reflect") if len(x) > half else np.pad(x, half)  # too short to be reflected
    columns = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    out: Array = np.empty((len(columns), BANDS), np.float32)
    for start in range(0, len(columns), BLOCK):
        magnitude = np.abs(np.fft.rfft(columns[start : start + BLOCK] * window, axis=1)) @ _filters()
        decibels = 20 * np.log10(np.maximum(magnitude, LEVEL)) - REFERENCE_DB
        out[start : start + BLOCK] = np.clip(2 * MOST * (decibels + RANGE_DB) / RANGE_DB - MOST, -MOST, MOST)
    return out


def wav2lip_window(mel: Array, second: float) -> Array:
    """(M, 80) and the second at which a window begins -> (80, 16) columns int(80 second) .. + 15.

    Columns before or after the audio hold silence (-4).
    """
    first = int(np.floor(second * PER_SECOND + 1e-6))  # the sum of seconds of frames may lie a rounding below
    out = np.full((COLUMNS, mel.shape[1]), -MOST, np.float32)
    low, high = max(first, 0), min(first + COLUMNS, len(mel))
    if low < high:
        out[low - first : high - first] = mel[low:high]
    return out.T


@dataclass(frozen=True)
class Wav2LipMel:
    """Wav2Lip's mel as an `AudioFeature`, computed from an entry's samples when it is read.

    As in Wav2Lip's training, a frame's window begins one frame before it; so the window of a five-frame window's second
    frame is the one that begins with its first frame, which a sync discriminator hears (`ModelInput.heard`).
    """

    before: int = 1
    """Frames (of 1/25 s) by which a window begins before its frame."""
    levels: Levels = Levels(silence=-MOST, loudest=MOST, per_decibel=2 * MOST / RANGE_DB)  # noqa: RUF009

    def whole(self, samples: Samples) -> Array:
        """See `wav2lip_mel`."""
        return wav2lip_mel(samples)

    def window(self, whole: Array, second: float) -> Array:
        """See `wav2lip_window`."""
        return wav2lip_window(whole, second - self.before / FPS)

    def stored(self, frame: int) -> None:
        """Nothing is stored."""
        return


WAV2LIP_MEL = Wav2LipMel()
