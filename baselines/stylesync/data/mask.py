"""The mask M: one U shape over mouth, cheeks and jaw for all frames. The paper's own picture of it is not public.

Drawn from the mean 68 points of the training data's crops: the jaw from point 2 to 14, pushed outwards by 12 % of the
face's width and stretched down to the lower edge; closed on top by a line through the middle of the nose bridge (point
29) that dips to the height of the nose wings at the sides.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipsync_eval.baselines.kit.data.holdout import Pool, even_windows
from lipsync_eval.baselines.kit.data.inputs import points_in
from lipsync_eval.baselines.kit.data.windows import Windows
from lipsync_eval.errors import InputError
from lipsync_eval.types import Float

SIZE = 256
OUTWARDS = 0.12
"""Share of the face's width (points 0 to 16)."""
FRAMES = 1000
"""Training frames whose points are averaged, at most."""


def u_mask(points: Float, size: int = SIZE) -> NDArray[np.uint8]:
    """The mask of a mean face.

    Args:
        points: (68, 2) px in a crop of `size` px.
        size: side of the mask.

    Returns:
        (size, size) uint8, 1 inside.

    Raises:
        InputError: points that are no upright face in the crop.
    """
    import cv2

    wing = (points[31, 1] + points[35, 1]) / 2
    chin = points[8, 1]
    if not (0 < points[29, 1] < wing < chin and points[0, 0] < points[29, 0] < points[16, 0]):
        raise InputError("the mean points are no upright face in the crop; check the alignment of the data")
    jaw = points[2:15].astype(np.float64)
    push = OUTWARDS * np.linalg.norm(points[16] - points[0])
    from_centre = jaw - points[30]
    jaw += push * from_centre / np.linalg.norm(from_centre, axis=1, keepdims=True)
    deepest = jaw[:, 1].max()
    below = jaw[:, 1] > wing
    jaw[below, 1] = wing + (jaw[below, 1] - wing) * max(1.0, (size - wing) / (deepest - wing))
    top = np.array([[jaw[-1, 0], wing], points[29], [jaw[0, 0], wing]])
    outline = np.concatenate([jaw, top])
    mask: NDArray[np.uint8] = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    return mask


def mean_points(pool: Pool) -> Float:
    """(68, 2) px in crops of SIZE: the mean over evenly spread training frames."""
    windows = Windows(pool)
    found = [windows.landmarks(span, start, start + 1)[0] for span, start in even_windows(pool.train, FRAMES)]
    return points_in(SIZE, pool.size, np.mean(found, axis=0))


def mask_of(pool: Pool) -> Tensor:
    """(256, 256) uint8, the mask of a training."""
    return torch.from_numpy(u_mask(mean_points(pool)))
