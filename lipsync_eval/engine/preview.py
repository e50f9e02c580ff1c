"""Small side-by-side videos of what was compared, for the report page and the user study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lipsync_eval.engine.scored_clips import open_side
from lipsync_eval.errors import ClipError
from lipsync_eval.media import open_clip, write_video
from lipsync_eval.results.schema import ClipRow
from lipsync_eval.types import RATE, Clip, Frame

HEIGHT = 240


def side_by_side(row: ClipRow, path: Path) -> bool:
    """Write the generated (left) and the real (right) video, scaled to 240 px height, with the generated one's audio (H.264, AAC).

    Where the run has no real video the generated one stands alone; where the real one is shorter its last frame stays.

    Returns:
        False when one of them cannot be read any more (moved, deleted): nothing is written then.
    """
    if row.gen is None or not row.n_frames:
        return False
    try:
        gen, gt = open_side(row, "gen", row.gen), None if row.gt is None else open_side(row, "gt", row.gt)
        n = min(row.n_frames, gen.n_frames)
        audio = None if gen.audio is None else gen.audio.samples[: n * RATE // 25]
        write_video(path, _frames(gen, gt, n), audio=audio, codec="h264", crf=26)
    except ClipError:
        path.unlink(missing_ok=True)
        return False
    return True


def preview(place: int, row: ClipRow, folder: Path) -> str | None:
    """Write side_by_side() into a report's folder.

    Returns:
        the file's name, made of the clip's place in the run; None when the videos cannot be read any more.
    """
    name = f"{place:06d}.mp4"
    return name if side_by_side(row, folder / name) else None


def _frames(gen: Clip, gt: Clip | None, n: int) -> Iterator[Frame]:
    if gt is None:
        yield from map(_scaled, gen.frames(0, n))
        return
    real = gt.frames(0, n)
    last = None
    for frame in gen.frames(0, n):
        last = next(real, last)
        if last is not None:
            yield np.hstack([_scaled(frame), _scaled(last)])


def _scaled(frame: Frame) -> Frame:
    import cv2

    height, width = frame.shape[:2]
    size = (max(2, round(width * HEIGHT / height / 2) * 2), HEIGHT)
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def alone(video: Path, path: Path) -> None:
    """Write one video as a rater sees it: at most 480 px high, H.264 and AAC, whatever it was made with.

    Raises:
        MediaError: the video cannot be read.
    """
    clip = open_clip(video)
    write_video(
        path,
        (_even(f) for f in clip.frames()),
        audio=None if clip.audio is None else clip.audio.samples,
        codec="h264",
        crf=18,
    )


def _even(frame: Frame) -> Frame:
    import cv2

    height, width = frame.shape[:2]
    scale = min(1.0, 480 / height)
    size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
    if size == (width, height):
        return frame
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
