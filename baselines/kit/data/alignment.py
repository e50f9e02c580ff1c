"""Where a face is cut out of a frame: the one thing about data in which generators differ most."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import Float, Frame
from lipsync_eval.warp import apply


class Alignment(Protocol):
    """How a generator's crops lie in their frames. Instances are pickled (`prepare --workers`) and never change."""

    @property
    def description(self) -> str:
        """Everything that shapes a crop, in words; kept with prepared data, and other data are refused."""
        ...

    @property
    def face_box(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 of the face detector's box in a crop, as shares of its side."""
        ...

    def matrices(self, points: Float, size: int) -> Float:
        """Where the crops of consecutive frames lie; may smooth over them.

        Args:
            points: (T, L, 2) landmarks of one face in consecutive frames, px; L as the landmark backend has it.
            size: side of the crops, px.

        Returns:
            (T, 2, 3) affine maps, frame px -> crop px.
        """
        ...

    def crop(self, frame: Frame, points: Float, matrix: Float, size: int) -> Frame:
        """One crop.

        Args:
            frame: (H, W, 3) uint8 RGB.
            points: (L, 2) px in the frame.
            matrix: (2, 3) the frame's own of `matrices`.
            size: side of the crop, px.

        Returns:
            (size, size, 3) uint8 RGB.
        """
        ...


def track_matrices(alignment: Alignment, points: Float, valid: NDArray[np.bool_], size: int) -> Float:
    """`matrices` of a whole track, run by run of frames with a face.

    Args:
        alignment: where crops lie.
        points: (N, L, 2) px.
        valid: (N,) whether a frame shows the face.
        size: side of the crops, px.

    Returns:
        (N, 2, 3); NaN where there is no face.
    """
    found = np.full((len(valid), 2, 3), np.nan)
    for start, stop in runs(valid):
        found[start:stop] = alignment.matrices(points[start:stop], size)
    return found


def runs(valid: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """start, stop of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], valid.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def one_crop(alignment: Alignment, frame: Frame, points: Float, size: int) -> Frame:
    """The crop of a single image: (size, size, 3) uint8 RGB."""
    return alignment.crop(frame, points, alignment.matrices(points[None], size)[0], size)


def to_crops(alignment: Alignment, points: Float, size: int) -> Float:
    """Landmarks (T, L, 2) of consecutive frames in frame px -> in crop px."""
    return apply(alignment.matrices(points, size), points)
