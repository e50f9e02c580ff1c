"""MFCC as python_speech_features 0.6 computes it by default, in pieces (memory does not grow with the audio); loudness.

400-sample windows every 160 samples, rectangular, FFT 512, pre-emphasis 0.97, 26 mel filters over 0..8 kHz, natural
logarithm, orthonormal DCT, 13 coefficients, lifter 22, the first replaced by the log of the window's energy.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import FPS, RATE, Float

WINDOW: Final = 400
STEP: Final = 160
COEFFICIENTS: Final = 13
SILENCE: Final = -100.0
"""dBFS: the level of digital silence."""
_FFT: Final = 512
_FILTERS: Final = 26
_LIFTER: Final = 22
_EMPHASIS: Final = 0.97
_EPSILON: Final = float(np.finfo(np.float64).eps)


def n_columns(n_samples: int) -> int:
    """Number of MFCC columns of audio: 1 + ceil((n - 400) / 160), and 1 for up to 400 samples."""
    return 1 if n_samples <= WINDOW else 1 + math.ceil((n_samples - WINDOW) / STEP)


def mfcc(samples: NDArray[np.int16], start: int = 0, stop: int | None = None) -> Float:
    """Columns start..stop-1 of the MFCC of a whole audio.

    Args:
        samples: (N,) int16 at 16 kHz (the values are used as they are, not scaled to [-1, 1]).
        start: first column, one every 10 ms.
        stop: column after the last; None: to the end.

    Returns:
        (13, stop - start) float64; the same numbers as python_speech_features.mfcc(samples, 16000).T[:, start:stop] to
        1e-9.

    Raises:
        InputError: no sample, or not int16.
    """
    if samples.ndim != 1 or samples.dtype != np.int16 or not len(samples):
        raise InputError(f"mfcc needs (N,) int16 samples, N >= 1; got {samples.dtype} {samples.shape}")
    stop = n_columns(len(samples)) if stop is None else min(stop, n_columns(len(samples)))
    if start >= stop:
        return np.empty((COEFFICIENTS, 0))
    spectrum = np.abs(np.fft.rfft(_windows(samples, start, stop), _FFT)) ** 2 / _FFT
    energy = spectrum.sum(axis=1)
    bands = spectrum @ _filterbank().T
    bands[bands == 0] = _EPSILON
    out = (np.log(bands) @ _cosines().T) * _lift()
    out[:, 0] = np.log(np.where(energy == 0, _EPSILON, energy))
    return np.ascontiguousarray(out.T)


def loudness(samples: NDArray[np.int16], n_frames: int) -> Float:
    """Level of the audio under each frame.

    Args:
        samples: (N,) int16 at 16 kHz; sample 0 sounds with frame 0.
        n_frames: frames.

    Returns:
        (n_frames,) root mean square of the frame's 40 ms in dBFS (0 = full scale), at least -100; -100 beyond the end.
    """
    per_frame = RATE // FPS
    out = np.full(n_frames, SILENCE)
    whole = min(n_frames, len(samples) // per_frame)
    blocks = samples[: whole * per_frame].reshape(whole, per_frame)
    power = np.array([np.mean(np.square(b, dtype=np.float64)) for b in blocks]) if whole else np.zeros(0)
    out[:whole] = 10 * np.log10(np.maximum(power / 32768.0**2, 1e-10))
    return out


def _windows(samples: NDArray[np.int16], start: int, stop: int) -> Float:
    """(stop - start, 400) pre-emphasised windows, zero beyond the end of the audio."""
    first, last = start * STEP, (stop - 1) * STEP + WINDOW
    part = samples[max(first - 1, 0) : last].astype(np.float64)
    before = 0.0 if first == 0 else part[0]
    here = part if first == 0 else part[1:]
    emphasised = np.zeros(last - first)
    emphasised[: len(here)] = here - _EMPHASIS * np.concatenate([[before], here[:-1]])
    return np.lib.stride_tricks.sliding_window_view(emphasised, WINDOW)[::STEP]


@lru_cache(maxsize=1)
def _filterbank() -> Float:
    """(26, 257) triangles evenly spaced in mel, their corners on FFT bins (rounded down)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, _FILTERS + 2) / 2595) - 1)
    bins = np.floor((_FFT + 1) * corners / RATE)
    bank = np.zeros((_FILTERS, _FFT // 2 + 1))
    for j in range(_FILTERS):
        left, middle, right = bins[j : j + 3]
        rise, fall = np.arange(int(left), int(middle)), np.arange(int(middle), int(right))
        bank[j, rise] = (rise - left) / (middle - left)
        bank[j, fall] = (right - fall) / (right - middle)
    return bank


@lru_cache(maxsize=1)
def _cosines() -> Float:
    """(13, 26) orthonormal DCT-II."""
    k, n = np.arange(COEFFICIENTS)[:, None], np.arange(_FILTERS)[None]
    matrix = np.cos(np.pi * k * (2 * n + 1) / (2 * _FILTERS)) * math.sqrt(2 / _FILTERS)
    matrix[0] /= math.sqrt(2)
    out: Float = matrix
    return out


@lru_cache(maxsize=1)
def _lift() -> Float:
    out: Float = 1 + (_LIFTER / 2) * np.sin(np.pi * np.arange(COEFFICIENTS) / _LIFTER)
    return out
