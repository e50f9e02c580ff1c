"""Where there is speech: silero-vad's network (MIT) on 16 kHz audio, run from the ONNX file inside its wheel.

The package silero-vad is a dependency for that file alone: it is found, not imported (its import sets torch to one
thread), and nothing is downloaded. The rule from probabilities to segments is that of get_speech_timestamps
with its defaults (snakers4/silero-vad@6.2.3, src/silero_vad/utils_vad.py), written anew.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError, MissingWeights
from lipsync_eval.files import sha256
from lipsync_eval.types import RATE

WINDOW: Final = 512
"""Samples (32 ms) that get one probability."""
CONTEXT: Final = 64
"""Samples before each window that the network sees too."""
FILE: Final = "silero_vad_16k_op15.onnx"
_LEAST_SPEECH: Final = RATE * 250 // 1000
_LEAST_SILENCE: Final = RATE * 100 // 1000
_PAD: Final = RATE * 30 // 1000
_HYSTERESIS: Final = 0.15


def model() -> Path:
    """The network's file in the installed package.

    Raises:
        MissingWeights: silero-vad is not installed, or has no such file.
    """
    spec = find_spec("silero_vad")
    path = Path(spec.origin).parent / "data" / FILE if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise MissingWeights(
            "telling speech from silence needs the file of the package silero-vad, which is not installed here; run:\n"
            "pip install 'silero-vad>=6.2,<7'"
        )
    return path


def signature() -> str:
    """'silero@7ed98ddb': the network by its content. Raises MissingWeights."""
    return f"silero@{_digest(model())}"


@lru_cache(maxsize=4)
def _digest(path: Path) -> str:
    return sha256(path)[:8]


def probabilities(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Probability of speech in every window of 512 samples; the last one is filled up with silence.

    Args:
        samples: (N,) mono at 16 kHz in [-1, 1].

    Returns:
        (ceil(N / 512),) float32 in 0..1. States begin at zero, so that the result hangs on this audio alone.

    Raises:
        InputError: another shape, or values that are not finite.
        MissingWeights: silero-vad is not installed.
    """
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise InputError(f"probabilities takes (N,) finite samples; got shape {samples.shape}")
    session = _session(model())
    n = -(-len(samples) // WINDOW)
    x = np.zeros((1, CONTEXT + n * WINDOW), np.float32)
    x[0, CONTEXT : CONTEXT + len(samples)] = samples
    state, rate = np.zeros((2, 1, 128), np.float32), np.array(RATE, np.int64)
    out = np.empty(n, np.float32)
    for i in range(n):
        window = x[:, i * WINDOW : (i + 1) * WINDOW + CONTEXT]
        found, state = session.run(None, {"input": window, "state": state, "sr": rate})
        out[i] = found[0, 0]
    return out


@lru_cache(maxsize=1)
def _session(path: Path) -> Any:
    from lipsync_eval.weights import onnx_session

    return onnx_session(path, threads=1)


def segments(found: NDArray[np.floating], n_samples: int, threshold: float = 0.5) -> NDArray[np.intp]:
    """Stretches of speech.

    A stretch begins where the probability reaches the threshold, and ends where it fell below threshold - 0.15 (at
    least 0.01) and did not reach the threshold again for 100 ms. Shorter ones than 250 ms are dropped; 30 ms are added
    at both ends, shared where two stretches lie nearer.

    Args:
        found: (n,) of `probabilities`.
        n_samples: length of the audio.
        threshold: 0..1.

    Returns:
        (k, 2) first sample and end (not included) of each.
    """
    below = max(threshold - _HYSTERESIS, 0.01)
    stretches: list[list[int]] = []
    start = end = -1
    for i, p in enumerate(found):
        at = i * WINDOW
        if p >= threshold:
            start, end = (at if start < 0 else start), -1
        elif p < below and start >= 0:
            end = at if end < 0 else end
            if at - end >= _LEAST_SILENCE:
                if end - start > _LEAST_SPEECH:
                    stretches.append([start, end])
                start = end = -1
    if start >= 0 and n_samples - start > _LEAST_SPEECH:
        stretches.append([start, n_samples])
    for i, stretch in enumerate(stretches):
        if i == 0:
            stretch[0] = max(0, stretch[0] - _PAD)
        if i + 1 == len(stretches):
            stretch[1] = min(n_samples, stretch[1] + _PAD)
            continue
        gap = stretches[i + 1][0] - stretch[1]
        give = gap // 2 if gap < 2 * _PAD else _PAD
        stretch[1] += give
        stretches[i + 1][0] -= give
    return np.array(stretches, np.intp).reshape(-1, 2)
