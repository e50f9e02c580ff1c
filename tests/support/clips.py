"""Small talking clips made by the tests, from the demo's photograph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_eval.demo import MouthPlace, _photo, synthesise, talking
from lipsync_eval.media import write_video
from lipsync_eval.types import Frame

SIZE = 256


@cache
def frames(n: int = 20, size: int = SIZE, seed: int = 0) -> tuple[Frame, ...]:
    """n frames (size, size, 3) of a talking face."""
    photo, face = _photo()
    scale = size / photo.shape[0]
    small = cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA)
    there = MouthPlace((face.centre[0] * scale, face.centre[1] * scale), face.half_width * scale, face.chin * scale)
    _, loud = synthesise(seed)
    t = np.arange(n) / 25
    sway = np.stack([2 * np.sin(2 * np.pi * 0.5 * t), np.cos(2 * np.pi * 0.4 * t)], 1)
    return tuple(talking(small, there, np.resize(loud, n), sway))


def sound(n: int = 20, seed: int = 0) -> NDArray[np.float32]:
    """Audio for n frames."""
    return np.resize(synthesise(seed)[0], n * 640)


def blurred(pictures: Sequence[Frame], sigma: float) -> list[Frame]:
    """Each frame under a Gaussian."""
    return [cv2.GaussianBlur(f, (0, 0), sigma) for f in pictures]


def write(path: Path, pictures: Sequence[Frame], audio: NDArray[np.float32] | None = None, fps: float = 25) -> Path:
    """A lossless clip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, pictures, fps=fps, audio=audio, codec="lossless")
    return path


def pair_folders(root: Path, names: Sequence[str] = ("a", "b"), n: int = 12, sigma: float = 1.5) -> tuple[Path, Path]:
    """root/gen (blurred) and root/gt with the named clips."""
    for i, name in enumerate(names):
        real = frames(n, seed=i)
        write(root / "gt" / f"{name}.mkv", real, sound(n, i))
        write(root / "gen" / f"{name}.mkv", blurred(real, sigma), sound(n, i))
    return root / "gen", root / "gt"
