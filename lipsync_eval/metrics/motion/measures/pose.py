"""Where the head looks, from the rigid ones of the 68 points: a weak-perspective fit of a generic face.

Ours, coarse: pitch, yaw and roll of a generic face, good for how much a head moves (a few degrees of bias that hangs on the
person's own nose stay the same through a clip), not for where it looks.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lipsync_eval.features.mouth_mel import shipped
from lipsync_eval.features.style.points import RIGID
from lipsync_eval.types import Float

DEPTH: Final = (0.30, 0.44, 0.58, 0.70, 0.36, 0.46, 0.50, 0.46, 0.36, -0.16, 0.04, 0.04, -0.16)
"""How far nose bridge 27-30, nose base 31-35 and eye corners 36, 39, 42, 45 of a grown-up's face stand out, eyes 1 apart
(rough anthropometric means)."""


def head_angles(points: Float) -> Float:
    """Pitch, yaw and roll.

    Args:
        points: (T, 68, 2) px; NaN where missing.

    Returns:
        (T, 3) degrees: pitch grows as the nose goes up, yaw as it goes to the right of the frame, roll as the head leans to the right of
        the frame (turns are taken in this order: pitch, yaw, roll); NaN where missing.
    """
    face = np.concatenate([shipped().mean_face[RIGID,], np.array(DEPTH)[:, None]], axis=1)
    face = face - face.mean(axis=0)
    seen = points[:, RIGID] - points[:, RIGID].mean(axis=1, keepdims=True)
    out = np.full((len(points), 3), np.nan)
    good = np.isfinite(seen).all(axis=(1, 2))
    affine = np.einsum("ij,tjk->tki", np.linalg.pinv(face), seen[good])  # (t, 2, 3): image = affine @ face
    u, _, vt = np.linalg.svd(affine, full_matrices=False)
    rows = u @ vt  # the nearest two orthonormal rows
    third = np.cross(rows[:, 0], rows[:, 1])
    out[good, 0] = np.arctan2(third[:, 1], third[:, 2])
    out[good, 1] = np.arcsin(np.clip(-third[:, 0], -1.0, 1.0))
    out[good, 2] = np.arctan2(rows[:, 1, 0], rows[:, 0, 0])
    return np.asarray(np.degrees(out))
