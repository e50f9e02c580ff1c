"""RGB frames -> the grey frames that no-reference metrics read, each in the convention of the code that they follow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError


def pillow_l(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pillow's mode 'L': (19595 R + 38470 G + 7471 B + 32768) >> 16.

    Args:
        frame: (H, W, 3) uint8 RGB, or (H, W) uint8, which is returned as it is.

    Returns:
        (H, W) uint8.

    Raises:
        InputError: another dtype or shape.
    """
    check(frame)
    if frame.ndim == 2:
        return frame
    from PIL import Image

    return np.array(Image.fromarray(frame).convert("L"))


def check(frame: NDArray[np.uint8], least: int = 1) -> None:
    """Refuse what is no frame.

    Raises:
        InputError: not uint8, not (H, W, 3) or (H, W), or a side below `least` px.
    """
    if frame.dtype != np.uint8:
        raise InputError(f"a frame must be uint8 in 0..255, got {frame.dtype}")
    if frame.ndim not in (2, 3) or (frame.ndim == 3 and frame.shape[2] != 3):
        raise InputError(f"a frame must be (H, W, 3) RGB or (H, W) grey, got {frame.shape}")
    if min(frame.shape[:2]) < least:
        raise InputError(f"a frame of {frame.shape[0]} x {frame.shape[1]} px is too small; each side needs {least} px")
