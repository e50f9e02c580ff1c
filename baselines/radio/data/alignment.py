"""RADIO's alignment: FFHQ's, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

from lipsync_eval.types import Float, Frame
from lipsync_eval.warp import similarity_from_quad

TRANSFORM = 4
"""FFHQ samples at 4 times the size of the result and reduces (4096 to 1024)."""


@dataclass(frozen=True)
class FFHQ:
    """FFHQ alignment with its padding and blur, without smoothing over time."""

    description: str = f"ffhq, transform {TRANSFORM}x"
    face_box: tuple[float, float, float, float] = (0.16, 0.30, 0.84, 0.98)
    """dlib's HOG box (measured on real clips)."""

    def matrices(self, points: Float, size: int) -> Float:
        """(..., 68, 2) px -> (..., 2, 3) similarities, frame px -> crop px."""
        from lipsync_eval.protocols.ffhq import ffhq_quad

        return similarity_from_quad(ffhq_quad(points), size)

    def crop(self, frame: Frame, points: Float, matrix: Float, size: int) -> Frame:
        """(H, W, 3) uint8 RGB and its (68, 2) px -> (size, size, 3), by FFHQ's own resampling at the matrix's place."""
        from lipsync_eval.protocols.ffhq import ffhq_align

        return ffhq_align(frame, points, size, TRANSFORM * size)


ALIGNMENT = FFHQ()
