"""SyncNet on one video of a pair: all its regions, in one pass over its frames."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.cache import Arrays
from lipsync_eval.errors import MetricError
from lipsync_eval.features.mfcc import loudness
from lipsync_eval.features.syncnet.lossy import Chain, crop_chain, source_chain
from lipsync_eval.features.syncnet.net import Folded, to_bgr
from lipsync_eval.features.syncnet.regions import Region
from lipsync_eval.features.syncnet.track_scorer import Distances, TrackScorer, n_rows
from lipsync_eval.types import FPS, RATE, Frame

SILENT: Final = -60.0
"""dBFS: audio that nowhere reaches this is silent."""
QUIET: Final = -45.0
"""dBFS: a frame's audio above this counts as speech energy."""
SPEECH_LEAST: Final = 0.2
"""Share of frames with speech energy below which a warning is due."""


@dataclass(frozen=True, slots=True)
class TrackDistances:
    """What came out for one track."""

    first: int
    """Number of its first frame."""
    n_frames: int
    distances: Distances
    """(rows, 31)."""


class SideScorer:
    """All regions of one video; frames come in order and once."""

    def __init__(self, net: Folded, regions: Sequence[Region], samples: NDArray[np.int16], *, lossy: bool) -> None:
        """Prepare.

        Args:
            net: SyncNet.
            regions: from syncnet_regions.
            samples: (N,) int16 at 16 kHz, sample 0 with frame 0 of the video.
            lossy: put frames and crops through the official lossy steps.

        Raises:
            MetricError: no region has a single row.
        """
        self._regions = [r for r in regions if n_rows(r.n_frames, len(_audio(samples, r)))]
        if not self._regions:
            most = max((r.n_frames for r in regions), default=0)
            raise MetricError(
                f"SyncNet needs at least 6 frames with 0.24 s of audio; here are {most} frames and "
                f"{len(samples) / RATE:.2f} s of audio"
            )
        self._scorers = [TrackScorer(net, _audio(samples, r), r.n_frames) for r in self._regions]
        found = any(r.windows is not None for r in self._regions)
        self._source = (source_chain() if found else crop_chain(written=False)) if lossy else None
        """Whole frames become JPEG at their own size, and are resized after that."""
        self._crops = [crop_chain(written=True) if lossy and found else None for _ in self._regions]

    def update(self, start: int, frames: Sequence[Frame]) -> None:
        """Take frames start, start + 1..., (H, W, 3) uint8 RGB."""
        for number, frame in enumerate(frames, start):
            shown = self._source.through(frame) if self._source is not None else frame
            for region, scorer, chain in zip(self._regions, self._scorers, self._crops, strict=True):
                if region.first <= number < region.first + region.n_frames:
                    scorer.add(_prepare(region.cut(shown, number), chain))

    def finish(self) -> list[TrackDistances]:
        """Distances of every region that has rows."""
        pairs = zip(self._regions, self._scorers, strict=True)
        return [TrackDistances(r.first, r.n_frames, s.finish()) for r, s in pairs]


def check_audio(samples: NDArray[np.int16], n_frames: int) -> float:
    """Share of the frames that have speech energy.

    Raises:
        MetricError: less than 0.2 s of audio, or silence.
    """
    if len(samples) < RATE // 5:
        raise MetricError(f"the audio lasts {len(samples) / RATE:.2f} s; SyncNet listens in windows of 0.2 s")
    level = loudness(samples, n_frames)
    if level.max(initial=-np.inf) < SILENT:
        raise MetricError(f"the audio is silent (nowhere above {SILENT:g} dBFS): there is nothing to be in sync with")
    return float((level > QUIET).mean())


def to_arrays(tracks: Sequence[TrackDistances]) -> Arrays:
    """For the cache."""
    places = np.array([[t.first, t.n_frames] for t in tracks], np.int64).reshape(-1, 2)
    return {"places": places, **{f"d{i}": t.distances for i, t in enumerate(tracks)}}


def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> list[TrackDistances]:
    """The way back."""
    places = arrays["places"].astype(np.int64)
    return [TrackDistances(int(a), int(n), arrays[f"d{i}"].astype(np.float32)) for i, (a, n) in enumerate(places)]


def regions_digest(regions: Sequence[Region]) -> str:
    """16 hex digits over where the crops lie."""
    digest = hashlib.sha256()
    for region in regions:
        digest.update(f"{region.first},{region.n_frames}".encode())
        if region.windows is not None:
            digest.update(region.windows.rows.tobytes() + region.windows.columns.tobytes())
    return digest.hexdigest()[:16]


def _audio(samples: NDArray[np.int16], region: Region) -> NDArray[np.int16]:
    per_frame = RATE // FPS
    return samples[region.first * per_frame : (region.first + region.n_frames) * per_frame]


def _prepare(crop: Frame, chain: Chain | None) -> Frame:
    return to_bgr(crop if chain is None else chain.through(crop))
