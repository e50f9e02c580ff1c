"""THEval's metrics of lips, brows and head, on any landmarks, and its final score.

Source: Newbyl/THEval@cfe23fe (Apache-2.0), Naturalness/{lip,eyebrow,head_motion}_dynamics.py, Synchronization/{lip_sync,
silent_lip_stability}.py, theval/scoring.py; written anew and equal to it given the same landmarks and speech frames.
There the landmarks are MediaPipe's, and lip_sync.py hands RGB frames through a BGR-to-RGB conversion, so that its
landmarks are found on frames with red and blue exchanged.

Frames without a face are all-NaN rows. What cannot be measured is NaN here; the family makes a MetricError of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Float

SIDE: Final = 256.0
"""px of the square to which lip dynamics and the silent opening bring every frame, whatever its aspect."""
LEAST_SPEECH: Final = 0.1
"""Share of speech frames below which lip sync is not measured."""
LEAST_SILENCE: Final = 0.3
"""Seconds that a silence must last."""
_FLAT: Final = 1e-8
_RMS_SECONDS: Final = 0.05


def lip_dynamics(lips: Float) -> float:
    """Mean, over all pairs of lip points, of the standard deviation over time of their distance.

    Args:
        lips: (T, K, 2) in px of a 256x256 frame, K >= 2; NaN rows where there is no face are left out.

    Returns:
        px, 0 for lips that do not move. 0 also without any face, as there.
    """
    _check("lip_dynamics", lips)
    known = lips[np.isfinite(lips).all(axis=(1, 2))]
    if not len(known):
        return 0.0
    i, j = np.triu_indices(lips.shape[1], 1)
    apart = np.linalg.norm(known[:, i] - known[:, j], axis=-1)
    return float(apart.std(axis=0).mean())


def eyebrow_dynamics(left_brow: Float, left_eye: Float, right_brow: Float, right_eye: Float) -> float:
    """Mean step from frame to frame of the distance of brow and eye, over the distance of the eyes; both sides together.

    Args:
        left_brow, left_eye, right_brow, right_eye: (T, K, 2) px of the frame (K may differ). A frame with NaN, or whose
            eyes lie nearer than 0.001 px, is left out; the next one is then compared with the one before the gap.

    Returns:
        without unit; 0 for fewer than two frames, as there.
    """
    for name, points in (
        ("left_brow", left_brow),
        ("left_eye", left_eye),
        ("right_brow", right_brow),
        ("right_eye", right_eye),
    ):
        _check(name, points)
    lb, le, rb, re = (p.mean(axis=1) for p in (left_brow, left_eye, right_brow, right_eye))
    scale = np.linalg.norm(le - re, axis=-1)
    heights = np.stack([np.linalg.norm(lb - le, axis=-1), np.linalg.norm(rb - re, axis=-1)], axis=1)
    good = np.isfinite(heights).all(axis=1) & (scale >= 1e-3)
    steps = np.abs(np.diff(heights[good] / scale[good, None], axis=0))
    return float(steps.sum() / steps.size) if steps.size else 0.0


def head_dynamics(pitch: Float, yaw: Float, roll: Float, x: Float | None = None, y: Float | None = None) -> float:
    """sqrt(mean spread of the angles x mean variance of their steps + mean variance of the face's place).

    Args:
        pitch, yaw, roll: (T,) degrees, of the frames with a face.
        x, y: (T,) px, middle of the face; None leaves the place out.

    Returns:
        units are mixed, as there (degrees to the power 1.5 with px); 0 for one frame.

    Raises:
        InputError: no frame, or lengths that differ.
    """
    angles = np.stack([np.asarray(a, np.float64) for a in (pitch, yaw, roll)])
    if angles.ndim != 2 or not angles.shape[1]:
        raise InputError("head_dynamics needs at least one frame with pitch, yaw and roll")
    steps = np.diff(angles, axis=1)
    spread, jitter = angles.std(axis=1).mean(), steps.var(axis=1).mean() if steps.shape[1] > 1 else 0.0
    moved = (np.var(x) + np.var(y)) / 2 if x is not None and y is not None and len(x) > 1 else 0.0
    return float(np.sqrt(spread * jitter + moved))


def opening_lip_sync(upper: Float, lower: Float, left_eye: Float, right_eye: Float) -> Float:
    """(T,) difference of the mean heights of upper and lower lip over the horizontal distance of the eyes.

    Args:
        upper, lower: (T, K, 2) inner lip points, x in widths and y in heights of the frame (so that the value hangs on
            its aspect, as there).
        left_eye, right_eye: (T, K, 2) corners of the eyes.

    Returns:
        NaN where there is no face or the eyes lie one above the other.
    """
    eyes = np.abs(right_eye[..., 0].mean(axis=1) - left_eye[..., 0].mean(axis=1))
    out: Float = np.abs(upper[..., 1].mean(axis=1) - lower[..., 1].mean(axis=1)) / np.where(eyes > 0, eyes, np.nan)
    return out


def opening_silence(upper: Float, lower: Float, left_corner: Float, right_corner: Float) -> Float:
    """(T,) mean vertical distance of the pairs of lip points over the distance of the outer eye corners.

    Args:
        upper, lower: (T, K, 2) pairs of inner lip points, px of a 256x256 frame.
        left_corner, right_corner: (T, 2) outer corners of the eyes.

    Returns:
        NaN where there is no face or the corners lie nearer than 0.001 px.
    """
    eyes = np.linalg.norm(left_corner - right_corner, axis=-1)
    out: Float = np.abs(upper[..., 1] - lower[..., 1]).mean(axis=1) / np.where(eyes >= 1e-3, eyes, np.nan)
    return out


def volume(samples: NDArray[np.floating], rate: int, times: Float) -> Float:
    """Root mean square of 50 ms around each multiple of 50 ms (zeros beyond the ends), at `times` by straight lines.

    Args:
        samples: (N,) audio in [-1, 1].
        rate: samples a second.
        times: (T,) seconds.

    Returns:
        (T,) float64.
    """
    hop = int(rate * _RMS_SECONDS)
    padded = np.pad(samples.astype(np.float32), (hop // 2, hop // 2))
    blocks = np.lib.stride_tricks.sliding_window_view(padded, hop)[::hop].T
    rms = np.sqrt(np.mean(np.square(blocks), axis=0))  # float32, summed in this order, as librosa 0.11
    out: Float = np.interp(times, np.arange(len(rms)) * hop / rate, rms)
    return out


def speech_frames(
    segments: NDArray[np.intp], n_frames: int, fps: float, rate: int = 16_000, seconds: float | None = None
) -> NDArray[np.bool_]:
    """Frames that count as speech: the segments' times are rounded to 0.1 s, and the frame at the end is one of them.

    Args:
        segments: (k, 2) samples, from voice activity detection.
        n_frames: frames of the video.
        fps: frames a second.
        rate: samples a second.
        seconds: length of the audio, at which a rounded end is cut; None: not cut.

    Returns:
        (n_frames,) bool.
    """
    out = np.zeros(n_frames, bool)
    for start, end in segments:
        first = max(round(int(start) / rate, 1), 0)
        last = round(int(end) / rate, 1) if seconds is None else min(round(int(end) / rate, 1), seconds)
        out[int(first * fps) : int(last * fps) + 1] = True
    return out


def silent_frames(speech: NDArray[np.bool_], fps: float) -> NDArray[np.bool_]:
    """(T,) frames in stretches without speech that last 300 ms or more."""
    out = np.zeros(len(speech), bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~speech, [False]]).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2):
        if stop - start >= LEAST_SILENCE * fps:
            out[start:stop] = True
    return out


def lip_sync(opening: Float, loud: Float, speech: NDArray[np.bool_]) -> float:
    """Mean absolute difference of opening and volume over the speech frames, each scaled to 0..1 there; lower is better.

    Args:
        opening: (T,) of `opening_lip_sync`.
        loud: (T,) of `volume`.
        speech: (T,) of `speech_frames`.

    Returns:
        0..1; NaN where fewer than 10 % of the frames, or fewer than 2 with a face, are speech.
    """
    used = speech & np.isfinite(opening)
    if not len(speech) or speech.mean() < LEAST_SPEECH or used.sum() < 2:
        return float("nan")
    a, b = (x[used] for x in (opening, loud))
    a, b = ((x - x.min()) / (x.max() - x.min() + _FLAT) for x in (a, b))
    return float(np.abs(a - b).mean())


def silent_lip_stability(opening: Float, silent: NDArray[np.bool_]) -> float:
    """Median distance of the opening from its mean, over silent frames with a face; lower is stiller. NaN below 2 frames."""
    x = opening[silent & np.isfinite(opening)]
    return float(np.median(np.abs(x - x.mean()))) if len(x) >= 2 else float("nan")


def closeness(value: float, real: float) -> float:
    """1 - |value - real| / |real|: 1 where a method's mean equals that of the real videos; may be far below 0.

    Raises:
        InputError: the real value is 0 (within 1e-9), to which nothing can be related.
    """
    if abs(real) <= 1e-9:
        raise InputError("THEval's score divides by the real videos' value, which is 0")
    return 1.0 - abs(value - real) / abs(real)


def final_score(values: Mapping[str, float], real: Mapping[str, float]) -> float:
    """THEval's final score: mean closeness of the metrics, each weighing the same (paper eq. 12).

    Args:
        values: metric -> a method's mean over its videos.
        real: the same of the real videos.

    Raises:
        InputError: names that differ, none, or a real value of 0.
    """
    if set(values) != set(real) or not values:
        raise InputError(f"final_score needs the same metrics of both, got {sorted(values)} and {sorted(real)}")
    return float(np.mean([closeness(values[name], real[name]) for name in values]))


def _check(name: str, points: Float) -> None:
    if points.ndim != 3 or points.shape[-1] != 2 or not points.shape[1]:
        raise InputError(f"{name} must be (T, K, 2) points, got {points.shape}")
