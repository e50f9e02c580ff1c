"""Views and tracks of schematic faces."""

from __future__ import annotations

import numpy as np
from golden.synthetic_inputs import face68

from lipsync_eval.protocol import View
from lipsync_eval.types import FOUND, MISSING, Track


def clip(n=6, scale=90.0, centre=(256.0, 240.0), missing=(), **face):
    """(n, 68, 2) px: a slightly different face in every frame."""
    points = np.stack([face68(i, 0.02, mouth_open=0.03 * (i % 4), **face) * scale + centre for i in range(n)])
    points[list(missing)] = np.nan
    return points


def view(points, size=(512, 512), n_frames=None):
    """A frame size and the track of these points."""
    found = np.isfinite(points).all(axis=(1, 2))
    boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    status = np.where(found, FOUND, MISSING).astype(np.uint8)
    track = Track(boxes, points, np.ones(len(points), np.float32), status, "schematic.1", found.astype(np.int16))
    return View(*size, n_frames or len(points), track)
