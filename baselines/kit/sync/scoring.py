"""A sync network as a metric of finished videos: every window of consecutive frames with its audio, scored as it fills up.

Imported by metric families, so torch is imported when windows are scored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.cache import Cache
from lipsync_eval.errors import ClipError, MetricError
from lipsync_eval.metrics.base import Measurement, mean_of
from lipsync_eval.types import FPS, RATE, Float, Frame, Pair, Side

if TYPE_CHECKING:
    from lipsync_eval.baselines.kit.data.inputs import AudioFeature
    from lipsync_eval.baselines.kit.sync.network import SyncNetwork
    from lipsync_eval.device import Precision

TOGETHER: Final = 8
"""Windows that pass through the network at once; always the same ones, however the frames come."""
SILENT: Final = -60.0
"""dBFS of a frame's audio; where no frame is louder, nothing is scored (as SyncNet's metrics)."""
Placed = tuple[NDArray[np.bool_], Callable[[int, Frame], Frame]]
"""(n_frames,) which frames of a video have a crop, and what cuts it: number, frame -> (H, W, 3) uint8 RGB."""


@dataclass(frozen=True, kw_only=True)
class WindowScorer:
    """A sync network and what it is shown."""

    name: str
    """Begins its notes and the names of its details."""
    network: SyncNetwork
    """On its device, in evaluation mode."""
    span: int
    """Consecutive frames in a window."""
    audio: AudioFeature
    heard: int
    """The frame of a window, counted from its first, at whose time the audio's window is taken."""
    lowest: float
    """Of its cosines, by the network's design; rounding below it is cut off."""
    place: Callable[[Side, int], Placed]
    """A side and its number of frames -> its crops; raises MetricError where it can have none."""
    precision: Precision = "fp32"
    key: Mapping[str, str]
    """What cosines hang on beside the video, its track, its crop and its audio: weights, what `place` does."""
    cache: Cache = field(default_factory=lambda: Cache(None))
    """Keeps the real videos' cosines."""

    def cosines(self, crops: NDArray[np.uint8], heard: NDArray[np.float32]) -> Float:
        """(B, T, H, W, 3) uint8 crops and (B, bands, columns) audio -> (B,) in `lowest`..1."""
        from lipsync_eval.baselines.kit.data.windows import to_tensor
        from lipsync_eval.device import computing, to_device

        frames = to_tensor(crops.reshape(-1, *crops.shape[2:])).reshape(*crops.shape[:2], 3, *crops.shape[2:4])
        device = next(self.network.parameters()).device
        with computing(device, self.precision):
            found = self.network(to_device(frames.numpy(), device), to_device(heard[:, None], device))
        cosines: Float = found.double().clamp(self.lowest, 1).cpu().numpy()
        return cosines


class WindowMeter:
    """Follows both videos of one pair.

    Args:
        scorer: the network.
        pair: both videos.
        metrics: id -> what makes its curve of the (n_frames,) cosines.
        notes: what is to be known about the network.

    Raises:
        MetricError: no audio, silence or no crops in the generated video.
    """

    def __init__(
        self,
        scorer: WindowScorer,
        pair: Pair,
        metrics: Mapping[str, Callable[[Float], Float]],
        notes: Sequence[str] = (),
    ) -> None:
        self.scorer, self.pair, self.metrics, self.notes = scorer, pair, metrics, notes
        self.gen = _Windows(scorer, pair.gen, pair.n_frames)
        self.gt: _Windows | None = None
        self.lost = ""
        try:
            if pair.gt is not None:
                self.gt = _Windows(scorer, pair.gt, pair.gt_frames, cache=scorer.cache)
        except ClipError as error:
            self.lost = str(error)

    @property
    def looks_at(self) -> frozenset[str]:
        """The real frames only where the cache did not know their cosines."""
        real = self.gt is not None and not self.gt.known
        return frozenset({"gen.frames", "gt.frames"} if real else {"gen.frames"})

    def update(self, batch: Batch) -> None:
        """Take the next frames of both videos."""
        self.gen.take(batch.start, batch.gen)
        if self.gt is not None and not self.gt.known:
            self.gt.take(batch.start, batch.gt)

    def finish(self) -> Measurement:
        """The clip's means over windows; a window counts for its middle frame.

        Raises:
            MetricError: not one window of the generated video has faces and audio.
        """
        name, n_frames = self.scorer.name, self.pair.n_frames
        cosines = self.gen.finish()
        if mean_of(cosines) is None:
            raise MetricError(
                f"not one run of {self.scorer.span} frames with face and audio among the {n_frames} frames of the generated video"
            )
        found = Measurement(notes=[*self.notes])
        real = None if self.gt is None else self.gt.finish()
        for metric, curve in self.metrics.items():
            found.frames[metric] = curve(cosines)
            found.values[metric] = mean_of(found.frames[metric])
            if real is not None and (own := mean_of(curve(real))) is not None:
                found.gt_values[metric] = own
        found.details[f"{name}_windows"] = int(np.isfinite(cosines).sum())
        if gone := self.gen.lost:
            found.details[f"{name}_frames_left_out"] = gone
            found.notes.append(
                f"{name}: {gone} of {n_frames} generated frames have no face or no audio and are left out"
            )
        if not found.gt_values and self.pair.gt is not None:
            found.notes.append(f"{name}: the real video has no score of its own: {self.lost or 'no whole window'}")
        return found


class _Windows:
    """One video's windows of consecutive frames with faces and audio."""

    def __init__(self, scorer: WindowScorer, side: Side, n_frames: int, *, cache: Cache | None = None) -> None:
        """
        Raises:
            MetricError: no audio, silence, or no crops.
        """
        from lipsync_eval.features.mfcc import loudness

        self.cache = cache or Cache(None)

        audio = side.heard()
        if loudness(audio.int16(), n_frames).max(initial=-np.inf) < SILENT:
            raise MetricError(
                f"the audio is silent (nowhere above {SILENT:g} dBFS): there is nothing to be in sync with"
            )
        self.scorer, self.whole = scorer, scorer.audio.whole(audio.samples)
        placed, self.crop = scorer.place(side, n_frames)
        heard = min(n_frames, -(-len(audio.samples) * FPS // RATE))  # frames over which there is audio
        self.good: NDArray[np.bool_] = placed & (np.arange(n_frames) < heard)
        self.lost = n_frames - int(self.good.sum())
        self.key = _key(scorer, side, n_frames, audio.samples)
        held = self.cache.get(self.key)
        self.known = held is not None
        self.curve = np.full(n_frames, np.nan) if held is None else held["cosines"].astype(np.float64)
        self.run: list[Frame] = []
        """The last crops of the present run, at most `span`."""
        self.waiting: list[tuple[int, NDArray[np.uint8]]] = []
        """First frame and crops of windows to be scored."""

    def take(self, start: int, frames: Sequence[Frame]) -> None:
        """The next frames."""
        span = self.scorer.span
        for i, frame in enumerate(frames, start):
            if not self.good[i]:
                self.run = []
                continue
            self.run = [*self.run[1 - span :], self.crop(i, frame)]
            if len(self.run) == span:
                self.waiting.append((i - span + 1, np.stack(self.run)))
            if len(self.waiting) == TOGETHER:
                self._score()

    def finish(self) -> Float:
        """(n_frames,) cosines at the middle frames of windows, NaN elsewhere."""
        if self.waiting:
            self._score()
        if not self.known:
            self.cache.put(self.key, {"cosines": self.curve})
        return self.curve

    def _score(self) -> None:
        first = np.array([i for i, _ in self.waiting])
        heard = [self.scorer.audio.window(self.whole, i / FPS) for i in (first + self.scorer.heard).tolist()]
        crops = np.stack([crops for _, crops in self.waiting])
        self.curve[first + (self.scorer.span - 1) // 2] = self.scorer.cosines(crops, np.stack(heard))
        self.waiting = []


def _key(scorer: WindowScorer, side: Side, n_frames: int, samples: NDArray[np.float32]) -> dict[str, str]:
    """All that a video's cosines hang on."""
    digest = hashlib.sha256(str(n_frames).encode() + np.ascontiguousarray(samples).tobytes())
    if side.track is not None:
        digest.update(side.track.status.tobytes() + np.ascontiguousarray(side.track.points).tobytes())
    if side.crop is not None:
        digest.update(repr(side.crop.size).encode() + np.ascontiguousarray(side.crop.matrix).tobytes())
    what = {"what": f"{scorer.name}.cosines.1", "clip": side.clip.digest, "inputs": digest.hexdigest()}
    return what | dict(scorer.key)
