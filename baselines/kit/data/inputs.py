"""What a generator is shown: crops, an audio feature, and arrays that are prepared once and stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.data.alignment import Alignment
from lipsync_eval.types import Clip, Float, Track

Samples = NDArray[np.float32]
Array = NDArray[np.float32]


class Levels(NamedTuple):
    """The scale of an audio feature, which its augmentation needs."""

    silence: float
    loudest: float
    per_decibel: float


class AudioFeature(Protocol):
    """What a generator hears around a frame. A window of a stream equals the same window of the whole."""

    @property
    def levels(self) -> Levels:
        """Its scale."""
        ...

    def whole(self, samples: Samples) -> Array:
        """(N,) float32 mono at 16 kHz in [-1, 1] -> (M, bands) of the whole audio."""
        ...

    def window(self, whole: Array, second: float) -> Array:
        """(M, bands) and the time (s) at which a frame appears -> (bands, columns) around it."""
        ...

    def stored(self, frame: int) -> tuple[str, int, int] | None:
        """The stored array, and its rows start..stop-1, that hold a frame's window.

        None: nothing is stored; windows are computed from the entry's samples.
        """
        ...


class StoredArray(Protocol):
    """An array that `prepare` stores with every entry, beside frames, landmarks and audio. Instances are pickled."""

    @property
    def name(self) -> str:
        """Entry k of a shard holds it as k/NAME."""
        ...

    @property
    def description(self) -> str:
        """Everything that shapes its numbers, in words."""
        ...

    def of_video(self, clip: Clip, track: Track) -> Callable[[int, int], NDArray[Any] | Mapping[str, NDArray[Any]]]:
        """Look at a whole video once (its frames may be read); start, stop (frames) -> the array of that entry.

        Several arrays that are made together are a mapping; entry k then holds each as k/NAME.KEY.
        """
        ...


def named(name: str, found: NDArray[Any] | Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What a `StoredArray` returned, by the names under which a shard holds it: NAME, or NAME.KEY for every key."""
    if isinstance(found, Mapping):
        return {f"{name}.{key}": array for key, array in found.items()}
    return {name: found}


@dataclass(frozen=True)
class ModelInput:
    """What one model asks of its data."""

    size: int
    """px of the crops that it sees; larger stored ones are shrunk by area."""
    alignment: Alignment
    audio: AudioFeature
    window: int = 5
    """Consecutive frames in a training window."""
    references: Literal["each", "one"] = "each"
    """A reference of its own for each frame of a window, or one for all."""
    arrays: tuple[StoredArray, ...] = ()
    """What must be stored in the data."""
    heard: int | None = None
    """The frame of a window whose audio a sync discriminator hears for the window; None: the middle one."""

    @property
    def sync_frame(self) -> int:
        """`heard`, resolved: 0 is the window's first frame."""
        return self.window // 2 if self.heard is None else self.heard


def points_in(crop_size: int, stored: int, points: NDArray[np.floating]) -> Float:
    """Landmarks in px of a stored crop -> in px of the same crop at another size (pixel centres agree)."""
    moved: Float = (points.astype(np.float64) + 0.5) * (crop_size / stored) - 0.5
    return moved
