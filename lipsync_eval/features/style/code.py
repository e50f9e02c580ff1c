"""The training-free style code: statistics of an expression sequence, standardised, compared by cosine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float

PARTS: Final = ("mean", "log std", "log mean |velocity|", "log std of velocity")
LEAST: Final = 10
"""Frames below which a style code is refused."""
FEW: Final = 100
"""Frames (4 s) below which a style code is noted as uncertain."""
_FLOOR: Final = 1e-3
"""Added before the logarithm: a thousandth of the eyes' distance, or of a blendshape's full movement."""
_TINY: Final = 1e-6


def statistics(sequence: Float, index: NDArray[np.intp]) -> Float:
    """Mean, spread and speed of every dimension.

    Args:
        sequence: (T, D) expression of the frames that have one, T >= LEAST.
        index: (T,) their numbers, ascending; velocity (per frame, 1/25 s) is taken between consecutive numbers only.

    Returns:
        (4 D,): mean; log(0.001 + std); log(0.001 + mean |velocity|); log(0.001 + std of velocity). Spread and speed are
        positive and skewed over speakers, hence the logarithm.

    Raises:
        InputError: too few frames, shapes that do not agree, or values that are not finite.
    """
    if sequence.ndim != 2 or len(sequence) != len(index):
        raise InputError(
            f"style takes (T, D) expression and (T,) frame numbers; got {sequence.shape} and {index.shape}"
        )
    if len(sequence) < LEAST:
        raise InputError(f"a style needs at least {LEAST} frames with a face; there are {len(sequence)}")
    if not np.isfinite(sequence).all():
        raise InputError("the expression holds NaN or infinite values")
    x = sequence.astype(np.float64)
    velocity = np.diff(x, axis=0)[np.diff(index) == 1]
    if len(velocity) < 2:
        raise InputError("a style needs consecutive frames with a face; there are hardly any")
    spread = [x.std(0), np.abs(velocity).mean(0), velocity.std(0)]
    return np.concatenate([x.mean(0), *(np.log(_FLOOR + s) for s in spread)])


def standardise(code: Float, mean: Float, std: Float) -> Float:
    """(..., K) z-scores; dimensions that never vary count 0."""
    alive = std > _TINY
    return np.where(alive, (code - mean) / np.where(alive, std, 1.0), 0.0)


def cosine(a: Float, b: Float) -> float:
    """Cosine of two vectors, -1..1; 0 where one of them is 0."""
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / length, -1.0, 1.0)) if length > 0 else 0.0


def moments(codes: Sequence[Float]) -> tuple[Float, Float]:
    """Mean and std (K,) over codes of many speakers, every speaker counting the same.

    Args:
        codes: one array (windows, K) a speaker, at least two speakers.

    Raises:
        InputError: fewer than two speakers.
    """
    if len(codes) < 2:
        raise InputError(f"style constants need at least 2 speakers; there are {len(codes)}")
    mean = np.mean([c.mean(0) for c in codes], 0)
    variance = np.mean([((c - mean) ** 2).mean(0) for c in codes], 0)
    return mean, np.sqrt(variance)


def window_codes(sequence: Float, index: NDArray[np.intp], window: int = FEW, hop: int = FEW // 2) -> Float:
    """(W, 4 D) codes of windows of a clip: `window` frames every `hop`, the whole clip where it is shorter."""
    starts = range(0, max(len(sequence) - window, 0) + 1, hop)
    return np.stack([statistics(sequence[s : s + window], index[s : s + window]) for s in starts])
