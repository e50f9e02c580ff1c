"""Small clips with faces: scikit-image's public-domain astronaut pasted on a plain scene."""

import hashlib
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from lipsync_eval.types import Clip

SIZE = (240, 320)
"""(height, width) of the scenes."""


@cache
def head(side):
    """(side, side, 3) the astronaut's head, its own background round it."""
    picture = np.ascontiguousarray(data.astronaut()[0:256, 96:352])
    way = cv2.INTER_AREA if side < 256 else cv2.INTER_LINEAR
    return cv2.resize(picture, (side, side), interpolation=way)


@cache
def other_head(side):
    """The same head as another person: mirrored, darker, wider, bluish."""
    wide = cv2.resize(
        np.ascontiguousarray(head(256)[20:220, 20:236, ::-1][:, ::-1]), (side, side), interpolation=cv2.INTER_AREA
    )
    return (wide[:, ::-1] * np.array([0.45, 0.5, 0.8])).astype(np.uint8)


def scene(*faces, size=SIZE, level=90):
    """A frame with heads at (x, y, frame of a head), pasted in order; parts outside are cut off."""
    height, width = size
    ramp = np.linspace(level - 20, level + 20, width)[None, :, None]
    out = np.broadcast_to(ramp, (height, width, 3)).astype(np.uint8).copy()
    for x, y, picture in faces:
        x, y = round(x), round(y)
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + picture.shape[1], width), min(y + picture.shape[0], height)
        if x1 > x0 and y1 > y0:
            out[y0:y1, x0:x1] = picture[y0 - y : y1 - y, x0 - x : x1 - x]
    return out


def clip_of(frames, n_frames=None):
    """A Clip over frames in memory; its digest is that of their bytes."""
    frames = [np.ascontiguousarray(frame) for frame in frames]
    digest = hashlib.sha256(b"".join(frame.tobytes() for frame in frames)).hexdigest()

    def read(start, stop):
        return iter([frame.copy() for frame in frames[start:stop]])

    return Clip(Path("clip.mkv"), n_frames or len(frames), *frames[0].shape[:2], 25.0, digest, None, read)
