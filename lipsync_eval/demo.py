"""The embedded default: two short talking clips made from scikit-image's public-domain astronaut photograph (NASA),
and a degraded copy of each that plays the generated video.

The mouth is moved by warping the photograph with the loudness envelope of synthesised audio, so lips and audio agree
in the real clips and are late, damped and blurred in the generated ones.

Pixels and samples come out equal on every processor: whole numbers, or float64 with + - * / alone (each rounded as IEEE
754 says); what exp and sin give is rounded coarsely first; the files are lossless.
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
CLIPS = ("astronaut_a.mkv", "astronaut_b.mkv")
_OPENING = 9.0
"""px by which the jaw drops at the loudest moment."""
_BORDER = 16
"""px of mirrored border around the photograph: more than head and jaw move."""
_GAUSSIAN = (256, 210, 117, 44, 11, 2)
"""A Gaussian of 1.6 px from its middle outwards, in 1/1024; both sides sum to 1."""
_CUBIC = (((-15, 139, 815, -75), 0), ((-81, 513, 513, -81), 1), ((-75, 815, 139, -15), 2))
"""For every third row from the first, second, third: weights in 1/864 of four rows, and where they begin."""


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
    loud = 0.25 * np.asarray(voice) * envelope + 0.002 * rng.standard_normal(len(t))
    audio = (np.rint(loud * 32768) / 32768).astype(np.float32)
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
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    across = np.exp(-(((x - face.centre[0]) / (1.1 * face.half_width)) ** 2))
    below = np.clip((y - face.centre[1]) / 3.0, 0.0, 1.0) * np.clip(
        (face.chin + 0.6 * face.half_width - y) / face.half_width, 0.0, 1.0
    )
    lower = _coarse(across * below)
    rows = np.flatnonzero(lower.any(axis=1))
    jaw = slice(max(0, int(rows[0]) - _BORDER), min(height, int(rows[-1]) + _BORDER))
    wide = np.pad(photo, ((_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)), mode="symmetric").astype(np.int32)
    for amount, (dx, dy) in zip(_coarse(opening), _coarse(sway), strict=True):
        drop = _OPENING * float(amount)
        mapped = _shifted(wide, -dx, np.full((height, 1), -dy), slice(0, height), width)
        mapped[jaw] = _shifted(wide, -dx, -dy - drop * lower[jaw], jaw, width)
        inside = (
            1.0
            - ((x[jaw] - dx - face.centre[0]) / (0.72 * face.half_width)) ** 2
            - ((y[jaw] - dy - face.centre[1] - 0.5 * drop) / (0.5 * drop + 0.5)) ** 2
        )
        hole = np.clip(2.0 * inside, 0.0, 1.0) * min(1.0, drop / 3.0)
        mapped[jaw] = (mapped[jaw] * (1.0 - 0.8 * hole[..., None])).astype(np.int32)
        yield mapped.astype(np.uint8)


def _coarse(values: Float) -> Float:
    """To 1/4096: exp and sin differ in the last bit from one processor to the next, and this drops it."""
    return np.rint(np.asarray(values, np.float64) * 4096) / 4096


def _shifted(wide: NDArray[np.int32], dx: float, dy: Float, rows: slice, width: int) -> NDArray[np.int32]:
    """Bilinear samples, in whole numbers, of a padded frame at (x + dx, y + dy).

    Args:
        wide: (H + 2 * _BORDER, W + 2 * _BORDER, 3).
        dx: px, one shift for all.
        dy: (rows, 1) or (rows, W) px.
        rows: which rows of the frame to make.
    """
    left, part = divmod(round(float(dx) * 64), 64)
    first = _BORDER + left
    flat = wide[:, first : first + width] * (64 - part) + wide[:, first + 1 : first + 1 + width] * part
    down = np.rint(dy * 64).astype(np.int64)
    top = np.arange(rows.start, rows.stop)[:, None] + _BORDER + (down >> 6)
    under = (down & 63)[..., None].astype(np.int32)
    if dy.shape[1] == 1:
        upper, below = flat[top[:, 0]], flat[top[:, 0] + 1]
    else:
        columns = np.arange(width)
        upper, below = flat[top, columns], flat[top + 1, columns]
    mixed: NDArray[np.int32] = (upper * (64 - under) + below * under + 2048) >> 12
    return mixed


def degrade(frames: Iterator[Frame], face: MouthPlace) -> Iterator[Frame]:
    """What a mediocre generator does: a soft mouth region and a slight change of colour."""
    mask: NDArray[np.int32] | None = None
    for frame in frames:
        if mask is None:
            y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
            near = np.exp(
                -(((x - face.centre[0]) / (2.2 * face.half_width)) ** 2)
                - ((y - face.centre[1]) / (1.8 * face.half_width)) ** 2
            )
            mask = np.rint(near * 256).astype(np.int32)[..., None]
        dull = (_softened(frame.astype(np.int32)) * 248 >> 8) + 4
        yield ((frame * (256 - mask) + dull * mask) >> 8).astype(np.uint8)


def _softened(frame: NDArray[np.int32]) -> NDArray[np.int32]:
    """A Gaussian of 1.6 px, in whole numbers; the border is mirrored."""
    for axis in (0, 1):
        wide = np.pad(frame, [(5, 5) if k == axis else (0, 0) for k in range(3)], mode="reflect")
        n = frame.shape[axis]
        parts = [wide[k : k + n] if axis == 0 else wide[:, k : k + n] for k in range(11)]
        total = parts[5] * _GAUSSIAN[0]
        for k in range(1, 6):
            total += (parts[5 - k] + parts[5 + k]) * _GAUSSIAN[k]
        frame = (total + 512) >> 10
    return frame


def make_demo(folder: Path) -> tuple[Path, Path]:
    """Write folder/gen and folder/gt with two clips each (FFV1 and PCM in mkv, 25 fps, 4 s).

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
    for seed, name in enumerate(CLIPS):
        audio, loud = synthesise(seed)
        t = np.arange(N_FRAMES) / FPS
        sway = np.stack([3 * np.sin(2 * np.pi * 0.3 * t + seed), 2 * np.sin(2 * np.pi * 0.45 * t)], axis=1)
        write_video(gt / name, talking(photo, face, loud, sway), fps=FPS, audio=audio, codec="lossless")
        late = 0.7 * np.concatenate([np.zeros(2 + seed), loud[: -(2 + seed)]])
        write_video(gen / name, degrade(talking(photo, face, late, sway), face), fps=FPS, audio=audio, codec="lossless")
    return gen, gt


def _photo() -> tuple[Frame, MouthPlace]:
    """The photograph, cut to a square around the face, and where the mouth is."""
    from skimage.data import astronaut

    image: Frame = astronaut()  # type: ignore[no-untyped-call]
    # Edge of the lower lip, mouth corners and chin as the 68-point model finds them in this cut (points 66, 48, 54, 8).
    return _enlarged(image[20:276, 95:351]), MouthPlace(centre=(191.0, 195.0), half_width=33.0, chin=239.0)


def _enlarged(image: Frame) -> Frame:
    """(N, N, 3) uint8 -> one and a half times as large: cubic (a = -0.75), in whole numbers; the border repeats."""
    values = image.astype(np.int64)
    for axis in (0, 1):
        rows = np.pad(values if axis == 0 else values.swapaxes(0, 1), ((2, 2), (0, 0), (0, 0)), mode="edge")
        n = len(rows) - 4
        out = np.empty((n * 3 // 2, *rows.shape[1:]), np.int64)
        for k, (weights, first) in enumerate(_CUBIC):
            taken = [rows[first + i : first + i + n : 2][: n // 2] for i in range(4)]
            out[k::3] = sum(w * t for w, t in zip(weights, taken, strict=True))
        values = (out + 432) // 864
        values = values if axis == 0 else values.swapaxes(0, 1)
    return np.clip(values, 0, 255).astype(np.uint8)
