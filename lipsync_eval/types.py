"""The nouns of the package, with shape, dtype and unit of every field.

Conventions: frames are uint8 RGB, (H, W, 3). Points and boxes are (x, y) in pixels, x right, y down, the centre of
the top-left pixel at (0, 0). Missing numbers are NaN. Time runs at 25 frames a second from the first frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MetricError
from lipsync_eval.settings import Settings as Settings

FPS: Final = 25
RATE: Final = 16_000

NO_AUDIO: Final = "the video has no audio to score; give it an audio track, put an audio file beside it, or, with real videos of the same speech, score theirs (--audio gt)"
"""Said where a metric hears a video that has no audio track."""

Frame = NDArray[np.uint8]
Float = NDArray[np.float64]

# Track.status
MISSING: Final = 0
FOUND: Final = 1
FILLED: Final = 2


@dataclass(frozen=True, slots=True)
class Audio:
    """Audio of one clip, cut or padded so that sample 0 sounds at the first frame's timestamp."""

    samples: NDArray[np.float32] = field(compare=False)
    """(N,) mono at 16 kHz, in [-1, 1]."""
    source: Path
    """The file it was decoded from (the video itself, or an audio file beside it)."""
    notes: tuple[str, ...] = ()

    def int16(self) -> NDArray[np.int16]:
        """(N,) the same audio as 16-bit integers (x 32768, rounded, clipped), which MFCC code of the field expects."""
        return np.clip(np.rint(self.samples.astype(np.float64) * 32768.0), -32768, 32767).astype(np.int16)


@dataclass(frozen=True, slots=True)
class Clip:
    """One video: facts that a scan found, and a reader that streams its frames at 25 fps."""

    path: Path
    n_frames: int
    """Frames at 25 fps."""
    height: int
    """px, after rotation metadata is applied."""
    width: int
    source_fps: float
    """Mean rate of the file's own frames (1/s)."""
    digest: str
    """sha256 (hex) of the bytes of the video file (and the audio file); equal digests decode equally."""
    audio: Audio | None
    read: Callable[[int, int], Iterator[Frame]] = field(repr=False, compare=False)
    """read(start, stop) yields the frames start..stop-1, each (H, W, 3) uint8 RGB, contiguous and owned by the caller."""
    notes: tuple[str, ...] = ()
    """What was done on the way in: resampled from 30 fps, rotated, audio padded..."""
    no_audio: str = ""
    """Why its own audio track is of no use; '' where it has none, or one that is."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in px."""
        return self.height, self.width

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Stream the frames start..stop-1 (to the end by default)."""
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
    """Where the frames of one video are sampled: a similarity (or axis-aligned scaling) per frame, never rounded."""

    matrix: Float
    """(T, 2, 3) source pixel -> crop pixel; NaN where there is no crop."""
    size: tuple[int, int]
    """(height, width) of the crop in px."""
    valid: NDArray[np.bool_]
    """(T,) frames that have a crop."""
    overflow: Float
    """(T,) share of the crop's area that lies outside the frame, 0..1; NaN where there is no crop."""
    notes: tuple[str, ...] = ()
    crop_from: Literal["own", "gt", ""] = ""
    """Whose landmarks placed the generated video's crop: its own or the real video's; '' where the protocol leaves no choice."""

    @property
    def scale256(self) -> float:
        """Factor from crop pixels to pixels of a crop whose longer side is 256."""
        return 256.0 / max(self.size)

    def digest(self, n: int) -> str:
        """sha256 of where the first n frames are sampled, for cache keys."""
        matrix: Float = np.ascontiguousarray(self.matrix[:n])
        return hashlib.sha256(repr((n, self.size)).encode() + self.valid[:n].tobytes() + matrix.tobytes()).hexdigest()

    def points(self, points: Float) -> Float:
        """(T, K, 2) source points -> the same in crop pixels (float64)."""
        n = min(len(points), len(self.matrix))
        a = self.matrix[:n]
        out: Float = np.einsum("tij,tkj->tki", a[:, :, :2], points[:n]) + a[:, None, :, 2]
        return out


@dataclass(frozen=True, slots=True)
class Side:
    """One video of a pair, with everything that is known before the pass over its frames."""

    clip: Clip
    audio: Audio | None
    """Its own audio, cut to the common length; for the generated side the audio that is scored (see Settings.audio)."""
    track: Track | None
    """None when no metric asked for faces; cut to the common length."""
    crop: Crop | None
    """The protocol's crop; None when no metric asked for one."""
    no_audio: str = ""
    """Why there is no audio, where the file has a track that is of no use."""

    def heard(self) -> Audio:
        """The audio.

        Raises:
            MetricError: there is none; says why and what to do.
        """
        if self.audio is None or not len(self.audio.samples):
            raise MetricError(self.no_audio or NO_AUDIO)
        return self.audio


@dataclass(frozen=True, slots=True)
class Pair:
    """A generated video and, where the run has one, a real video."""

    id: str
    gen: Side
    gt: Side | None
    """None: the run has no real videos."""
    n_frames: int
    """Frames of the generated video that count: the common length where `paired`, else all of them."""
    protocol: str
    """The protocol's signature, e.g. 'radio.1'."""
    paired: bool = True
    """Whether frame i of both videos shows the same moment, so that both have `n_frames`. False: the real video shows the
    person saying something else (cross dubbing), and has `gt_frames` of its own."""

    @property
    def real(self) -> Side:
        """The real video, for metrics that cannot do without.

        Raises:
            MetricError: there is none.
        """
        if self.gt is None:
            raise MetricError("this metric compares with the real video, and the run has none; score with GT")
        return self.gt

    @property
    def gt_frames(self) -> int:
        """Frames of the real video that count; 0 where there is none."""
        if self.gt is None:
            return 0
        return self.n_frames if self.paired else self.gt.clip.n_frames


Json = Any
"""Whatever json.dumps takes."""
