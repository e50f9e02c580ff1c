"""Folders of image files for generators that read or write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from lipsync_eval.baselines.base import BaselineError, Job
from lipsync_eval.media import open_clip, write_video
from lipsync_eval.types import Frame


def write_frames(
    video: Path, folder: Path, pattern: str = "{:06d}.png", change: Callable[[Frame], Frame] = lambda f: f
) -> int:
    """Write every frame of a video at 25 fps, numbered from 0, each through `change`; returns how many."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    n = 0
    for n, frame in enumerate(open_clip(video).frames(), 1):
        if not cv2.imwrite(str(folder / pattern.format(n - 1)), change(frame)[..., ::-1]):
            raise BaselineError(f"a frame cannot be written to {folder}")
    return n


def frames_to_video(folder: Path, pattern: str, job: Job) -> Path:
    """Make job.work/frames.mkv (lossless, with the driving speech) of the images that match, in the order of their names.

    Raises:
        BaselineError: there are none, or one cannot be read.
    """
    import wave

    import cv2

    files = sorted(folder.glob(pattern))
    if not files:
        raise BaselineError(f"wrote no {pattern} into {folder.name}")

    def frames() -> Iterator[Frame]:
        """The images, one after the other."""
        for file in files:
            read = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if read is None:
                raise BaselineError(f"its image {file.name} cannot be read")
            yield np.ascontiguousarray(read[..., ::-1])

    with wave.open(str(job.audio), "rb") as driving:
        samples = np.frombuffer(driving.readframes(driving.getnframes()), "<i2").astype(np.float32) / np.float32(32768)
    made = job.work / "frames.mkv"
    write_video(made, frames(), audio=samples, codec="lossless")
    return made


def cut(video: Path, job: Job, change: Callable[[Frame], Frame]) -> Path:
    """Make job.work/cut.mkv (lossless, with the video's own audio) of every frame of `video` through `change`, for code that shows
    other things beside its result."""
    clip = open_clip(video)
    made = job.work / "cut.mkv"
    write_video(
        made,
        (np.ascontiguousarray(change(f)) for f in clip.frames()),
        audio=None if clip.audio is None else clip.audio.samples,
        codec="lossless",
    )
    return made
