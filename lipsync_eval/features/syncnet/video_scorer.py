"""From a video with its audio to a SyncNet scorer: weights, faces, regions, cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lipsync_eval.cache import Cache
from lipsync_eval.errors import InputError, MetricError
from lipsync_eval.features import s3fd
from lipsync_eval.features.syncnet import net as syncnet_net
from lipsync_eval.features.syncnet import regions
from lipsync_eval.features.syncnet.lossy import source_chain
from lipsync_eval.features.syncnet.side_scorer import (
    SideScorer,
    TrackDistances,
    check_audio,
    from_arrays,
    regions_digest,
    to_arrays,
)
from lipsync_eval.protocol import ShotRule, SyncDetector
from lipsync_eval.types import Audio, Clip, Float, Frame, Settings, Track
from lipsync_eval.weights import locate

VERSION: Final = "2"
"""Part of every cache key: +1 whenever a number may move."""


@dataclass(frozen=True, slots=True)
class How:
    """Where SyncNet's crops come from."""

    detector: SyncDetector
    """The run's own face track; S3FD and upstream's tracking; or whole frames."""
    min_track: int
    """Upstream's limit; 0.8 of the clip where that is less."""
    lossy: bool
    """The official lossy steps."""
    shots: ShotRule = "0.5.1"
    """PySceneDetect's release whose rule cuts the video, for 's3fd'."""


class VideoScorer:
    """SyncNet on one video: frames in, distances out."""

    def __init__(
        self,
        settings: Settings,
        how: How,
        clip: Clip,
        audio: Audio,
        track: Track | None,
        n_frames: int,
        *,
        keep: bool,
    ) -> None:
        """Find the regions (S3FD looks through the video here) and load the network.

        Args:
            settings: weights, device, cache.
            how: where the crops come from.
            clip: the video.
            audio: the audio that is scored.
            track: the run's own face track, for How.detector == 'track'.
            n_frames: frames that are scored.
            keep: look for distances in the cache, and put them there.

        Raises:
            MetricError: silence, no face, no track that is long enough, too few frames.
        """
        samples = audio.int16()
        self.speech = check_audio(samples, n_frames)
        """Share of the frames with speech energy."""
        self._cache = Cache(settings.cache_dir if keep else None)
        found = _regions(settings, how, clip, track, n_frames)
        file = locate(settings, "syncnet", role="syncnet")
        self.weights = file.note or f"{file.name}: the published file"
        """Whose weights these are, in words."""
        self._key = {
            "what": "syncnet",
            "version": VERSION,
            "clip": clip.digest,
            "n": str(n_frames),
            "weights": file.sha256,
            "regions": regions_digest(found),
            "lossy": str(how.lossy),
        }
        if settings.precision != "fp32":
            self._key["dtype"] = settings.precision
        held = self._cache.get(self._key)
        self._tracks = from_arrays(held) if held is not None else None
        self._scorer: SideScorer | None = None
        if self._tracks is None:
            net = syncnet_net.load(file.path, file.sha256, settings.device, settings.precision)
            self._scorer = SideScorer(net, found, samples, lossy=how.lossy)

    @property
    def needs_frames(self) -> bool:
        """False where the cache had the distances."""
        return self._scorer is not None

    def update(self, start: int, frames: Sequence[Frame]) -> None:
        """Take frames start, start + 1..., (H, W, 3) uint8 RGB, in order."""
        if self._scorer is not None:
            self._scorer.update(start, frames)

    def finish(self) -> list[TrackDistances]:
        """Distances of every track.

        Raises:
            MetricError: frames are missing.
        """
        if self._tracks is None:
            if self._scorer is None:
                raise MetricError("this video has been finished already")
            self._tracks = self._scorer.finish()
            self._scorer = None
            self._cache.put(self._key, to_arrays(self._tracks))
        return self._tracks


def _regions(settings: Settings, how: How, clip: Clip, track: Track | None, n_frames: int) -> list[regions.Region]:
    if how.detector == "none":
        return regions.whole(n_frames)
    if how.detector == "track":
        if track is None:
            raise MetricError("there is no face track to crop from; --sync-detector s3fd finds faces by itself")
        return regions.from_track(track, n_frames, how.min_track)
    faces, cuts = _faces(settings, how, clip, n_frames)
    return regions.from_faces(faces, cuts, clip.size, how.min_track)


def _faces(settings: Settings, how: How, clip: Clip, n_frames: int) -> tuple[list[Float], list[int]]:
    """S3FD's faces in every frame, out of the cache where they are there."""
    file = locate(settings, "s3fd", role="s3fd")
    key = {
        "what": "s3fd-faces",
        "version": VERSION,
        "clip": clip.digest,
        "n": str(n_frames),
        "weights": file.sha256,
        "lossy": str(how.lossy),
        "shots": how.shots,
    }
    cache = Cache(settings.cache_dir)
    held = cache.get(key)
    if held is None:
        detector = s3fd.load(file.path, file.sha256, settings.device)
        frames = clip.frames(0, n_frames)
        if how.lossy:
            chain = source_chain()
            frames = (chain.through(frame) for frame in frames)
        try:
            faces, cuts = regions.search(detector, frames, how.shots)
        except InputError as error:
            raise MetricError(str(error)) from error
        counts = np.array([len(f) for f in faces], np.int64)
        held = {"counts": counts, "cuts": np.array(cuts, np.int64), "boxes": np.concatenate([np.empty((0, 5)), *faces])}
        cache.put(key, held)
    ends = np.cumsum(held["counts"].astype(np.int64))
    boxes = held["boxes"].astype(np.float64)
    return [boxes[a:b] for a, b in zip((0, *ends), ends, strict=False)], [int(c) for c in held["cuts"].astype(np.int64)]
