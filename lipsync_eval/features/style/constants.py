"""The numbers that style codes are standardised with: shipped files with their provenance, or a user's own.

A file is JSON: features, version, provenance, code_mean, code_std and, for points68, the pose model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.features.blendshapes import LIP
from lipsync_eval.features.style.code import PARTS, moments, standardise, window_codes
from lipsync_eval.features.style.points import COMPONENTS, DIM, MOVING, RIGID, PoseModel, expression, learn_pose
from lipsync_eval.files import parse_json, sha256, write_text
from lipsync_eval.options import Option
from lipsync_eval.types import Float, Settings

POINTS68: Final = Option(
    name="style_constants.points68",
    heading="StyleSim",
    help="Constants made by `style-constants`; not given: the shipped ones.",
    kind="path",
    moves=True,
    key="",
)
BLENDSHAPES: Final = replace(
    POINTS68,
    name="style_constants.blendshapes",
)
FEATURES: Final = ("points68", "blendshapes")
VERSION: Final = 1
Sequence68 = tuple[Float, NDArray[np.intp]]
"""(T, 68, 2) points, (T, 52) blendshapes or (T, 3 L) vertices without their template of the frames that have them, and the
frames' numbers."""


@dataclass(frozen=True, slots=True)
class StyleConstants:
    """What a style code of one feature set is measured against."""

    features: str
    mean: Float
    """(K,) of the codes."""
    std: Float
    """(K,)"""
    pose: PoseModel | None
    """For points68."""
    provenance: str
    digest: str
    """First 8 hex digits of the file's sha256; '' while it is no file."""

    def sequence(self, raw: Float, index: NDArray[np.intp]) -> Float:
        """(T, 68, 2) points, (T, 52) scores or (T, 3 L) vertices -> (T, D) expression."""
        if self.features == "vertices":
            return raw.astype(np.float64)
        return expression(raw, index, self.pose) if self.pose is not None else raw[:, LIP].astype(np.float64)

    def standardise(self, code: Float) -> Float:
        """(..., K) z-scores."""
        return standardise(code, self.mean, self.std)


def load(settings: Settings, features: str) -> StyleConstants:
    """The constants of a run: option style_constants.<features>=FILE, else those that are shipped.

    Raises:
        UsageError: no such file, or one for other features.
        ParseError: it is malformed.
    """
    named = settings.options.get(f"style_constants.{features}")
    if named is None:
        return shipped(features)
    path = Path(named)
    if not path.is_file():
        raise UsageError(
            f"style_constants.{features}={named}: there is no such file; make one with `lipsync-eval style-constants`"
        )
    found = read(path)
    if found.features != features:
        raise UsageError(
            f"{path} holds style constants of {found.features}, not of {features}; give the file that was made for them"
        )
    return found


@lru_cache
def shipped(features: str) -> StyleConstants:
    """The file that comes with the package."""
    place = files("lipsync_eval.features.style").joinpath(f"{features}.json")
    return read(Path(str(place)))


def read(path: Path) -> StyleConstants:
    """Read a file of constants.

    Raises:
        ParseError: not JSON, a key is missing, or numbers have the wrong shape.
    """
    try:
        held = parse_json(path.read_text(encoding="utf-8"))
        features, version = str(held["features"]), int(held["version"])
        if features not in FEATURES or version != VERSION:
            raise ParseError(
                f"{path}: style constants of {features!r}, version {version}; known are {', '.join(FEATURES)}, version {VERSION}"
            )
        width = len(PARTS) * (DIM if features == "points68" else len(LIP))
        pose = None
        if features == "points68":
            response = _array(held["pose"], "response", (COMPONENTS, DIM), path)
            pose = PoseModel(
                _array(held["pose"], "mean_face", (68, 2), path),
                _array(held["pose"], "basis", (COMPONENTS, 2 * len(RIGID)), path),
                response,
            )
        mean, std = _array(held, "code_mean", (width,), path), _array(held, "code_std", (width,), path)
        return StyleConstants(features, mean, std, pose, str(held["provenance"]), sha256(path)[:8])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParseError(
            f"{path} is no file of style constants ({error!r}); make one with `lipsync-eval style-constants`"
        ) from error


def build(features: str, speakers: Mapping[str, Sequence[Sequence68]], provenance: str) -> StyleConstants:
    """Learn the constants from clips of several speakers; every speaker counts the same.

    Args:
        features: 'points68', 'blendshapes' or 'vertices'.
        speakers: name -> clips.
        provenance: what the clips are.

    Raises:
        InputError: fewer than two speakers, or clips that are too short.
    """
    pose = learn_pose([clip for clips in speakers.values() for clip in clips]) if features == "points68" else None
    empty = StyleConstants(features, np.zeros(0), np.zeros(0), pose, provenance, "")
    codes = [
        np.concatenate([window_codes(empty.sequence(raw, index), index) for raw, index in clips])
        for clips in speakers.values()
    ]
    mean, std = moments(codes)
    return StyleConstants(features, mean, std, pose, provenance, "")


def write(constants: StyleConstants, path: Path) -> None:
    """Write a file of constants, six significant digits a number.

    Raises:
        OSError: it cannot be written.
    """
    held: dict[str, Any] = {"features": constants.features, "version": VERSION, "provenance": constants.provenance}
    held |= {"code_mean": _list(constants.mean), "code_std": _list(constants.std)}
    if constants.pose is not None:
        held["points"] = {"rigid": list(RIGID), "moving": list(MOVING)}
        held["pose"] = {name: _list(getattr(constants.pose, name)) for name in ("mean_face", "basis", "response")}
    write_text(path, json.dumps(held, indent=1) + "\n")


def _array(held: Mapping[str, Any], name: str, shape: tuple[int, ...], path: Path) -> Float:
    out = np.array(held[name], np.float64)
    if out.shape != shape or not np.isfinite(out).all():
        raise ParseError(f"{path}: {name} should be finite numbers of shape {shape} and is {out.shape}")
    return out


def _list(array: Float) -> list[Any]:
    return [_list(row) for row in array] if array.ndim > 1 else [float(f"{x:.6g}") for x in array]
