"""The mel-spectrogram of RADIO: 16 kHz, FFT 1280, hop 160, 80 bands (100 columns a second, 4 per frame at 25 fps).

RADIO's paper gives these numbers only. Chosen here: periodic Hann window of the FFT's length, power spectrum, triangular
HTK filters from 0 to 8000 Hz with peak 1, decibels of full scale, -80..0 dB to -1..1. Nothing depends on the clip, so a
window of a stream equals the same window of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.data.inputs import Array, Levels
from lipsync_eval.errors import InputError, MediaError
from lipsync_eval.types import FPS, RATE, Clip, Track

N_FFT = 1280
HOP = 160
BANDS = 80
FLOOR_DB = -80.0
BLOCK = 512
"""Columns at a time: the spectrum of an hour would fill the memory."""
SILENCE = -1.0
"""Value of every band where there is no audio."""
COLUMNS = 20
"""Of five frames at 25 fps."""
PER_FRAME = 4
BEFORE = COLUMNS // 2 - 2
"""Columns of a window before its frame appears."""
DESCRIPTION = "16000 Hz, FFT 1280 Hann, hop 160, 80 HTK bands 0-8000 Hz, power, dB of full scale -80..0 -> -1..1"


def mel_filters(
    bands: int, n_fft: int, rate: int = RATE, low: float = 0.0, high: float | None = None
) -> NDArray[np.float64]:
    """(n_fft // 2 + 1, bands) triangular filters, equally spaced in mel = 2595 log10(1 + f / 700), peak 1."""
    top = rate / 2 if high is None else high
    mels = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + top / 700), bands + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)  # Hz
    frequencies = np.linspace(0, rate / 2, n_fft // 2 + 1)[:, None]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return filters


def mel_power(padded: NDArray[np.floating], window: NDArray[np.float64], hop: int, bands: int) -> NDArray[np.float64]:
    """Mel power of every full column.

    Args:
        padded: (N,) samples; column j covers samples hop * j .. hop * j + len(window) - 1.
        window: (n_fft,) analysis window.
        hop: samples between columns.
        bands: mel bands.

    Returns:
        (columns, bands) float64.
    """
    n_fft = len(window)
    filters = mel_filters(bands, n_fft)
    columns = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    out = np.empty((len(columns), bands))
    for start in range(0, len(columns), BLOCK):
        block = columns[start : start + BLOCK] * window
        out[start : start + BLOCK] = (np.abs(np.fft.rfft(block, axis=1)) ** 2) @ filters
    return out


def mel_spectrogram(samples: NDArray[np.float32]) -> Array:
    """Log-mel spectrogram; column j is centred on sample 160 j (second j / 100).

    Args:
        samples: (N,) float32 mono at 16 kHz in [-1, 1]; silence is assumed before and after.

    Returns:
        (ceil(N / 160), 80) float32, -1 (at most -80 dB) to about 1 (a full-scale tone).

    Raises:
        InputError: not a (N,) float array.
    """
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise InputError(
            f"expected mono float samples (N,), got {samples.dtype} {samples.shape}; mix down and scale to [-1, 1]"
        )
    count = -(-len(samples) // HOP)
    if not count:
        return np.empty((0, BANDS), np.float32)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    scaled: Array = np.empty((count, BANDS), np.float32)
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        heard = _samples(samples, start * HOP - N_FFT // 2, (stop - 1) * HOP + N_FFT // 2)
        power = mel_power(heard, window, HOP, BANDS) / (window.sum() / 2) ** 2  # a full-scale tone has power 1
        decibels = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))
        scaled[start:stop] = 1 - 2 * decibels / FLOOR_DB
    return scaled


def _samples(samples: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
    """Samples start..stop-1; silence before and after the audio."""
    inside = samples[max(start, 0) : stop]
    return np.pad(inside, (max(-start, 0), stop - max(start, 0) - len(inside)))


def mel_window(mel: Array, second: float, columns: int = COLUMNS, before: int = BEFORE) -> Array:
    """The columns around a frame; by default those of five frames (25 fps) with this one in the middle.

    That is A_{i-2:i+2} of eq. 4: columns 4 i - 8 .. 4 i + 11 for frame i.

    Args:
        mel: (M, bands).
        second: time at which the frame appears, s; frame i of 25 fps appears at i / 25.
        columns: length of the window.
        before: columns before that time.

    Returns:
        (bands, columns) float32; columns before or after the audio hold silence (-1).
    """
    start = round(second * RATE / HOP) - before
    out = np.full((columns, mel.shape[1]), SILENCE, np.float32)
    first, last = max(start, 0), min(start + columns, len(mel))
    if first < last:
        out[first - start : last - start] = mel[first:last]
    return out.T


LEVELS = Levels(silence=SILENCE, loudest=1.0, per_decibel=-2 / FLOOR_DB)


@dataclass(frozen=True)
class Mel:
    """The mel as an `AudioFeature`, and as the `StoredArray` in which its windows are kept.

    k/mel is (4 T + 16, 80) float32: rows 4 i .. 4 i + 19 are the window of frame i, so that windows at the ends of an
    entry hold the audio beyond it.
    """

    name: str = "mel"
    description: str = DESCRIPTION
    levels: Levels = LEVELS

    def whole(self, samples: Array) -> Array:
        """See `mel_spectrogram`."""
        return mel_spectrogram(samples)

    def window(self, whole: Array, second: float) -> Array:
        """See `mel_window`."""
        return mel_window(whole, second)

    def stored(self, frame: int) -> tuple[str, int, int]:
        """Rows of k/mel."""
        return self.name, PER_FRAME * frame, PER_FRAME * frame + COLUMNS

    def of_video(self, clip: Clip, track: Track) -> Callable[[int, int], NDArray[np.float32]]:
        """start, stop -> (4 (stop - start) + 16, 80), from the mel of the video's whole audio."""
        if clip.audio is None:
            raise MediaError(f"{clip.path.name!r} has no audio track; give a video with speech")
        mel = mel_spectrogram(clip.audio.samples)

        def rows(start: int, stop: int) -> Array:
            """Of frames start..stop-1, as far as their windows reach."""
            around = PER_FRAME * (stop - start) + COLUMNS - PER_FRAME
            return np.ascontiguousarray(mel_window(mel, start / FPS, around).T)

        return rows


MEL = Mel()
