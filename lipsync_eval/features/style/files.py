"""Face model coefficients and vertices that only the user can make, in .npz files beside the clips.

`<stem>.flame.npz`     exp (T, 50) FLAME expression; pose (T, 6) axis-angle in rad: global rotation (3), jaw (3)
`<stem>.vertices.npz`  vertices (T, L, 3) or (T, 3 L): expression only (shape and pose 0), any topology and unit;
                       template (L, 3) or (3 L,), optional: the face at rest, subtracted from every frame;
                       valid (T,), optional: frames that show the face, others are left out.
                       `lipsync-eval personatalk fit` writes it

T is the number of the clip's frames at 25 fps. Arrays of numbers only: nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MetricError, ParseError
from lipsync_eval.features import reference
from lipsync_eval.files import read_npz
from lipsync_eval.types import Float, Settings

FLAME: Final = ".flame.npz"
VERTICES: Final = ".vertices.npz"


@dataclass(frozen=True, slots=True)
class Flame:
    """FLAME coefficients of one clip."""

    exp: Float
    """(T, 50)"""
    pose: Float
    """(T, 6) rad"""

    def cut(self, n: int) -> Flame:
        """The first n frames."""
        return Flame(self.exp[:n], self.pose[:n])


@dataclass(frozen=True, slots=True)
class Vertices:
    """Expression-only vertices of one clip, the template subtracted where there is one."""

    flat: Float
    """(T, 3 L)"""
    has_template: bool
    index: NDArray[np.intp]
    """Numbers of the frames that show the face; the others' rows mean nothing."""

    def cut(self, n: int) -> Vertices:
        """The first n frames."""
        return Vertices(self.flat[:n], self.has_template, self.index[self.index < n])


def beside(clip: Path, suffix: str) -> Path:
    """clips/a.mp4 -> clips/a.flame.npz; a folder of images clips/a -> clips/a.flame.npz."""
    return clip.parent / f"{clip.name if clip.is_dir() else clip.stem}{suffix}"


def of_reference(settings: Settings, clip_id: str, suffix: str) -> Path:
    """The reference's file: --reference itself, the one beside it, or <id><suffix> in a folder.

    Raises:
        UsageError: no --reference.
        MetricError: no such file.
    """
    given = reference.check(settings)
    if given.is_file():
        return given if given.name.endswith(suffix) else beside(given, suffix)
    path = given / f"{clip_id}{suffix}"
    if not path.resolve().is_relative_to(given.resolve()):
        raise MetricError(f"the clip id {clip_id!r} leads out of the reference folder {given}")
    return path


def read_flame(path: Path, n_frames: int | None) -> Flame:
    """Read FLAME coefficients.

    Args:
        path: a .flame.npz.
        n_frames: frames of the clip that it must cover; None: any number.

    Raises:
        MetricError: it is missing or malformed; the message says what belongs in it.
    """
    held = _load(path, "exp (T, 50) and pose (T, 6)")
    exp, pose = _numbers(held, "exp", path), _numbers(held, "pose", path)
    if exp.ndim != 2 or exp.shape[1] != 50 or pose.shape != (len(exp), 6):
        raise MetricError(
            f"{path.name} should hold exp (T, 50) and pose (T, 6); it holds exp {exp.shape} and pose {pose.shape}"
        )
    _check_length(path, len(exp), n_frames)
    return Flame(exp, pose)


def read_vertices(path: Path, n_frames: int | None) -> Vertices:
    """Read expression-only vertices; arguments and errors as `read_flame`."""
    held = _load(path, "vertices (T, L, 3)")
    vertices = _numbers(held, "vertices", path)
    if vertices.ndim == 3 and vertices.shape[2] == 3:
        vertices = vertices.reshape(len(vertices), -1)
    if vertices.ndim != 2 or not vertices.size or vertices.shape[1] % 3:
        raise MetricError(f"{path.name} should hold vertices (T, L, 3) or (T, 3 L); it holds {vertices.shape}")
    _check_length(path, len(vertices), n_frames)
    index = np.arange(len(vertices))
    if "valid" in held:
        valid = held["valid"]
        if valid.shape != (len(vertices),) or valid.dtype.kind not in "bui":
            raise MetricError(
                f"{path.name}: valid should be ({len(vertices)},), true or false a frame; it is {valid.dtype} {valid.shape}"
            )
        index = np.flatnonzero(valid)
    if "template" not in held:
        return Vertices(vertices, False, index)
    template = _numbers(held, "template", path).reshape(-1)
    if template.shape != vertices.shape[1:]:
        raise MetricError(
            f"{path.name}: the template has {template.size} numbers and a frame {vertices.shape[1]}; they must be of one topology"
        )
    return Vertices(vertices - template, True, index)


def read_arrays(path: Path, wanted: str) -> Callable[[str], Float]:
    """A file of plain arrays: name -> its numbers in float64.

    Args:
        path: an .npz beside a clip.
        wanted: what belongs in it, for messages: 'exp (T, 64)'.

    Raises:
        MetricError: it is missing or malformed; the returned function: no such array, or numbers that are not finite.
    """
    held = _load(path, wanted)
    return lambda name: _numbers(held, name, path)


def _load(path: Path, wanted: str) -> dict[str, NDArray[np.generic]]:
    if not path.is_file():
        raise MetricError(
            f"there is no {path.name} beside the clip; make it with a face model fitter: arrays {wanted}, one row a frame at 25 fps"
            + (" (`lipsync-eval personatalk fit` writes it)" if path.name.endswith(VERTICES) else "")
        )
    try:
        return read_npz(path)
    except ParseError as error:
        raise MetricError(
            f"{path.name} cannot be read as .npz of plain numbers ({error}); save it with np.savez: {wanted}"
        ) from error


def _numbers(held: dict[str, NDArray[np.generic]], name: str, path: Path) -> Float:
    if name not in held:
        raise MetricError(f"{path.name} has no array {name!r}; it holds: {', '.join(held) or 'nothing'}")
    array = held[name]
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise MetricError(
            f"{path.name}: {name} should hold finite numbers; it is {array.dtype}, or holds NaN or infinite values"
        )
    return array.astype(np.float64)


def _check_length(path: Path, rows: int, n_frames: int | None) -> None:
    if n_frames is not None and rows != n_frames:
        raise MetricError(
            f"{path.name} has {rows} rows and the clip {n_frames} frames at 25 fps; fit the face model to the clip at 25 fps"
        )
