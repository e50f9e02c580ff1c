"""File -> Clip: the facts of a scan, and a reader that streams frames at 25 fps."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from lipsync_eval.errors import MediaError
from lipsync_eval.files import sha256
from lipsync_eval.media.audio import read_audio
from lipsync_eval.media.container import check_file
from lipsync_eval.media.reader import Reader
from lipsync_eval.media.sampling import sample
from lipsync_eval.media.scan import scan
from lipsync_eval.media.timing import Integers, Times
from lipsync_eval.types import FPS, Audio, Clip


def open_clip(path: Path, *, audio: Path | None = None, keep: int = 0) -> Clip:
    """Open a video file, or a folder of numbered images, as a Clip at 25 fps with audio at 16 kHz.

    The file is decoded once without conversion to find what is in it; frames are decoded again, as a stream, by
    `Clip.frames()`, unless they could be kept. What was done on the way in is in the notes of the clip and of its audio.

    Args:
        path: the video or folder.
        audio: an audio file that replaces the video's own track; its first sample sounds at the first frame.
        keep: bytes of memory that all frames of the file, as decoded, may take for as long as the clip is there, so that
            `Clip.frames()` need not decode again; where they take more none is kept. The frames are the same.

    Raises:
        MediaError: the file cannot be used; the message says what was found and what to do.
    """
    path = Path(path)
    audio = None if audio is None else Path(audio)
    if path.is_dir():
        from lipsync_eval.media.images import open_images

        return open_images(path, audio)
    if audio is not None:
        check_file(audio)
    found = scan(path, keep)
    picks = sample(found.times)
    own, useless = _audio(path, audio, found.times, len(picks))
    return Clip(
        path=path,
        n_frames=len(picks),
        height=found.height,
        width=found.width,
        source_fps=float(len(found.times.ticks) / found.times.seconds),
        digest=sha256(path, *([audio] if audio else [])),
        audio=own,
        read=Reader(path, found, picks),
        notes=(*resampled(found.times, picks), *found.notes, *([useless] if useless else [])),
        no_audio=useless,
    )


def _audio(path: Path, audio: Path | None, times: Times, n: int) -> tuple[Audio | None, str]:
    """The clip's audio, and why its own track is of no use."""
    seconds = Fraction(n, FPS)
    if audio is not None:
        given = read_audio(audio, origin=None, seconds=seconds)
        if given is None:
            raise MediaError(
                f"{audio.name!r} has no audio track; give an audio file, or none to use the video's own track"
            )
        return given, ""
    try:
        return read_audio(path, origin=times.origin, seconds=seconds), ""
    except MediaError as error:
        return None, str(error)


def resampled(times: Times, picks: Integers) -> list[str]:
    """A note when the frames of the clip are not exactly those of the file."""
    n = len(times.ticks)
    if np.array_equal(picks, np.arange(n)):
        return []
    used = len(np.unique(picks))
    return [
        f"resampled from {float(n / times.seconds):.4g} to {FPS} fps: {used} of {n} frames used, {len(picks) - used} repeated"
    ]
