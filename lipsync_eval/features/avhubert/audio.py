"""Audio front end: 16 kHz audio -> (T, 104) at 25 Hz.

26 natural-log filter banks every 10 ms (python_speech_features' defaults: 25 ms window, 512-point FFT, pre-emphasis 0.97),
four consecutive ones stacked, trimmed or zero-padded to the frames, then layer norm of every frame by itself.
Facts: av_hubert/hubert_dataset.py (facebookresearch/av_hubert@258fb50).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import RATE

_WINDOW: Final = 400
_STEP: Final = 160
_FFT: Final = 512
_BANKS: Final = 26
_STACK: Final = 4
_PREEMPHASIS: Final = 0.97
_BLOCK: Final = 4096
"""Windows transformed at once: bounds memory (about 70 MB)."""


def audio_input(samples: NDArray[np.int16], n_frames: int, normalize: bool = True) -> NDArray[np.float32]:
    """What AV-HuBERT hears beside n_frames frames.

    A frame that is padding in part is normalised with its zeros inside, a frame of padding only stays 0: as officially.

    Args:
        samples: (N,) int16 mono at 16 kHz, N >= 1.
        n_frames: T, frames at 25 fps.
        normalize: layer norm per frame (true in every released checkpoint; `AVHuBERT.config.normalize`).

    Returns:
        (T, 104) float32.

    Raises:
        InputError: not int16, not one channel, or empty.
    """
    import torch
    import torch.nn.functional as F

    banks = log_filter_banks(samples)
    stacked = np.zeros((n_frames, _STACK * _BANKS), np.float32)
    kept = min(len(banks), n_frames * _STACK)
    stacked.reshape(-1, _BANKS)[:kept] = banks[:kept]
    if not normalize:
        return stacked
    out: NDArray[np.float32] = F.layer_norm(torch.from_numpy(stacked), (stacked.shape[1],)).numpy()
    return out


def log_filter_banks(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """(N,) int16 at 16 kHz -> (frames, 26) float32 natural logs at 100 Hz, frames = 1 + ceil((N - 400) / 160).

    Equals python_speech_features.logfbank, computed in blocks so that memory does not grow with a clip's length.

    Raises:
        InputError: not int16, not one channel, or empty.
    """
    from python_speech_features import get_filterbanks
    from python_speech_features.sigproc import powspec

    if samples.dtype != np.int16 or samples.ndim != 1 or not len(samples):
        raise InputError(
            f"audio must be (N,) int16 at {RATE} Hz, got {samples.shape} {samples.dtype}; see Audio.int16()"
        )
    weights = get_filterbanks(_BANKS, _FFT, RATE).T
    count = 1 + max(0, -(-(len(samples) - _WINDOW) // _STEP))
    out = np.empty((count, _BANKS), np.float32)
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        energy = powspec(_windows(samples, start, stop), _FFT) @ weights
        out[start:stop] = np.log(np.where(energy == 0, np.finfo(float).eps, energy))
    return out


def _windows(samples: NDArray[np.int16], start: int, stop: int) -> NDArray[np.float64]:
    """(stop - start, 400) pre-emphasised windows start..stop-1, zeros after the end."""
    first, length = start * _STEP, (stop - start - 1) * _STEP + _WINDOW
    before = samples[first - 1 : first] if first else np.zeros(1)
    piece = np.concatenate([before, samples[first : first + length]]).astype(np.float64)
    emphasised = np.zeros(length)
    emphasised[: len(piece) - 1] = piece[1:] - _PREEMPHASIS * piece[:-1]
    return np.lib.stride_tricks.sliding_window_view(emphasised, _WINDOW)[::_STEP]
