"""Speech-lip intensity correlation (SLCC): do the lips move more in clips whose speech is louder?

Chae-Yeon et al., CVPR 2025 (arXiv:2503.20308); equal to kaist-ami/Perceptual-3D-Talking-Head@530d075 evaluation/{extract_lip_intensity,
extract_rms,evaluate_SLCC}.py given the same points and float audio. There, mono 16-bit audio overflows when squared (30
instead of 1997 on one golden file); here it does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float


def lip_intensity(points: Float) -> float:
    """Root mean square, over time, of the mean distance that the points move from one frame to the next.

    Args:
        points: (T, K, D); steps from or to a frame with NaN are left out.

    Returns:
        in the unit of the points; NaN where no step is left.
    """
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(axis=1)
    steps = steps[np.isfinite(steps)]
    return float(np.sqrt(np.mean(np.square(steps)))) if len(steps) else float("nan")


def speech_intensity(samples: NDArray[np.generic]) -> float:
    """Root mean square of (N,) or (N, channels) audio, channels averaged first, in float64; NaN for none."""
    x = samples.astype(np.float64)
    x = x.mean(axis=1) if x.ndim > 1 else x
    return float(np.sqrt(np.mean(np.square(x)))) if len(x) else float("nan")


def slcc(identities: Sequence[str], lips: Float, speech: Float) -> tuple[float, int]:
    """Pearson correlation of lip and speech intensity over clips, both as z-scores (n - 1) within each identity.

    Args:
        identities: (n,) who is seen in each clip.
        lips: (n,) of `lip_intensity`.
        speech: (n,) of `speech_intensity`.

    Returns:
        -1..1, NaN where fewer than 2 clips are left or nothing varies; and the number of clips used. Identities with one
        clip, or whose lips or speech do not vary, have no z-score and are left out.

    Raises:
        InputError: lengths that differ.
    """
    if not len(identities) == len(lips) == len(speech):
        raise InputError(
            f"slcc needs one identity, lip and speech value a clip, got {len(identities)}, {len(lips)}, {len(speech)}"
        )
    names = np.array(identities)
    a, b = (np.full(len(names), np.nan) for _ in range(2))
    for name in dict.fromkeys(identities):
        mine = names == name
        if mine.sum() < 2:
            continue
        for out, values in ((a, lips), (b, speech)):
            spread = float(np.std(values[mine], ddof=1))
            if spread > 0:
                out[mine] = (values[mine] - values[mine].mean()) / spread
    used = np.isfinite(a) & np.isfinite(b)
    x, y = a[used], b[used]
    if len(x) < 2 or not np.ptp(x) or not np.ptp(y):
        return float("nan"), int(used.sum())
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0)), len(x)
