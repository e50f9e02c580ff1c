"""What stage 1 hears, at 25 frames a second."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.data.mel import PER_FRAME, SILENCE, mel_spectrogram
from lipsync_eval.types import FPS, RATE

SAMPLES = RATE // FPS


def frames_of(samples: NDArray[np.float32]) -> int:
    """Frames (1/25 s) that audio lasts for, the last begun one included; at least 1."""
    return max(1, -(-len(samples) // SAMPLES))


def heard(kind: Literal["hubert", "mel"], samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) samples -> (640 T,) samples for hubert, (4 T, 80) mel for mel; silence fills the last frame."""
    count = frames_of(samples)
    if kind == "hubert":
        return np.pad(samples, (0, count * SAMPLES - len(samples)))
    mel = mel_spectrogram(samples)
    return np.pad(mel, ((0, count * PER_FRAME - len(mel)), (0, 0)), constant_values=SILENCE)
