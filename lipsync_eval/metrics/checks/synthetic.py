"""A drawn talking face with audio: a Pair made in memory, to try metrics on without files, detectors or weights.

The mouth opens with the envelope of the audio. The generated video is the real one with noise on its frames and its
landmarks; with no noise the two are equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import FOUND, FPS, MISSING, RATE, Audio, Clip, Crop, Float, Frame, Pair, Side, Track

_SAMPLES = RATE // FPS


def synthetic_pair(
    n_frames: int = 50,
    size: int = 176,
    *,
    noise: float = 0.0,
    jitter: float = 0.0,
    missing: Collection[int] = (),
    seed: int = 0,
) -> Pair:
    """A pair whose generated side is the real one, made worse.

    Args:
        n_frames: frames at 25 fps, at least 1.
        size: side of the square frames in px, at least 16; the crop is the whole frame.
        noise: standard deviation of the noise on the generated frames, in grey levels. The pattern depends on the
            seed alone, so that more noise is the same noise, stronger.
        jitter: standard deviation of the noise on the generated landmarks, in px; likewise.
        missing: frame numbers in which the generated video has no face and no crop.
        seed: of everything that is random.

    Returns:
        the pair, with audio on both sides (the same), tracks and crops.

    Raises:
        InputError: too few frames or too small, or negative noise.
    """
    if n_frames < 1 or size < 16 or noise < 0 or jitter < 0:
        raise InputError(
            f"synthetic_pair needs n_frames >= 1, size >= 16, noise and jitter >= 0; got {n_frames}, {size}, {noise}, {jitter}"
        )
    envelope, audio = _audio(n_frames, seed)
    points = _landmarks(n_frames, size, envelope)
    texture = np.random.default_rng([seed, 3]).normal(0, 5, (size, size, 1))
    background = _background(size)
    frames = [_draw(p, background, texture) for p in points]
    rng = np.random.default_rng([seed, 1])
    moved = points + jitter * rng.standard_normal(points.shape)
    worse = [_noisy(frame, noise, [seed, 2, i]) for i, frame in enumerate(frames)] if noise else frames
    gone = np.isin(np.arange(n_frames), list(missing))
    tag = f"{n_frames} {size} {seed}"
    gen = _side("gen", worse, moved, gone, audio, f"{tag} {noise} {jitter}")
    gt = _side("gt", frames, points, np.zeros(n_frames, bool), audio, tag)
    return Pair(id="synthetic", gen=gen, gt=gt, n_frames=n_frames, protocol="raw.1")


def _side(
    name: str, frames: Sequence[Frame], points: Float, gone: NDArray[np.bool_], samples: NDArray[np.float32], tag: str
) -> Side:
    n, size = len(frames), frames[0].shape[0]
    path = Path(f"synthetic-{name}.mkv")

    def read(start: int, stop: int) -> Iterator[Frame]:
        return (frame.copy() for frame in frames[start:stop])

    audio = Audio(samples=samples, source=path)
    clip = Clip(
        path=path,
        n_frames=n,
        height=size,
        width=size,
        source_fps=float(FPS),
        digest=hashlib.sha256(tag.encode()).hexdigest(),
        audio=audio,
        read=read,
    )
    points = np.where(gone[:, None, None], np.nan, points)
    boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    status = np.where(gone, MISSING, FOUND).astype(np.uint8)
    track = Track(
        boxes=boxes,
        points=points,
        score=np.where(gone, np.nan, 1.0).astype(np.float32),
        status=status,
        backend="synthetic.1",
        n_faces=np.where(gone, 0, 1).astype(np.int16),
    )
    matrix = np.where(gone[:, None, None], np.nan, np.eye(2, 3))
    crop = Crop(matrix=matrix, size=(size, size), valid=~gone, overflow=np.where(gone, np.nan, 0.0))
    return Side(clip=clip, audio=audio, track=track, crop=crop)


def _audio(n_frames: int, seed: int) -> tuple[Float, NDArray[np.float32]]:
    """(n_frames,) opening of the mouth, 0..1, and (n_frames * 640,) a voice of that loudness."""
    rng = np.random.default_rng([seed, 0])
    t = np.arange(n_frames * _SAMPLES) / RATE
    envelope = np.zeros(len(t))
    start = 0.1
    while start < t[-1]:
        length, loud = rng.uniform(0.12, 0.3), rng.uniform(0.4, 1.0)
        inside = (t >= start) & (t < start + length)
        envelope[inside] = loud * np.sin(np.pi * (t[inside] - start) / length) ** 2
        start += length + rng.uniform(0.0, 0.12)
    voice = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 11))
    samples = 0.3 * envelope * voice + 0.002 * rng.standard_normal(len(t))
    return envelope[::_SAMPLES], np.clip(samples, -1, 1).astype(np.float32)


def _landmarks(n_frames: int, size: int, opening: Float) -> Float:
    """(n_frames, 68, 2) iBUG points in px of a face that sways a little and opens its mouth."""
    t = np.arange(n_frames) / FPS
    middle = size * (0.5 + np.stack([0.02 * np.sin(2.1 * t), 0.015 * np.sin(3.3 * t) - 0.06], axis=1))
    out: Float = np.stack([_face(x) for x in opening]) * (0.4 * size) + middle[:, None]
    return out


def _face(opening: float) -> Float:
    """(68, 2) a schematic face in units of its half width, mouth open by 0..1."""
    turn = np.linspace(0, np.pi, 17)
    jaw = np.stack([-np.cos(turn), -0.1 + 1.15 * np.sin(turn)], 1)
    brow = np.stack([np.linspace(-0.75, -0.2, 5), [-0.42, -0.5, -0.53, -0.52, -0.47]], 1)
    bridge = np.stack([np.zeros(4), np.linspace(-0.25, 0.15, 4)], 1)
    nostrils = np.stack([np.linspace(-0.18, 0.18, 5), [0.24, 0.27, 0.29, 0.27, 0.24]], 1)
    eyes = [_oval(6, (x, -0.25), 0.16, 0.06, 0.06) for x in (-0.4, 0.4)]
    drop = 0.25 * opening
    lips = [_oval(12, (0, 0.58), 0.34, 0.1, 0.12 + drop), _oval(8, (0, 0.58), 0.25, 0.02, 0.02 + drop)]
    return np.concatenate([jaw, brow, brow[::-1] * [-1, 1], bridge, nostrils, *eyes, *lips])


def _oval(n: int, middle: tuple[float, float], half_width: float, above: float, below: float) -> Float:
    """(n, 2) from the left corner over the top to the right corner and back below, as eyes and lips are numbered."""
    turn = np.linspace(0, 2 * np.pi, n, endpoint=False)
    y = -np.sin(turn)
    out: Float = np.stack([-half_width * np.cos(turn), np.where(y < 0, above, below) * y], 1) + middle
    return out


def _background(size: int) -> Float:
    """(size, size, 3) slopes of colour."""
    y, x = np.mgrid[:size, :size] / size
    out: Float = np.stack([90 + 60 * x, 110 + 40 * y, 140 - 30 * x], 2)
    return out


def _draw(points: Float, background: Float, texture: Float) -> Frame:
    """The face as a frame: skin, eyes, lips and the open mouth with soft borders, then the texture over all."""
    frame = background.copy()
    shapes = (
        (points[:27], (205, 165, 140)), (points[36:42], (70, 60, 60)), (points[42:48], (70, 60, 60)),
        (points[48:60], (170, 80, 80)), (points[60:68], (50, 20, 25)),
    )  # fmt: skip
    for outline, colour in shapes:
        low, high = outline.min(axis=0), outline.max(axis=0)
        middle, half = (low + high) / 2, (high - low) / 2
        left, top = np.maximum(np.floor(low).astype(int) - 2, 0)
        right, bottom = np.ceil(high).astype(int) + 3
        part = frame[top:bottom, left:right]
        y, x = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
        far = np.sqrt(((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2)
        cover = np.clip((1.0 - far) * half.min() + 0.5, 0.0, 1.0)[..., None]
        part += (np.array(colour) - part) * cover
    frame += texture
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def _noisy(frame: Frame, noise: float, seed: Sequence[int]) -> Frame:
    pattern = np.random.default_rng(seed).standard_normal(frame.shape)
    return np.clip(np.rint(frame + noise * pattern), 0, 255).astype(np.uint8)
