"""One pair of clips at work: its frames are gathered into windows, and each whole window becomes a feature vector."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
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

    @property
    def number_format(self) -> Mapping[str, str]:
        """What cache keys say of the network's number format."""
        ...

    @property
    def brings_real(self) -> bool:
        """Whether the real side is read from a file."""
        ...

    def embed(self, frames: Sequence[Frame], metric: str) -> NDArray[np.float32]:
        """The feature vector of one window."""
        ...


class FvdMeter:
    """All readings that are wanted of one pair."""

    def __init__(self, family: Embedder, pair: Pair) -> None:
        self.pair = pair
        self.windows = [_Windows(family, metric, pair) for metric in family.wanted]

    @property
    def looks_at(self) -> frozenset[str]:
        """What the readings cut their windows from; the real video only where the cache did not know a reading's features."""
        return frozenset[str]().union(*(windows.looks_at for windows in self.windows))

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
    """One reading of one pair. Where the videos are paired a window counts when both have it, else each video has its own."""

    def __init__(self, family: Embedder, metric: str, pair: Pair) -> None:
        self.family, self.metric, self.pair = family, metric, pair
        self.reading, self.file = family.reading(metric), family.file(metric)
        self.together = pair.paired and pair.gt is not None
        self.gen, self.real = _Gathered(self.reading), _Gathered(self.reading)
        self.embed_real = pair.gt is not None and not family.brings_real
        self.cache = Cache(family.settings.cache_dir)
        self.key = _key(pair, pair.gt, metric, self.reading, self.file.sha256) if pair.gt and self.embed_real else None
        if self.key:
            self.key |= family.number_format
        held = self.cache.get(self.key) if self.key else None
        self.known = None if held is None else held["gt_features"]
        self.real.left_out = 0 if held is None else int(held["left_out"][()])

    @property
    def shows_real(self) -> bool:
        """Whether the real windows go through the network."""
        return self.embed_real and self.known is None

    @property
    def looks_at(self) -> frozenset[str]:
        """See FvdMeter."""
        part = "crop" if self.reading.region == "crop" else "frames"
        return frozenset(f"{side}.{part}" for side in (("gen", "gt") if self.shows_real else ("gen",)))

    def update(self, batch: Batch) -> None:
        """Keep what the current window needs; embed it when its last frame is here."""
        gen = _regions(batch, "gen", self.reading, self.together)
        real = _regions(batch, "gt", self.reading, self.together) if self.shows_real else []
        if not self.together:
            for at, frame in gen:
                self._take(self.gen, self.gen.window(at, frame))
            for at, frame in real:
                self._take(self.real, self.real.window(at, frame))
            return
        if not self.shows_real:  # the real regions are not looked at, but a frame counts where both videos have one
            for at, frame in gen:
                self._take(self.gen, self.gen.window(at, frame if self._real_has(at) else None))
            return
        for (at, frame), (_, true) in zip(gen, real, strict=True):
            ours, theirs = self.gen.window(at, frame), self.real.window(at, true)
            if ours is None or theirs is None:
                continue
            if not (ours and theirs):
                self.gen.left_out += 1
                continue
            self._take(self.gen, ours)
            self._take(self.real, theirs)

    def _real_has(self, at: int) -> bool:
        """Whether a frame of the real video has the region, by its track alone (crops and frames: `_regions` has seen to it)."""
        side = self.pair.gt
        if self.reading.region != "box" or side is None:
            return True
        boxes = None if side.track is None else side.track.boxes
        return boxes is not None and at < len(boxes) and has_box(boxes[at], *side.clip.size)

    def _take(self, side: _Gathered, window: list[Frame] | None) -> None:
        """Embed a whole window; count one that lacks a frame."""
        if window:
            side.rows.append(self.family.embed(window, self.metric))
        elif window is not None:
            side.left_out += 1

    def finish(self, found: Measurement) -> None:
        """Add this reading's state, or why there is none."""
        reading = self.reading
        whose = "both videos" if self.together else "the generated video"
        if why := self._lack(self.gen.rows, self.gen.left_out, self.pair.n_frames, whose):
            found.failures.append(Failure(self.metric, MetricError.__name__, why))
            return
        state: dict[str, NDArray[np.generic]] = {"gen_features": np.stack(self.gen.rows)}
        if self.embed_real:
            if self.known is None:
                if why := self._lack(self.real.rows, self.real.left_out, self.pair.gt_frames, "the real video"):
                    found.failures.append(Failure(self.metric, MetricError.__name__, why))
                    return
                self.known = np.stack(self.real.rows)
                if self.key:
                    self.cache.put(self.key, {"gt_features": self.known, "left_out": np.array(self.real.left_out)})
            state["gt_features"] = self.known
        found.states[self.metric] = state
        n, left_out = len(self.gen.rows), self.gen.left_out
        found.details[self.metric] = {"windows": n, "windows_left_out": left_out}
        if left_out:
            found.notes.append(
                f"{self.metric}: {left_out} of {left_out + n} windows lack a {reading.region} in some frame and are left out"
            )
        if self.real.left_out:
            found.notes.append(f"{self.metric}: {self.real.left_out} windows of the real video are left out likewise")
        if self.file.note and self.file.note not in found.notes:
            found.notes.append(self.file.note)

    def _lack(self, rows: Rows, left_out: int, n: int, whose: str) -> str:
        """Why there is no window; '' where there is one."""
        reading = self.reading
        if rows:
            return ""
        if left_out:
            return f"{self.metric}: none of {left_out} windows of {reading.frames} frames has a {reading.region} in every frame of {whose}"
        return (
            f"{self.metric} needs a window of {reading.frames} frames from frame {reading.start} on, and the clip has {n}; "
            "score longer clips or choose fvd_frames and fvd_start"
        )


class _Gathered:
    """One video's frames on their way into windows."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.frames: deque[Frame | None] = deque(maxlen=reading.frames)
        self.rows: Rows = []
        self.left_out = 0

    def window(self, at: int, frame: Frame | None) -> list[Frame] | None:
        """The window that ends with this frame; empty where it lacks a frame, None where none ends here."""
        self.frames.append(frame)
        if not _starts(at + 1 - self.reading.frames, self.reading):
            return None
        whole = [f for f in self.frames if f is not None]
        return whole if len(whole) == self.reading.frames else []


def _starts(first: int, reading: Reading) -> bool:
    """Whether a window starts at this frame."""
    since = first - reading.start
    return since == 0 or (since > 0 and reading.windows == "all" and since % reading.step == 0)


def _regions(batch: Batch, name: str, reading: Reading, together: bool) -> list[tuple[int, Frame | None]]:
    """(frame number, region) of every frame of one video; None where it (`together`: where either) lacks the region."""
    side, frames, index = (
        (batch.pair.gen, batch.gen, batch.index) if name == "gen" else (batch.pair.gt, batch.gt, batch.gt_index)
    )
    if side is None:
        return []
    numbers = [int(k) for k in index]
    if reading.region == "frame":
        return list(zip(numbers, frames, strict=True))
    if reading.region == "box":
        return [(k, _boxed(side, k, f, reading)) for k, f in zip(numbers, frames, strict=True)]
    if together:
        crops = iter(batch.gen_crops if name == "gen" else batch.gt_crops)
        return [(k, next(crops) if both else None) for k, both in zip(numbers, batch.both, strict=True)]
    own = dict(batch.gen_own if name == "gen" else batch.gt_own)
    return [(k, own.get(k)) for k in numbers]


def _boxed(side: Side, at: int, frame: Frame, reading: Reading) -> Frame | None:
    """The face box of one frame; stretched at once where the resize is by whole levels, to save memory."""
    if side.track is None or at >= len(side.track.boxes) or not has_box(side.track.boxes[at], *frame.shape[:2]):
        return None
    part = cut_box(frame, side.track.boxes[at])
    return small(part, reading.resize) if reading.resize in ("area", "pillow") else part.copy()


def _key(pair: Pair, side: Side, metric: str, reading: Reading, weights: str) -> dict[str, str]:
    """Everything that the real side's features hang on: content, regions (of both videos where both choose windows), network."""
    return {
        "what": "fvd-features.2",
        "metric": metric,
        "clip": side.clip.digest,
        "regions": _digest(pair, side, reading.region),
        "weights": weights,
    } | reading.keys()


def _digest(pair: Pair, side: Side, region: str) -> str:
    digest, n = hashlib.sha256(str(pair.gt_frames).encode()), pair.gt_frames
    gen = pair.gen if pair.paired else None
    if region == "crop" and side.crop is not None and (gen is None or gen.crop is not None):
        used = side.crop.valid[:n]
        if gen is not None and gen.crop is not None:
            used = used & gen.crop.valid[:n]
        digest.update(repr(side.crop.size).encode() + used.tobytes())
        digest.update(np.ascontiguousarray(side.crop.matrix[:n][used]).tobytes())
    if region == "box" and side.track is not None:
        if gen is not None and gen.track is not None:
            digest.update(bytes([has_box(box, *gen.clip.size) for box in gen.track.boxes]))
        digest.update(np.ascontiguousarray(side.track.boxes).tobytes())
    return digest.hexdigest()
