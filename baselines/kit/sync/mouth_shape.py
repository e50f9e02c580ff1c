"""The shape of the mouth in numbers: what the visual encoder of the sync discriminator also learns to read off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHAPE = 5
"""Numbers per frame."""
_INNER = ((61, 67), (62, 66), (63, 65))
_OUTER = ((50, 58), (51, 57), (52, 56))


def mouth_shape(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Distances in units of the nose's length (points 27 to 33): moving, turning, scaling or mirroring changes none.

    Args:
        points: (T, 68, 2) iBUG points, px.

    Returns:
        (T, 5) float32: inner and outer opening (means of three distances), outer and inner width, nose to chin.
    """

    def apart(a: int, b: int) -> NDArray[np.floating]:
        """(T,) distance of two points, px."""
        distance: NDArray[np.floating] = np.linalg.norm(points[:, a] - points[:, b], axis=1)
        return distance

    inner, outer = (np.mean([apart(a, b) for a, b in pairs], axis=0) for pairs in (_INNER, _OUTER))
    shape = np.stack([inner, outer, apart(48, 54), apart(60, 64), apart(33, 8)], axis=1)
    return np.asarray(shape / np.maximum(apart(27, 33), 1e-3)[:, None], np.float32)


def level_and_motion(shape: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a window's mouth is like and how it moves, apart: movement is small beside what sets people apart.

    Args:
        shape: (T, 5) of `mouth_shape`, frames of one window.

    Returns:
        (T + 1, 5): the mean over the frames, then every frame's difference from it.
    """
    level = shape.mean(0, keepdims=True)
    return np.concatenate([level, shape - level])
