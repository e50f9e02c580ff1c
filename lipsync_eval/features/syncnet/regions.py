"""Which parts of a video SyncNet looks at: whole frames, the run's own face track, or tracks found by S3FD."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from lipsync_eval.errors import MetricError
from lipsync_eval.features.s3fd import S3FD
from lipsync_eval.features.syncnet import tracking
from lipsync_eval.features.syncnet.shots import Shots
from lipsync_eval.protocol import ShotRule
from lipsync_eval.types import Float, Frame, Track

SMALL: Final = 480
"""px: frames with a shorter side below this are searched at full size (upstream always shrinks to a quarter)."""
SCALE: Final = 0.25
MIN_FACE: Final = 100


@dataclass(frozen=True, slots=True)
class Region:
    """One face (or the whole frame) through consecutive frames."""

    first: int
    n_frames: int
    windows: tracking.Windows | None
    """None: the whole frame."""

    def cut(self, frame: Frame, number: int) -> Frame:
        """The crop of frame `number` (of the video), (224, 224, 3) uint8.

        Raises:
            MetricError: the face lies outside the frame.
        """
        import cv2

        if self.windows is None:
            return np.asarray(cv2.resize(frame, (tracking.SIDE, tracking.SIDE)), np.uint8)
        crop = tracking.cut(frame, self.windows, number - self.first)
        if crop is None:
            raise MetricError(
                f"the face track leaves the frame at frame {number}: there is nothing to crop for SyncNet"
            )
        return crop


def shortest(n_frames: int, limit: int) -> float:
    """Detections that a track must exceed: upstream's limit, but 0.8 of the clip where the clip is short."""
    return min(float(limit), 0.8 * n_frames)


def whole(n_frames: int) -> list[Region]:
    """The whole frame, for videos that are face crops already (Wav2Lip's calculate_scores_LRS.py)."""
    return [Region(0, n_frames, None)]


def from_track(track: Track, n_frames: int, limit: int) -> list[Region]:
    """Regions of the run's own face track: one for every stretch without a missing face that is long enough.

    Raises:
        MetricError: none is.
    """
    least = shortest(n_frames, limit)
    stretches = tracking.runs(track.valid[:n_frames] & np.isfinite(track.points[:n_frames]).all(axis=(1, 2)))
    kept = [(a, b) for a, b in stretches if b - a > least]
    if not kept:
        longest = max((b - a for a, b in stretches), default=0)
        raise MetricError(
            f"no face track is long enough for SyncNet: the longest has {longest} frames, more than {least:g} are needed"
        )
    return [Region(a, b - a, tracking.windows(tracking.boxes_from_points(track.points[a:b]))) for a, b in kept]


def from_faces(faces: Sequence[Float], cuts: Sequence[int], shape: tuple[int, int], limit: int) -> list[Region]:
    """Regions of the tracks that upstream would make of a detector's faces.

    Args:
        faces: per frame (n, 4 or more) boxes in px, best first.
        cuts: numbers of the frames at which a new shot begins (without 0).
        shape: (height, width) of the frames.
        limit: upstream's min_track.

    Raises:
        MetricError: no face at all, or no track is long enough or large enough.
    """
    least, smallest = shortest(len(faces), limit), min(MIN_FACE, 0.2 * min(shape))
    tracks = []
    for a, b in zip((0, *cuts), (*cuts, len(faces)), strict=True):
        if b - a >= least:
            shot = [[tuple(map(float, box[:4])) for box in frame] for frame in faces[a:b]]
            tracks += tracking.link(shot, first=a, min_track=least, min_face=smallest)
    if not tracks:
        seen = sum(len(frame) > 0 for frame in faces)
        raise MetricError(
            f"no face track is long enough for SyncNet: S3FD found a face in {seen} of {len(faces)} frames, and a track needs "
            f"more than {least:g} detections within one shot and a face of more than {smallest:g} px"
        )
    return [Region(t.first, len(t), tracking.windows(t.boxes)) for t in tracks]


def search(detector: S3FD, frames: Iterable[Frame], release: ShotRule = "0.5.1") -> tuple[list[Float], list[int]]:
    """Faces of every frame, and where shots begin, in one pass.

    Args:
        detector: on its device.
        frames: (H, W, 3) uint8 RGB, in order.
        release: of PySceneDetect, whose rule finds the shots.

    Returns:
        per frame (n, 5) x1, y1, x2, y2, score; and the cuts for `from_faces`.
    """
    faces: list[Float] = []
    shots = Shots(release)
    stream = iter(frames)
    while batch := list(islice(stream, detector.batch)):
        faces += detector.detect(batch, scale=SCALE if min(batch[0].shape[:2]) >= SMALL else 1.0)
        for frame in batch:
            shots.add(frame)
    return faces, shots.cuts
