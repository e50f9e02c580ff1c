"""Small copies of videos that were compared, for the report page and the user study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_eval.engine.scored_clips import open_side
from lipsync_eval.errors import ClipError
from lipsync_eval.faces.points import MOUTH
from lipsync_eval.files import atomic
from lipsync_eval.media import open_clip, write_video
from lipsync_eval.results.schema import ClipRow
from lipsync_eval.types import RATE, Clip, Frame

HEIGHT = 320
"""px; a smaller video keeps its size."""
_THUMBNAIL = 96
"""px of height: twice what the page shows, for dense displays."""
_LOOK_EVERY = 10
"""Frames between two looks for the mouth."""


def preview(row: ClipRow, side: str, stem: Path, *, height: int = HEIGHT) -> dict[str, Any] | None:
    """Write STEM.mp4 (H.264 and its own audio, AAC) and STEM.jpg (its middle frame) of one side of a scored clip.

    Args:
        row: of a result.
        side: 'gen' or 'gt'.
        stem: path without suffix.
        height: px; larger videos are made smaller.

    Returns:
        frames, width and height (px) of the copy, and mouth: [frame, x, y, half side] with x and half side as shares of
        the width, y of the height, every few frames. It is sought in the real video, and in a generated one whose frames
        are of another size; else [] (the real one's holds there too). None when the video cannot be read any more:
        nothing is written then.
    """
    video = row.gen if side == "gen" else row.gt
    if video is None or not row.n_frames:
        return None
    path = stem.with_name(stem.name + ".mp4")
    looks: list[tuple[int, Frame]] = []
    try:
        clip = open_side(row, side, video)
        n = min(row.n_frames, clip.n_frames)
        audio = None if clip.audio is None else clip.audio.samples[: n * RATE // 25]
        write_video(path, _looked_at(_scaled(clip, n, height), looks, n), audio=audio, codec="h264", crf=23)
    except ClipError:
        path.unlink(missing_ok=True)
        return None
    _write_thumbnail(dict(looks)[n // 2], stem.with_name(stem.name + ".jpg"))
    high, wide = looks[0][1].shape[:2]
    sought = side == "gt" or _other_size(row)
    mouth = _mouth([look for look in looks if look[0] % _LOOK_EVERY == 0]) if sought else []
    return {"frames": n, "width": wide, "height": high, "mouth": mouth}


def alone(video: Path, path: Path) -> None:
    """Write one video as a rater sees it: at most 480 px high, H.264 and AAC, whatever it was made with.

    Raises:
        MediaError: the video cannot be read.
    """
    clip = open_clip(video)
    write_video(
        path,
        _scaled(clip, clip.n_frames, 480),
        audio=None if clip.audio is None else clip.audio.samples,
        codec="h264",
        crf=18,
    )


def _scaled(clip: Clip, n: int, most: int) -> Iterator[Frame]:
    """The first n frames, at most so many px high, with even sides."""
    import cv2

    for frame in clip.frames(0, n):
        height, width = frame.shape[:2]
        scale = min(1.0, most / height)
        size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
        if size == (width, height):
            yield frame
        else:
            yield np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _looked_at(frames: Iterator[Frame], looks: list[tuple[int, Frame]], n: int) -> Iterator[Frame]:
    """The same frames; keeps those in which the mouth is sought, and the middle one."""
    for i, frame in enumerate(frames):
        if i % _LOOK_EVERY == 0 or i == n // 2:
            looks.append((i, frame))
        yield frame


def _other_size(row: ClipRow) -> bool:
    sizes = []
    for side in ("gen", "gt"):
        facts = row.details.get(side)
        sizes.append((facts.get("height"), facts.get("width")) if isinstance(facts, dict) else None)
    return sizes[0] != sizes[1]


def _mouth(looks: list[tuple[int, Frame]]) -> list[list[float]]:
    """[frame, x, y, half side] where a face is found."""
    from lipsync_eval.faces.backends import choose

    detector, landmarker = choose("dlib68", None, None).load()
    found: list[list[float]] = []
    for i, frame in looks:
        faces = detector.detect(frame)
        points = landmarker.points(frame, max(faces, key=lambda f: f.side).box) if faces else None
        if points is not None:
            mouth = points[MOUTH]
            (x, y), half = (mouth.min(0) + mouth.max(0)) / 2, 0.8 * np.ptp(mouth[:, 0])
            high, wide = frame.shape[:2]
            found.append([i, *(round(float(v), 4) for v in (x / wide, y / high, half / wide))])
    return found


def _write_thumbnail(frame: Frame, path: Path) -> None:
    from PIL import Image

    image = Image.fromarray(frame)
    image.thumbnail((2 * _THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    with atomic(path) as file:
        image.save(file, format="JPEG", quality=80)
