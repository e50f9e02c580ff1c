"""The tight face: Wav2Lip's box around the 68 points, as the protocol `wav2lip` cuts it."""

from __future__ import annotations

from dataclasses import dataclass

from lipsync_eval.types import Float, Frame
from lipsync_eval.warp import render


@dataclass(frozen=True)
class TightBox:
    """The box of the landmarks, higher by 31 %, 10 px below the chin, mean of 5 frames, stretched to a square."""

    description: str = "wav2lip box, 10 px below, mean of 5 frames, stretched"
    face_box: tuple[float, float, float, float] = (-0.05, 0.16, 1.02, 0.91)
    """dlib's HOG box (median of five real clips)."""

    def matrices(self, points: Float, size: int) -> Float:
        """(T, 68, 2) px of consecutive frames -> (T, 2, 3) scalings, frame px -> crop px."""
        from lipsync_eval.protocols.geometry import boxes, matrices
        from lipsync_eval.protocols.wav2lip import LAYOUT

        return matrices(boxes(LAYOUT, points), size)

    def crop(self, frame: Frame, points: Float, matrix: Float, size: int) -> Frame:
        """(H, W, 3) uint8 RGB -> (size, size, 3), antialiased; what lies outside the frame is mirrored."""
        return render(frame, matrix, (size, size))


ALIGNMENT = TightBox()
