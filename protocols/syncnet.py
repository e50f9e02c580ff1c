"""`syncnet`: the face crop of SyncNet's run_pipeline.py."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lipsync_eval.errors import ProtocolError
from lipsync_eval.features.syncnet import tracking
from lipsync_eval.options import checked
from lipsync_eval.protocol import Protocol, ProtocolSpec, SyncRules, View
from lipsync_eval.types import Crop
from lipsync_eval.warp import overflow

CITATION = (
    "Chung, Zisserman: Out of time: automated lip sync in the wild, ACCV Workshops 2016; joonson/syncnet_python@6efbb1c"
)
_CHOICES = (
    "LSE-C, LSE-D and the offset cut their crops as upstream does, from tracks that S3FD finds (--sync-detector track: from the "
    "run's landmarks): whole pixels, cv2 bilinear, grey 110 outside the frame. All other metrics compare the same square, made from "
    "the run's landmarks, sampled like every protocol's crop (antialiased, mirrored outside).",
    "From landmarks, the box of a WIDER FACE detector is taken to be a square of 1.29 half sides of the 68 points' bounding box, centred "
    "0.31 half sides above it (measured, see docs/metrics/syncnet.md).",
    "Upstream drops tracks of {limit} detections or fewer; a shorter clip's tracks need more than 0.8 of its frames instead.",
    "Upstream shrinks every frame to a quarter for S3FD and drops faces up to 100 px; frames with a side below 480 px are searched at "
    "full size, and the smallest face is 100 px or a fifth of the shorter side, whichever is less.",
    "Upstream cuts shots with PySceneDetect {scenes}; the code here is our own.",
    "Frames and audio are not put through ffmpeg's lossy files; --compat jpeg does it as nearly as PyAV allows (frames only).",
    "{tracks}",
)


def make_spec(name: str, sync: SyncRules, tracks: str, scenes: str, summary: str, citation: str) -> ProtocolSpec:
    """The declaration of one variant: its name and rules, what becomes of several tracks, where shots are cut, and its source."""
    choices = tuple(c.format(limit=sync.min_track, tracks=tracks, scenes=scenes) for c in _CHOICES)
    return ProtocolSpec(
        name=name,
        version=1,
        size=tracking.SIDE,
        needs_track=True,
        summary=summary,
        citation=citation,
        choices=choices,
        sync=sync,
    )


SYNCNET = make_spec(
    "syncnet",
    SyncRules(detector="s3fd"),
    "Nothing upstream selects the speaker; the longest track is the clip's score, all tracks are in the details.",
    "0.5.1 (a mean HSV change of 30, 15 frames apart)",
    "SyncNet's own pipeline: S3FD faces, tracks, median 13, a square of 2.8 half sizes reaching downwards, 224 px.",
    CITATION,
)


class SyncNetProtocol:
    """The crop of run_pipeline.py around each video's own face."""

    def __init__(self, spec: ProtocolSpec, options: Mapping[str, str]) -> None:
        """Bind options (there are none).

        Raises:
            UsageError: any option.
        """
        checked(spec.options, options, f"protocol {spec.name!r}")
        self._spec = spec

    @property
    def spec(self) -> ProtocolSpec:
        """What it declares."""
        return self._spec

    def signature(self) -> str:
        """'syncnet.1'."""
        return f"{self._spec.name}.{self._spec.version}"

    def crops(self, gen: View, gt: View) -> tuple[Crop, Crop]:
        """Crops of both videos, each around its own face.

        Raises:
            ProtocolError: no frame of a video has a face.
        """
        n = min(gen.n_frames, gt.n_frames)
        return self._crop(gen, n, "generated"), self._crop(gt, n, "real")

    def _crop(self, view: View, n: int, which: str) -> Crop:
        if view.track is None:
            raise ProtocolError(
                f"protocol {self._spec.name} needs a face track of the {which} video, and no face was followed there; look at the video, or "
                "compare whole frames with --protocol raw"
            )
        matrix = np.full((n, 2, 3), np.nan)
        known = np.asarray(np.isfinite(view.track.points[:n]).all(axis=(1, 2)))
        for first, stop in tracking.runs(known):
            matrix[first:stop] = tracking.matrices(tracking.boxes_from_points(view.track.points[first:stop]))
        valid = np.asarray(np.isfinite(matrix).all(axis=(1, 2)))
        if not valid.any():
            raise ProtocolError(
                f"protocol {self._spec.name}: no frame of the {which} video can be cropped: no face was found"
            )
        side = tracking.SIDE
        return Crop(matrix, (side, side), valid, overflow(matrix, (side, side), (view.height, view.width)))


def syncnet(options: Mapping[str, str]) -> Protocol:
    """SyncNet's own pipeline. Takes no options."""
    return SyncNetProtocol(SYNCNET, options)
