"""A linear map from the mouth's shape over time to the loudness of mel bands, and how well a video agrees with its audio.

Ours. The map is a ridge regression fitted on real clips and shipped as constants (mouth_mel.json); nothing is trained at
run time. The idea that visible speech predicts the short-time spectrum linearly: Yehia, Rubin, Vatikiotis-Bateson,
Quantitative association of vocal-tract and facial behavior, Speech Communication 26, 1998.

1. `mouth_series`: eight measures of mouth and chin in every frame, after a similarity that puts nose and eye corners on
   a mean face. Standardised over the clip: whose mouth it is does not enter.
2. `mel_series`: 16 mel bands in dB for every frame, standardised over the clip: how loud the recording is does not enter.
3. `Constants.predict`: five frames of (1) give the 16 bands of (2).
4. `agreement`: correlation of (3) with (2) over all frames and bands, at every shift of the audio.
5. `certainty`: how surely the best shift is better than every other one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError, MetricError, ParseError
from lipsync_eval.features.style.points import learn_mean_face, on_mean_face
from lipsync_eval.files import sha256, write_text
from lipsync_eval.types import FPS, RATE, Float

VERSION: Final = 1
SHIFT: Final = 15
"""Frames by which the audio is moved either way."""
LEAST: Final = 25
"""Frames (1 s) that a shift must leave to compare."""
BANDS: Final = 16
SHAPE: Final = 8
"""Measures of a mouth."""
REACH: Final = 2
"""Frames before and after that the map sees."""
RIDGE: Final = 1.0
"""Penalty of the fit, where every clip's frames weigh 1 together."""
NEAR: Final = 2
"""Shifts within this of the best one count as the same peak."""
MEMORY: Final = 8
"""Frames over which neighbouring products are taken as dependent (Newey-West)."""
_LOWEST, _HIGHEST = 80.0, 7600.0
_WINDOW, _HOP, _FFT = 400, 160, 512
_DEPTH = 60.0
"""dB below the band's 95th percentile at which its level is cut, so that pauses count alike."""
_STILL = 1e-6
LIVELY: Final = 0.2
"""Share of a talking mouth's usual spread below which a mouth counts as still (speech has 0.5 or more, a frozen frame 0.05)."""

Curve = Float
"""(31,) correlation at the shifts -15..15; NaN where fewer than 25 frames are left."""


def mouth_series(points: Float, mean_face: Float) -> Float:
    """Mouth and chin of every frame.

    Args:
        points: (T, 68, 2) iBUG points in px; NaN where missing.
        mean_face: (68, 2), eyes 1 apart.

    Returns:
        (T, 8) in units of the eyes' distance: inner and outer opening (means of three distances), outer and inner
        width, heights of chin, lower lip, upper lip and mouth corners below the nose; NaN where missing.

    Raises:
        InputError: another shape.
    """
    if points.ndim != 3 or points.shape[1:] != (68, 2):
        raise InputError(f"mouth_series takes (T, 68, 2) points; got {points.shape}")
    out = np.full((len(points), SHAPE), np.nan)
    seen = np.isfinite(points).all(axis=(1, 2))
    if not seen.any():
        return out
    placed = on_mean_face(points[seen], mean_face)

    def apart(a: int, b: int) -> Float:
        return np.asarray(np.linalg.norm(placed[:, a] - placed[:, b], axis=1))

    inner = np.mean([apart(61, 67), apart(62, 66), apart(63, 65)], axis=0)
    outer = np.mean([apart(50, 58), apart(51, 57), apart(52, 56)], axis=0)
    y = placed[..., 1]
    out[seen] = np.stack(
        [inner, outer, apart(48, 54), apart(60, 64), y[:, 8], y[:, 57], y[:, 51], (y[:, 48] + y[:, 54]) / 2], axis=1
    )
    return out


def mel_series(samples: NDArray[np.int16], n_frames: int) -> Float:
    """Level of 16 mel bands under every frame.

    Args:
        samples: (N,) int16 mono at 16 kHz; sample 0 sounds with frame 0.
        n_frames: frames at 25 fps.

    Returns:
        (n_frames, 16) dB, mean of the four windows (25 ms, Hann, pre-emphasis 0.97) that begin in the frame, cut 60 dB
        below the band's 95th percentile. Beyond the end of the audio it is silent.
    """
    x = samples[: n_frames * (RATE // FPS) + _WINDOW].astype(np.float64) / 32768.0
    if len(x):
        x = np.append(x[0], x[1:] - 0.97 * x[:-1])
    steps = RATE // FPS // _HOP
    x = np.pad(x, (0, max(0, (steps * n_frames - 1) * _HOP + _WINDOW - len(x))))
    windows = np.lib.stride_tricks.sliding_window_view(x, _WINDOW)[::_HOP][: steps * n_frames]
    power = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW), _FFT)) ** 2 @ _bank()
    level = 10 * np.log10(power + 1e-12)
    level = np.maximum(level, np.percentile(level, 95, axis=0) - _DEPTH)
    out: Float = level.reshape(n_frames, steps, BANDS).mean(axis=1)
    return out


@lru_cache(maxsize=1)
def _bank() -> Float:
    """(257, 16) triangles evenly spaced in mel from 80 to 7600 Hz, each with height 1."""
    top, bottom = (2595 * np.log10(1 + f / 700) for f in (_HIGHEST, _LOWEST))
    corners = 700 * (10 ** (np.linspace(bottom, top, BANDS + 2) / 2595) - 1)
    f = np.fft.rfftfreq(_FFT, 1 / RATE)[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    out: Float = np.maximum(0.0, np.minimum((f - left) / (middle - left), (right - f) / (right - middle)))
    return out


def prepared(mouth: Float, mel: Float, spread: Float | None = None) -> tuple[Float, Float, NDArray[np.bool_]]:
    """What the map works on.

    Args:
        mouth: (T, 8) of `mouth_series`.
        mel: (T, 16) of `mel_series`.
        spread: (8,) usual standard deviations of a talking mouth; None: any movement will do.

    Returns:
        (T, 40) standardised measures of frames t - 2 .. t + 2 (gaps filled by straight lines, ends repeated),
        (T, 16) standardised bands, and (T,) frames whose mouth was seen: the others enter no correlation.

    Raises:
        MetricError: too few frames with a mouth, or mouth or audio do not change at all.
    """
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(mouth).all(axis=1))
    if seen.sum() < LEAST:
        raise MetricError(
            f"a mouth was seen in {int(seen.sum())} frames; {LEAST} are needed to compare it with the audio"
        )
    if spread is not None and (moves := float(np.mean(mouth[seen].std(axis=0) / spread))) < LIVELY:
        raise MetricError(
            f"the mouth hardly moves: {100 * moves:.0f} % of what talking mouths do, {100 * LIVELY:.0f} % are needed to compare it with the audio"
        )
    if mouth[seen].std(axis=0).max() < _STILL or mel.std(axis=0).max() < _STILL:
        raise MetricError("the mouth or the audio does not change at all: there is no correlation")
    t = np.arange(len(mouth))
    filled = np.stack([np.interp(t, t[seen], column[seen]) for column in mouth.T], axis=1)
    rows = np.clip(t[:, None] + np.arange(-REACH, REACH + 1), 0, len(t) - 1)
    return _standard(filled, seen)[rows].reshape(len(t), -1), _standard(mel), seen


def _standard(x: Float, where: NDArray[np.bool_] | None = None) -> Float:
    """(T, D) with mean 0 and standard deviation 1 (0 where a column does not change), both over `where`."""
    used = x if where is None else x[where]
    spread = used.std(axis=0)
    out: Float = (x - used.mean(axis=0)) / np.where(spread > _STILL, spread, np.inf)
    return out


def _overlap(n: int, shift: int) -> tuple[slice, slice]:
    """Frames and audio that meet when frame t is paired with audio t - shift (shift > 0: the audio leads)."""
    return slice(max(shift, 0), n + min(shift, 0)), slice(max(-shift, 0), n - max(shift, 0))


def agreement(predicted: Float, mel: Float, seen: NDArray[np.bool_]) -> Curve:
    """Pearson correlation over all frames and bands, at every shift.

    Args:
        predicted: (T, 16).
        mel: (T, 16).
        seen: (T,) frames that count.

    Returns:
        (31,) index k pairs frame t with the audio of frame t - (k - 15): at k > 15 the audio leads the lips.
    """
    out = np.full(2 * SHIFT + 1, np.nan)
    for k in range(len(out)):
        frames, audio = _overlap(len(predicted), k - SHIFT)
        used = seen[frames]
        if used.sum() < LEAST:
            continue
        a, b = predicted[frames][used], mel[audio][used]
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        power = float(np.sqrt((a * a).sum() * (b * b).sum()))
        if power > _STILL:
            out[k] = np.clip((a * b).sum() / power, -1.0, 1.0)
    return out


def certainty(predicted: Float, mel: Float, seen: NDArray[np.bool_], curve: Curve) -> float:
    """How surely the peak of the curve is higher than the curve anywhere else.

    For every shift more than 2 frames from the peak: the mean over frames of the difference between the frame's product
    (predicted times heard) at the peak and at that shift, over its standard error, in which neighbouring frames are not
    taken as independent (Newey, West 1987, 8 lags). The smallest of these counts.

    Returns:
        in standard errors; 0 or less is no peak. NaN where no other shift can be compared.
    """
    best = int(np.nanargmax(curve))
    products = (predicted - predicted[seen].mean(axis=0)) @ (mel - mel.mean(axis=0)).T
    t = np.arange(len(predicted))
    found = []
    for k in np.flatnonzero(np.isfinite(curve)):
        if abs(k - best) <= NEAR:
            continue
        here, there = t - (best - SHIFT), t - (int(k) - SHIFT)
        both = seen & (np.minimum(here, there) >= 0) & (np.maximum(here, there) < len(t))
        if both.sum() > MEMORY:
            found.append(_t_value(products[t[both], here[both]] - products[t[both], there[both]]))
    return min(found, default=float("nan"))


def _t_value(d: Float) -> float:
    """Mean of a series over its standard error, with Bartlett weights over MEMORY lags."""
    n, mean = len(d), float(d.mean())
    e = d - mean
    variance = float(e @ e) / n
    for lag in range(1, MEMORY + 1):
        variance += 2 * (1 - lag / (MEMORY + 1)) * float(e[:-lag] @ e[lag:]) / n
    return mean / float(np.sqrt(max(variance, 1e-12) / n))


@dataclass(frozen=True, slots=True)
class Constants:
    """The map, and what is needed to read it."""

    mean_face: Float
    """(68, 2) eyes 1 apart."""
    weights: Float
    """(40, 16) five frames of eight measures -> 16 bands."""
    spread: Float
    """(8,) median over the clips of the standard deviation of each measure."""
    limit: float
    """`certainty` from which a peak counts: 95 of 100 foreign audios stay below."""
    provenance: str
    digest: str
    """First 8 hex digits of the file's sha256; '' while it is no file."""

    def predict(self, mouth: Float) -> Float:
        """(T, 40) -> (T, 16)."""
        out: Float = mouth @ self.weights
        return out


Sample = tuple[Float, NDArray[np.int16], int]
"""(T, 68, 2) points, int16 audio, and the shift at which the two belong together (> 0: the audio leads)."""


def fit(samples: Sequence[Sample]) -> Constants:
    """Learn mean face and map from clips; every clip counts the same. The limit is left at 0.

    Args:
        samples: clips of real speech.

    Raises:
        MetricError: a clip that cannot be compared.
    """
    mean_face = learn_mean_face([points[np.isfinite(points).all(axis=(1, 2))] for points, _, _ in samples])
    left, right, spreads = [], [], []
    for points, audio, shift in samples:
        series = mouth_series(points, mean_face)
        spreads.append(np.nanstd(series, axis=0))
        mouth, mel, seen = prepared(series, mel_series(audio, len(points)))
        frames, heard = _overlap(len(points), shift)
        used = seen[frames]
        a, b = mouth[frames][used], mel[heard][used]
        left.append((a - a.mean(axis=0)) / np.sqrt(len(a)))
        right.append((b - b.mean(axis=0)) / np.sqrt(len(a)))
    x, y = np.concatenate(left), np.concatenate(right)
    weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y)
    return Constants(mean_face, weights, np.median(spreads, axis=0), 0.0, "", "")


@lru_cache(maxsize=1)
def shipped() -> Constants:
    """The file that comes with the package."""
    return read(Path(str(files("lipsync_eval.features").joinpath("mouth_mel.json"))))


def read(path: Path) -> Constants:
    """Read a file of constants.

    Raises:
        ParseError: not JSON, a key is missing, or numbers have the wrong shape.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        if held["version"] != VERSION:
            raise ParseError(f"{path}: version {held['version']!r} is unknown; this package reads version {VERSION}")
        return Constants(
            _array(held, "mean_face", (68, 2), path),
            _array(held, "weights", ((2 * REACH + 1) * SHAPE, BANDS), path),
            _array(held, "spread", (SHAPE,), path),
            float(held["limit"]),
            str(held["provenance"]),
            sha256(path)[:8],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParseError(
            f"{path} is no file of mouth-mel constants ({error!r}); make one with benchmarks/mouth_mel.py"
        ) from error


def write(constants: Constants, path: Path) -> None:
    """Write a file of constants, six significant digits a number."""
    held: dict[str, Any] = {"version": VERSION, "provenance": constants.provenance, "limit": round(constants.limit, 2)}
    held |= {name: _rounded(getattr(constants, name)) for name in ("mean_face", "weights", "spread")}
    write_text(path, json.dumps(held, indent=1) + "\n")


def _rounded(array: Float) -> list[Any]:
    return [_rounded(row) for row in array] if array.ndim > 1 else [float(f"{x:.6g}") for x in array]


def _array(held: Mapping[str, Any], name: str, shape: tuple[int, ...], path: Path) -> Float:
    out = np.array(held[name], np.float64)
    if out.shape != shape or not np.isfinite(out).all():
        raise ParseError(f"{path}: {name} should be finite numbers of shape {shape} and is {out.shape}")
    return out
