"""The nouns of the package, with shape, dtype and unit of every field.

Conventions: pictures are uint8 RGB, (H, W, 3). Points and boxes are (x, y) in pixels, x right, y down, the centre of
the top-left pixel at (0, 0). Missing numbers are NaN. Time runs at 25 pictures a second from the first picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.settings import Settings as Settings

FPS: Final = 25
RATE: Final = 16_000

Frame = NDArray[np.uint8]
Float = NDArray[np.float64]

# Track.status
MISSING: Final = 0
FOUND: Final = 1
FILLED: Final = 2


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound of one clip, cut or padded so that sample 0 sounds at the first picture's timestamp."""

    samples: NDArray[np.float32] = field(compare=False)
    """(N,) mono at 16 kHz, in [-1, 1]."""
    source: Path
    """The file it was decoded from (the video itself, or a sound file beside it)."""
    notes: tuple[str, ...] = ()

    def int16(self) -> NDArray[np.int16]:
        """(N,) the same sound as 16-bit integers (x 32768, rounded, clipped), which MFCC code of the field expects."""
        return np.clip(np.rint(self.samples.astype(np.float64) * 32768.0), -32768, 32767).astype(np.int16)


@dataclass(frozen=True, slots=True)
class Clip:
    """One video: facts that a scan found, and a reader that streams its pictures at 25 fps."""

    path: Path
    n_frames: int
    """Pictures at 25 fps."""
    height: int
    """px, after rotation metadata is applied."""
    width: int
    source_fps: float
    """Mean rate of the file's own pictures (1/s)."""
    digest: str
    """sha256 (hex) of the bytes of the video file (and the sound file); equal digests decode equally."""
    audio: Audio | None
    read: Callable[[int, int], Iterator[Frame]] = field(repr=False, compare=False)
    """read(start, stop) yields the pictures start..stop-1, each (H, W, 3) uint8 RGB, contiguous and owned by the caller."""
    notes: tuple[str, ...] = ()
    """What was done on the way in: resampled from 30 fps, rotated, sound padded..."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in px."""
        return self.height, self.width

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Stream the pictures start..stop-1 (to the end by default)."""
        return self.read(start, self.n_frames if stop is None else min(stop, self.n_frames))


@dataclass(frozen=True, slots=True)
class Track:
    """One person through one clip, in source pixels."""

    boxes: Float
    """(T, 4) x1, y1, x2, y2; NaN where the face is missing."""
    points: Float
    """(T, 68, 2) iBUG 68 landmarks; NaN where missing."""
    score: NDArray[np.float32]
    """(T,) the detector's own confidence; NaN where it gave none."""
    status: NDArray[np.uint8]
    """(T,) MISSING, FOUND or FILLED (interpolated between two found frames)."""
    backend: str
    """What found it, as in signatures: 'dlib68.1'."""
    n_faces: NDArray[np.int16]
    """(T,) faces seen in the frame, -1 where no detection ran."""
    notes: tuple[str, ...] = ()

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(T,) frames with a face, found or interpolated."""
        found: NDArray[np.bool_] = self.status != MISSING
        return found

    def cut(self, n: int) -> Track:
        """The first n frames."""
        return Track(
            self.boxes[:n], self.points[:n], self.score[:n], self.status[:n], self.backend, self.n_faces[:n], self.notes
        )


@dataclass(frozen=True, slots=True)
class Crop:
    """Where the pictures of one video are sampled: a similarity (or axis-aligned scaling) per frame, never rounded."""

    matrix: Float
    """(T, 2, 3) source pixel -> crop pixel; NaN where there is no crop."""
    size: tuple[int, int]
    """(height, width) of the crop in px."""
    valid: NDArray[np.bool_]
    """(T,) frames that have a crop."""
    overflow: Float
    """(T,) share of the crop's area that lies outside the picture, 0..1; NaN where there is no crop."""
    notes: tuple[str, ...] = ()

    @property
    def scale256(self) -> float:
        """Factor from crop pixels to pixels of a crop whose longer side is 256."""
        return 256.0 / max(self.size)

    def points(self, points: Float) -> Float:
        """(T, K, 2) source points -> the same in crop pixels (float64)."""
        n = min(len(points), len(self.matrix))
        a = self.matrix[:n]
        out: Float = np.einsum("tij,tkj->tki", a[:, :, :2], points[:n]) + a[:, None, :, 2]
        return out


@dataclass(frozen=True, slots=True)
class Side:
    """One video of a pair, with everything that is known before the pass over its pictures."""

    clip: Clip
    audio: Audio | None
    """Its own sound, cut to the common length; for the generated side the sound that is scored (see Settings.audio)."""
    track: Track | None
    """None when no metric asked for faces; cut to the common length."""
    crop: Crop | None
    """The protocol's crop; None when no metric asked for one."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A generated video and the real one, aligned to a common length."""

    id: str
    gen: Side
    gt: Side
    n_frames: int
    protocol: str
    """The protocol's signature, e.g. 'radio.1'."""


@dataclass(frozen=True)
class Batch:
    """Consecutive pictures of both videos of a pair: the unit in which pictures pass through the metrics."""

    pair: Pair
    start: int
    """Index of the first picture (25 fps)."""
    gen: Sequence[Frame]
    """n source pictures, (H, W, 3) uint8 RGB."""
    gt: Sequence[Frame]

    def __len__(self) -> int:
        return len(self.gen)

    @property
    def index(self) -> NDArray[np.intp]:
        """(n,) picture numbers."""
        return np.arange(self.start, self.start + len(self.gen))

    @cached_property
    def both(self) -> NDArray[np.bool_]:
        """(n,) pictures that have a crop in both videos."""
        if self.pair.gen.crop is None or self.pair.gt.crop is None:
            return np.zeros(len(self.gen), bool)
        i = self.index
        return self.pair.gen.crop.valid[i] & self.pair.gt.crop.valid[i]

    @cached_property
    def gen_crops(self) -> NDArray[np.uint8]:
        """(both.sum(), h, w, 3) uint8 RGB crops of the generated pictures, where both videos have one."""
        return self._crops(self.pair.gen, self.gen)

    @cached_property
    def gt_crops(self) -> NDArray[np.uint8]:
        """(both.sum(), h, w, 3) uint8 RGB crops of the real pictures, where both videos have one."""
        return self._crops(self.pair.gt, self.gt)

    def _crops(self, side: Side, frames: Sequence[Frame]) -> NDArray[np.uint8]:
        from lipsync_eval.warp import render

        crop = side.crop
        if crop is None:
            return np.empty((0, 0, 0, 3), np.uint8)
        chosen = np.flatnonzero(self.both)
        if not len(chosen):
            return np.empty((0, *crop.size, 3), np.uint8)
        return np.stack([render(frames[k], crop.matrix[self.start + k], crop.size) for k in map(int, chosen)])


Json = Any
"""Whatever json.dumps takes."""
