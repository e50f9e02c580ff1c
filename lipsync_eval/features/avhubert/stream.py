"""Mouth crops of one video, taken while its frames pass by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import FaceError, InputError
from lipsync_eval.features.avhubert.config import CROP
from lipsync_eval.features.avhubert.roi import SIDE, Mouths, cut_mouth, locate_mouths, whole_frame
from lipsync_eval.features.avhubert.video import centre_crop, gray
from lipsync_eval.types import Float, Frame

Roi = Literal["align", "center88", "resize"]
"""align: the official mouth alignment. center88: the middle 88x88 of the frame (LRS2's 160x160 faces, or 96x96 mouths).
resize: the whole frame made 96x96."""
ROIS: Final[tuple[Roi, ...]] = get_args(Roi)


class MouthStream:
    """(T, 88, 88) gray, 7.7 kB a frame, filled in batch by batch."""

    def __init__(self, roi: Roi, size: tuple[int, int], n_frames: int, points: Float | None) -> None:
        """Place the mouths; no pixel is looked at yet.

        Args:
            roi: where the mouth is.
            size: (height, width) of the source frames.
            n_frames: T.
            points: (T, 68, 2) landmarks, NaN where a frame has no face; only looked at with align.

        Raises:
            FaceError: align, and no frame has a face.
            InputError: center88, and the frames are smaller than that.
        """
        self.roi = roi
        self.crops: NDArray[np.uint8] = np.zeros((n_frames, CROP, CROP), np.uint8)
        self.mouths: Mouths | None = None
        if roi == "align":
            if points is None:
                raise FaceError("there is no face in the video, so there is no mouth to look at")
            self.mouths = locate_mouths(points)
        elif roi == "center88" and min(size) < CROP:
            raise InputError(f"frames are {size[1]}x{size[0]}; the middle {CROP}x{CROP} of each is needed")

    def digest(self, clip: str) -> str:
        """What the crops hang on, before a frame is seen: the content of the video (a clip's digest) and where each lies."""
        digest = hashlib.sha256(f"{clip},{self.roi},{self.crops.shape}".encode())
        if self.mouths is not None:
            for array in (self.mouths.matrix, self.mouths.corner.astype(np.int64)):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def take(self, start: int, frames: Iterable[Frame]) -> None:
        """The next frames, (H, W, 3) uint8 RGB, of which the first is number `start`."""
        for i, frame in enumerate(frames, start):
            if self.mouths is not None:
                inner = self.mouths.corner[i] + (SIDE - CROP) // 2
                self.crops[i] = gray(cut_mouth(frame, self.mouths.matrix[i], inner, CROP))
            else:
                self.crops[i] = centre_crop(gray(whole_frame(frame) if self.roi == "resize" else frame))
