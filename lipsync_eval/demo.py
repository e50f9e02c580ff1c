"""The embedded default: two short talking clips made from scikit-image's public-domain astronaut photograph (NASA),
and a degraded copy of each that plays the generated video.

The mouth is moved by warping the photograph with the loudness envelope of synthesised audio, so lips and audio agree
in the real clips and are late, damped and blurred in the generated ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import FPS, RATE, Float, Frame

SECONDS = 4
N_FRAMES = SECONDS * FPS
_OPENING = 9.0
"""px by which the jaw drops at the loudest moment."""


@dataclass(frozen=True, slots=True)
class MouthPlace:
    """Where the photograph's mouth is (px)."""

    centre: tuple[float, float]
    half_width: float
    chin: float
    """y of the chin."""


def synthesise(seed: int) -> tuple[NDArray[np.float32], Float]:
    """Vowel-like audio with a syllable rhythm, and its envelope per frame.

    Args:
        seed: of the rhythm and the pitch.

    Returns:
        (SECONDS * 16000,) float32 mono samples in [-1, 1], and (N_FRAMES,) float64 loudness in 0..1 at 25 fps.
    """
    rng = np.random.default_rng([20, seed])
    t = np.arange(SECONDS * RATE) / RATE
    onsets = np.cumsum(rng.uniform(0.16, 0.42, 24))
    envelope = sum(
        a * np.exp(-(((t - at) / w) ** 2))
        for at, a, w in zip(onsets, rng.uniform(0.4, 1.0, 24), rng.uniform(0.04, 0.08, 24), strict=True)
    )
    envelope = np.clip(np.asarray(envelope, np.float64), 0.0, 1.0)
    pitch = np.cumsum(110 + 25 * np.sin(2 * np.pi * 0.6 * t + rng.uniform(0, 6))) / RATE
    voice = sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 20))
    audio = (0.25 * np.asarray(voice) * envelope + 0.002 * rng.standard_normal(len(t))).astype(np.float32)
    frames = envelope.reshape(N_FRAMES, -1).mean(axis=1)
    return np.clip(audio, -1.0, 1.0), frames


def talking(photo: Frame, face: MouthPlace, opening: Float, sway: Float) -> Iterator[Frame]:
    """Frames of the photograph with a moving mouth.

    Args:
        photo: (H, W, 3) uint8 RGB.
        face: where the mouth is.
        opening: (T,) 0..1, how far the jaw is dropped.
        sway: (T, 2) px by which the head moves.

    Yields:
        (H, W, 3) uint8 RGB.
    """
    import cv2

    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    across = np.exp(-(((x - face.centre[0]) / (1.1 * face.half_width)) ** 2))
    below = np.clip((y - face.centre[1]) / 3.0, 0.0, 1.0) * np.clip(
        (face.chin + 0.6 * face.half_width - y) / face.half_width, 0.0, 1.0
    )
    lower = across * below
    for amount, (dx, dy) in zip(opening, sway, strict=True):
        drop = _OPENING * float(amount)
        mapped = cv2.remap(
            photo,
            x - np.float32(dx),
            y - np.float32(dy) - np.float32(drop) * lower,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        inside = (
            1.0
            - ((x - dx - face.centre[0]) / (0.72 * face.half_width)) ** 2
            - ((y - dy - face.centre[1] - 0.5 * drop) / (0.5 * drop + 0.5)) ** 2
        )
        hole = np.clip(2.0 * inside, 0.0, 1.0) * min(1.0, drop / 3.0)
        yield np.clip(mapped * (1.0 - 0.8 * hole[..., None]), 0, 255).astype(np.uint8)


def degrade(frames: Iterator[Frame], face: MouthPlace) -> Iterator[Frame]:
    """What a mediocre generator does: a soft mouth region and a slight change of colour."""
    import cv2

    for frame in frames:
        soft = cv2.GaussianBlur(frame, (0, 0), 1.6)
        y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
        mask = np.exp(
            -(((x - face.centre[0]) / (2.2 * face.half_width)) ** 2)
            - ((y - face.centre[1]) / (1.8 * face.half_width)) ** 2
        )[..., None]
        yield np.clip(frame * (1 - mask) + (soft * 0.97 + 4.0) * mask, 0, 255).astype(np.uint8)


def make_demo(folder: Path) -> tuple[Path, Path]:
    """Write folder/gen and folder/gt with two clips each (H.264 and AAC in mp4, 25 fps, 4 s).

    Returns:
        the folders of generated and real videos.

    Raises:
        OSError: the folder cannot be written.
    """
    from lipsync_eval.media import write_video

    photo, face = _photo()
    gen, gt = folder / "gen", folder / "gt"
    for place in (gen, gt):
        place.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(("astronaut_a", "astronaut_b")):
        audio, loud = synthesise(seed)
        t = np.arange(N_FRAMES) / FPS
        sway = np.stack([3 * np.sin(2 * np.pi * 0.3 * t + seed), 2 * np.sin(2 * np.pi * 0.45 * t)], axis=1)
        write_video(gt / f"{name}.mp4", talking(photo, face, loud, sway), fps=FPS, audio=audio, codec="h264")
        late = 0.7 * np.concatenate([np.zeros(2 + seed), loud[: -(2 + seed)]])
        write_video(
            gen / f"{name}.mp4", degrade(talking(photo, face, late, sway), face), fps=FPS, audio=audio, codec="h264"
        )
    return gen, gt


def _photo() -> tuple[Frame, MouthPlace]:
    """The photograph, cut to a square around the face, and where the mouth is."""
    import cv2
    from skimage.data import astronaut

    image: Frame = astronaut()  # type: ignore[no-untyped-call]
    photo = np.asarray(cv2.resize(image[20:276, 95:351], (384, 384), interpolation=cv2.INTER_CUBIC), np.uint8)
    # Edge of the lower lip, mouth corners and chin as the 68-point model finds them in this cut (points 66, 48, 54, 8).
    return photo, MouthPlace(centre=(191.0, 195.0), half_width=33.0, chin=239.0)
