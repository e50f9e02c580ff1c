"""Random changes of the sync discriminator's training windows (`sync_augment`), the same for the five frames of one.

The papers name none; with little data the network otherwise learns the windows by heart. Applied in training only.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.data.inputs import Levels
from lipsync_eval.baselines.kit.sync.settings import SyncAugmentConfig

Box = tuple[float, float, float, float]
Frames = NDArray[np.uint8]
Mel = NDArray[np.float32]


def augment_crops(crops: Frames, box: Box, config: SyncAugmentConfig, rng: np.random.Generator) -> Frames:
    """Mirror, turn, scale and move the tight face, then change gamma, contrast and brightness.

    Args:
        crops: (T, H, W, 3) RGB, one window.
        box: left, top, right, bottom of the tight face as shares of the side; its centre stays in place but for the move.
        config: largest changes.
        rng: draws them, always eight numbers, so that one setting does not move the others' draws.

    Returns:
        (T, H, W, 3).
    """
    import cv2

    draws = rng.uniform(-1, 1, 8)
    table = _tones(crops, config, draws[5:])
    if not (config.flip or config.shift or config.scale or config.rotate):
        return np.asarray(table[crops])
    matrix = _move(crops.shape[1], box, config, draws[:5])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (crops.shape[2], crops.shape[1])
    warped = [cv2.warpAffine(f, matrix, size, flags=how, borderMode=cv2.BORDER_REFLECT_101) for f in crops]
    return np.asarray(table[np.stack(warped)])


def _move(side: int, box: Box, config: SyncAugmentConfig, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) matrix from pixels of the result to pixels of the frame, about the centre of the box."""
    left, top, right, bottom = (edge * side for edge in box)
    centre = np.array([left + right - 1, top + bottom - 1]) / 2
    angle, zoom = math.radians(config.rotate * draws[1]), math.exp(config.scale * draws[2])
    turn = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    if draws[0] < 2 * config.flip - 1:
        turn = turn @ np.diag([-1.0, 1.0])
    offset = centre + config.shift * draws[3:5] * (right - left) - turn @ centre
    return np.column_stack([turn, offset])


def _tones(frames: Frames, config: SyncAugmentConfig, draws: NDArray[np.float64]) -> Frames:
    """(256,) new value of every value; contrast is changed about the window's mean."""
    levels = (np.arange(256) / 255) ** math.exp(config.gamma * draws[0])
    mean = float(levels @ np.bincount(frames.ravel(), minlength=256)) / frames.size
    levels = (levels - mean) * math.exp(config.contrast * draws[1]) + mean + config.brightness * draws[2]
    return np.asarray((levels * 255).round().clip(0, 255), np.uint8)


def augment_audio(audio: Mel, levels: Levels, config: SyncAugmentConfig, rng: np.random.Generator) -> Mel:
    """Change loudness and tilt of the spectrum, stretch its bands, add noise, hide some neighbouring bands and moments.

    Stretching imitates vocal tracts of other lengths (Jaitly and Hinton 2013), hiding is SpecAugment (Park et al. 2019).

    Args:
        audio: (bands, columns), a window of an audio feature in decibels.
        levels: its scale.
        config: largest changes.
        rng: draws seven numbers, then the noise.

    Returns:
        (bands, columns); hidden bands are silent, hidden moments hold the window's mean.
    """
    bands, columns = audio.shape
    draws = rng.uniform(0, 1, 7)
    gain = config.gain * (2 * draws[0] - 1)
    tilt = config.tilt * (2 * draws[1] - 1) * np.linspace(-1, 1, bands)
    noise = config.noise * rng.standard_normal(audio.shape)
    louder = audio + levels.per_decibel * (gain + tilt[:, None] + noise)
    out = np.asarray(
        _warp(louder, math.exp(config.warp * (2 * draws[6] - 1))).clip(levels.silence, levels.loudest), np.float32
    )
    rows = _stretch(bands, config.mask_bands, draws[2], draws[3])
    hidden = _stretch(columns, config.mask_frames, draws[4], draws[5])
    out[:, hidden] = out.mean()
    out[rows] = levels.silence
    return out


def _warp(mel: NDArray[np.floating], factor: float) -> NDArray[np.floating]:
    """Band b becomes band factor * b, between bands by interpolation; beyond the last band, the last."""
    at = np.minimum(np.arange(len(mel)) * factor, len(mel) - 1)
    low = np.minimum(at.astype(int), len(mel) - 2)
    share = (at - low)[:, None]
    warped: NDArray[np.floating] = mel[low] * (1 - share) + mel[low + 1] * share
    return warped


def _stretch(length: int, most: int, width: float, place: float) -> slice:
    """A stretch of 0..most out of `length`, from two numbers in [0, 1)."""
    size = int(width * (min(most, length) + 1))
    first = int(place * (length - size + 1))
    return slice(first, first + size)
