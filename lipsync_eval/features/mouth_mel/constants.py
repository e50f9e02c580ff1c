"""The linear map: fitted on clips of real speech, kept in a file, read back."""

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

from lipsync_eval.errors import ParseError
from lipsync_eval.features.mouth_mel.agreement import overlap
from lipsync_eval.features.mouth_mel.series import BANDS, REACH, SHAPE, mel_series, mouth_series, prepared
from lipsync_eval.features.style.points import learn_mean_face
from lipsync_eval.files import parse_json, sha256, write_text
from lipsync_eval.types import Float

VERSION: Final = 1
RIDGE: Final = 1.0
"""Penalty of the fit, where every clip's frames weigh 1 together."""


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
        frames, heard = overlap(len(points), shift)
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
    return read(Path(str(files("lipsync_eval.features.mouth_mel").joinpath("constants.json"))))


def read(path: Path) -> Constants:
    """Read a file of constants.

    Raises:
        ParseError: not JSON, a key is missing, or numbers have the wrong shape.
    """
    try:
        held = parse_json(path.read_text(encoding="utf-8"))
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
