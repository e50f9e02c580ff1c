"""Face tracks and 224 x 224 crops as SyncNet's run_pipeline.py makes them. Pure functions, numpy only.

Source: joonson/syncnet_python@6efbb1c, run_pipeline.py (track_shot, crop_video).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import Float, Frame

SIDE: Final = 224
CROP_SCALE: Final = 0.4
GAP: Final = 25
"""Frames without a detection after which a track ends (num_failed_det)."""
OVERLAP: Final = 0.5
MEDIAN: Final = 13
GREY: Final = 110
GROW: Final = 1.29
LIFT: Final = 0.31
"""See boxes_from_points."""


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """One face through consecutive frames."""

    first: int
    """Number of its first frame."""
    boxes: Float
    """(L, 4) x1, y1, x2, y2 in px, one for every frame from `first` on."""

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the crops of a track lie, in whole source pixels; they may reach outside the frame."""

    rows: NDArray[np.int64]
    """(L, 2) first row, row after the last."""
    columns: NDArray[np.int64]
    """(L, 2) first column, column after the last."""
    pad: NDArray[np.int64]
    """(L,) border that upstream adds on every side; a window never reaches beyond it."""


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2; 0 where both are empty."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = wide * high
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union else 0.0


def link(
    faces: Sequence[Sequence[Sequence[float]]], *, first: int = 0, min_track: float, min_face: float, gap: int = GAP
) -> list[FaceTrack]:
    """Tracks through one shot, greedily as upstream.

    A face joins when it overlaps the track's last box by more than half and comes at most `gap` frames later. Upstream
    takes faces out of the very list it walks over, so after a face has joined, the next face of that frame is skipped
    for this track; that is kept, since it decides which boxes a track gets.

    Args:
        faces: per frame, boxes x1, y1, x2, y2 in the order in which the detector gave them.
        first: number of the shot's first frame.
        min_track: a track needs more detections than this.
        min_face: px; a track's mean width or height must be larger.
        gap: frames without a detection that a track survives.

    Returns:
        tracks in the order in which upstream writes them; boxes between detections are interpolated.
    """
    left = [[(first + i, tuple(box)) for box in boxes] for i, boxes in enumerate(faces)]
    tracks: list[FaceTrack] = []
    while taken := _take(left, gap):
        if len(taken) <= min_track:
            continue
        track = _interpolated(taken)
        size = (track.boxes[:, 2:] - track.boxes[:, :2]).mean(axis=0)
        if size.max() > min_face:
            tracks.append(track)
    return tracks


def smooth(boxes: Float) -> tuple[Float, Float, Float]:
    """Half size s = max(h, w) / 2 and centre x, y of a track's boxes after a median filter of 13 (zeros beyond the ends).

    Returns:
        s, x, y: (L,) px.
    """
    s = np.maximum(boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]) / 2
    y, x = (boxes[:, 1] + boxes[:, 3]) / 2, (boxes[:, 0] + boxes[:, 2]) / 2
    return _median(s), _median(x), _median(y)


def windows(boxes: Float) -> Windows:
    """The squares that are cut out: 2.8 s wide and high, extended downwards (y - s to y + 1.8 s).

    Computed in float64 in upstream's order: a slice sits on a knife edge where 1.8 s is whole.
    """
    s, x, y = smooth(boxes)
    pad = (s * (1 + 2 * CROP_SCALE)).astype(np.int64)
    my, mx = y + pad, x + pad
    rows = np.stack([my - s, my + s * (1 + 2 * CROP_SCALE)], axis=1).astype(np.int64)
    columns = np.stack([mx - s * (1 + CROP_SCALE), mx + s * (1 + CROP_SCALE)], axis=1).astype(np.int64)
    return Windows(rows - pad[:, None], columns - pad[:, None], pad)


def cut(frame: Frame, where: Windows, i: int) -> Frame | None:
    """Crop number i of a track, resized to 224 x 224 (cv2 bilinear); outside the frame it is grey (110).

    Returns:
        (224, 224, 3) uint8, channels as in `frame`; None where the window is empty.
    """
    import cv2

    height, width = frame.shape[:2]
    pad = int(where.pad[i])
    top, bottom = (int(v) for v in np.clip(where.rows[i], -pad, height + pad))
    left, right = (int(v) for v in np.clip(where.columns[i], -pad, width + pad))
    if bottom <= top or right <= left:
        return None
    out = np.full((bottom - top, right - left, 3), GREY, np.uint8)
    y0, y1, x0, x1 = max(top, 0), min(bottom, height), max(left, 0), min(right, width)
    if y1 > y0 and x1 > x0:
        out[y0 - top : y1 - top, x0 - left : x1 - left] = frame[y0:y1, x0:x1]
    return np.asarray(cv2.resize(out, (SIDE, SIDE)), np.uint8)


def runs(valid: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, after the last) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _median(values: Float) -> Float:
    """(L,) running median over 13, zeros beyond the ends (scipy.signal.medfilt, without its warning on short tracks)."""
    padded = np.pad(values, MEDIAN // 2)
    out: Float = np.median(np.lib.stride_tricks.sliding_window_view(padded, MEDIAN), axis=1)
    return out


def _take(left: list[list[tuple[int, tuple[float, ...]]]], gap: int) -> list[tuple[int, tuple[float, ...]]]:
    """Take the next track's detections out of `left`."""
    taken: list[tuple[int, tuple[float, ...]]] = []
    for faces in left:
        k = 0
        while k < len(faces):
            number, box = faces[k]
            if taken and number - taken[-1][0] > gap:
                break
            if not taken or overlap(box, taken[-1][1]) > OVERLAP:
                taken.append(faces.pop(k))  # the next face slides to place k and is skipped
            k += 1
    return taken


def _interpolated(taken: list[tuple[int, tuple[float, ...]]]) -> FaceTrack:
    """Boxes for every frame, linear between detections."""
    known = np.array([n for n, _ in taken], np.float64)
    boxes = np.array([box for _, box in taken], np.float64)
    at = np.arange(int(known[0]), int(known[-1]) + 1)
    return FaceTrack(int(known[0]), np.stack([np.interp(at, known, boxes[:, j]) for j in range(4)], axis=1))


def boxes_from_points(points: Float) -> Float:
    """Boxes like those of a WIDER FACE detector (S3FD), from 68 points.

    With h half the longer side of the points' bounding box, the box is a square of half side 1.29 h whose centre lies
    0.31 h above that of the bounding box. Measured on 296 frames of 19 clips against YuNet, which was trained on the
    same boxes as S3FD (docs/metrics/syncnet.md): half as much spread as from dlib's own boxes, which jump with the
    detector's pyramid.

    Args:
        points: (L, 68, 2) px.

    Returns:
        (L, 4) x1, y1, x2, y2.
    """
    low, high = points.min(axis=1), points.max(axis=1)
    half = (high - low).max(axis=1) / 2
    centre = (low + high) / 2 - np.stack([np.zeros_like(half), LIFT * half], axis=1)
    return np.concatenate([centre - GROW * half[:, None], centre + GROW * half[:, None]], axis=1)


def matrices(boxes: Float) -> Float:
    """(L, 2, 3) source pixel -> pixel of the 224 x 224 crop of a track with these boxes; NaN where the window is empty."""
    where = windows(boxes)
    out = np.full((len(boxes), 2, 3), np.nan)
    wide, high = np.diff(where.columns, axis=1)[:, 0], np.diff(where.rows, axis=1)[:, 0]
    good = (wide > 0) & (high > 0)
    fx, fy = SIDE / wide[good], SIDE / high[good]
    zero = np.zeros_like(fx)
    across = [fx, zero, (0.5 - where.columns[good, 0]) * fx - 0.5]
    down = [zero, fy, (0.5 - where.rows[good, 0]) * fy - 0.5]
    out[good] = np.stack([np.stack(across, -1), np.stack(down, -1)], axis=1)
    return out
