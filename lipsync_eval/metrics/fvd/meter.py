"""One pair of clips at work: its frames are gathered into windows, and each whole window becomes a feature vector."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.cache import Cache
from lipsync_eval.errors import MetricError
from lipsync_eval.metrics.base import Failure, Measurement
from lipsync_eval.metrics.fvd.prepare import cut_box, has_box, small
from lipsync_eval.metrics.fvd.readings import Reading
from lipsync_eval.types import Frame, Pair, Settings, Side

if TYPE_CHECKING:
    from lipsync_eval.weights import WeightFile

Rows = list[NDArray[np.float32]]


class Embedder(Protocol):
    """What the meter asks its family for."""

    settings: Settings

    @property
    def wanted(self) -> Sequence[str]:
        """The readings that the run asks for."""
        ...

    def reading(self, metric: str) -> Reading:
        """How a reading cuts and prepares frames."""
        ...

    def file(self, metric: str) -> WeightFile:
        """The network's weights."""
        ...

    def embed(self, frames: Sequence[Frame], metric: str) -> NDArray[np.float32]:
        """The feature vector of one window."""
        ...


class FvdMeter:
    """All readings that are wanted of one pair."""

    def __init__(self, family: Embedder, pair: Pair) -> None:
        self.pair = pair
        self.windows = [_Windows(family, metric, pair) for metric in family.wanted]

    def update(self, batch: Batch) -> None:
        """Take the next frames."""
        for windows in self.windows:
            windows.update(batch)

    def finish(self) -> Measurement:
        """The features of the whole windows.

        Raises:
            MetricError: no reading has a whole window.
        """
        found = Measurement()
        for windows in self.windows:
            windows.finish(found)
        if not found.states:
            raise MetricError(found.failures[0].message)
        return found


class _Windows:
    """One reading."""

    def __init__(self, family: Embedder, metric: str, pair: Pair) -> None:
        self.family, self.metric, self.pair = family, metric, pair
        self.reading, self.file = family.reading(metric), family.file(metric)
        self.gen_frames: deque[Frame | None] = deque(maxlen=self.reading.frames)
        self.real_frames: deque[Frame | None] = deque(maxlen=self.reading.frames)
        self.gen: Rows = []
        self.real: Rows = []
        self.left_out = 0
        self.cache = Cache(family.settings.cache_dir)
        self.key = _key(pair, metric, self.reading, self.file.sha256)
        held = self.cache.get(self.key)
        self.known = None if held is None else held["gt_features"]

    def update(self, batch: Batch) -> None:
        """Keep what the current window needs; embed it when its last frame is here."""
        for at, gen, real in _regions(batch, self.reading):
            self.gen_frames.append(gen)
            self.real_frames.append(real)
            first = at + 1 - self.reading.frames
            if not _starts(first, self.reading):
                continue
            window, true = list(self.gen_frames), list(self.real_frames)
            if any(frame is None for frame in (*window, *true)):
                self.left_out += 1
                continue
            self.gen.append(self.family.embed([f for f in window if f is not None], self.metric))
            if self.known is None:
                self.real.append(self.family.embed([f for f in true if f is not None], self.metric))

    def finish(self, found: Measurement) -> None:
        """Add this reading's state, or why there is none."""
        reading, n = self.reading, self.pair.n_frames
        if not self.gen:
            why = (
                f"{self.metric} needs a window of {reading.frames} frames from frame {reading.start} on, and the clip has {n}; "
                "score longer clips or choose fvd_frames and fvd_start"
            )
            if self.left_out:
                why = f"{self.metric}: none of {self.left_out} windows of {reading.frames} frames has a {reading.region} in every frame of both videos"
            found.failures.append(Failure(self.metric, MetricError.__name__, why))
            return
        real = np.stack(self.real) if self.known is None else self.known
        if self.known is None:
            self.cache.put(self.key, {"gt_features": real})
        found.states[self.metric] = {"gen_features": np.stack(self.gen), "gt_features": real}
        found.details[self.metric] = {"windows": len(self.gen), "windows_left_out": self.left_out}
        if self.left_out:
            found.notes.append(
                f"{self.metric}: {self.left_out} of {self.left_out + len(self.gen)} windows lack a {reading.region} in some frame and are left out"
            )
        if self.file.note and self.file.note not in found.notes:
            found.notes.append(self.file.note)


def _starts(first: int, reading: Reading) -> bool:
    """Whether a window starts at this frame."""
    since = first - reading.start
    return since == 0 or (since > 0 and reading.windows == "all" and since % reading.step == 0)


def _regions(batch: Batch, reading: Reading) -> list[tuple[int, Frame | None, Frame | None]]:
    """(frame number, generated, real) of every frame; None where a side lacks the region."""
    index = [int(k) for k in batch.index]
    if reading.region == "frame":
        return list(zip(index, batch.gen, batch.gt, strict=True))
    if reading.region == "box":
        sides = ((batch.pair.gen, batch.gen), (batch.pair.gt, batch.gt))
        gen, real = ([_boxed(side, k, f, reading) for k, f in zip(index, frames)] for side, frames in sides)
        return list(zip(index, gen, real, strict=True))
    crops = iter(zip(batch.gen_crops, batch.gt_crops, strict=True))
    return [(k, *(next(crops) if both else (None, None))) for k, both in zip(index, batch.both, strict=True)]


def _boxed(side: Side, at: int, frame: Frame, reading: Reading) -> Frame | None:
    """The face box of one frame; stretched at once where the resize is by whole levels, to save memory."""
    if side.track is None or at >= len(side.track.boxes) or not has_box(side.track.boxes[at], *frame.shape[:2]):
        return None
    part = cut_box(frame, side.track.boxes[at])
    return small(part, reading.resize) if reading.resize in ("area", "pillow") else part.copy()


def _key(pair: Pair, metric: str, reading: Reading, weights: str) -> dict[str, str]:
    """Everything that the real side's features hang on: content, regions of both videos (they choose windows), network."""
    return {
        "what": "fvd-features.1",
        "metric": metric,
        "clip": pair.gt.clip.digest,
        "regions": _digest(pair, reading.region),
        "weights": weights,
    } | reading.keys()


def _digest(pair: Pair, region: str) -> str:
    digest = hashlib.sha256(str(pair.n_frames).encode())
    if region == "crop" and pair.gen.crop is not None and pair.gt.crop is not None:
        crop = pair.gt.crop
        both = pair.gen.crop.valid[: pair.n_frames] & crop.valid[: pair.n_frames]
        digest.update(repr(crop.size).encode() + both.tobytes())
        digest.update(np.ascontiguousarray(crop.matrix[: pair.n_frames][both]).tobytes())
    if region == "box" and pair.gen.track is not None and pair.gt.track is not None:
        there = [has_box(box, *pair.gen.clip.size) for box in pair.gen.track.boxes]
        digest.update(bytes(there) + np.ascontiguousarray(pair.gt.track.boxes).tobytes())
    return digest.hexdigest()
