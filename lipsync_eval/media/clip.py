"""File -> Clip: the facts of a scan, and a reader that streams pictures at 25 fps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MediaError
from lipsync_eval.files import sha256
from lipsync_eval.media.container import check_file, opened
from lipsync_eval.media.pictures import Converter
from lipsync_eval.media.scan import Scan, scan, timed, video_stream
from lipsync_eval.media.sound import read_sound
from lipsync_eval.media.timing import sample
from lipsync_eval.types import FPS, Clip, Frame


def open_clip(path: Path, *, audio: Path | None = None) -> Clip:
    """Open a video file, or a folder of numbered images, as a Clip at 25 fps with sound at 16 kHz.

    The file is decoded once without conversion to find what is in it; pictures are decoded again, as a stream, by
    `Clip.frames()`. What was done on the way in is in the notes of the clip and of its sound.

    Args:
        path: the video or folder.
        audio: a sound file that replaces the video's own track; its first sample sounds at the first picture.

    Raises:
        MediaError: the file cannot be used; the message says what was found and what to do.
    """
    path = Path(path)
    if audio is not None:
        check_file(audio)
    found = scan(path)
    picks = sample(found.pts, found.tick, found.last)
    length = Fraction(len(picks), FPS)
    if audio is not None:
        sound = read_sound(audio, origin=None, seconds=length)
        if sound is None:
            raise MediaError(f"{audio.name!r} has no sound track; give a sound file")
    else:
        sound = read_sound(path, origin=int(found.pts[0]) * found.tick, seconds=length)
    return Clip(
        path=path,
        n_frames=len(picks),
        height=found.height,
        width=found.width,
        source_fps=float(len(found.pts) / (int(found.pts[-1] - found.pts[0]) * found.tick + found.last)),
        digest=sha256(path, *([audio] if audio else [])),
        audio=sound,
        read=_reader(path, found, picks),
        notes=(*_resampled(found, picks), *found.notes),
    )


def _resampled(found: Scan, picks: NDArray[np.int64]) -> list[str]:
    n = len(found.pts)
    if len(picks) == n and (picks == np.arange(n)).all():
        return []
    seconds = int(found.pts[-1] - found.pts[0]) * found.tick + found.last
    used = len(np.unique(picks))
    return [
        f"resampled from {float(n / seconds):.4g} to {FPS} fps: {used} of {n} pictures used, {len(picks) - used} repeated"
    ]


def _reader(path: Path, found: Scan, picks: NDArray[np.int64]) -> Callable[[int, int], Iterator[Frame]]:
    def read(start: int, stop: int) -> Iterator[Frame]:
        wanted = picks[start:stop]
        if not len(wanted):
            return
        convert = Converter()
        k = 0
        with opened(path) as container:
            for i, (_, frame) in enumerate(timed(container, video_stream(container, path))):
                if i < wanted[k]:
                    continue
                picture = convert(frame)
                while k < len(wanted) and wanted[k] == i:
                    yield picture.copy()
                    k += 1
                if k == len(wanted):
                    return

    return read
