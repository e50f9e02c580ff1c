"""A video at its own rate, and sound at its own rate: what dubbing must give back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MediaError
from lipsync_eval.files import sha256
from lipsync_eval.media import open_clip
from lipsync_eval.media.container import opened
from lipsync_eval.media.reader import Reader
from lipsync_eval.media.scan import scan
from lipsync_eval.types import FPS, Clip, Float


@dataclass(frozen=True)
class Pictures:
    """All pictures of a video, each with its time."""

    clip: Clip
    """n_frames and frames() count the file's own pictures (not 25 a second, unless `resampled`)."""
    seconds: Float
    """(N,) s after the first picture."""
    fps: Fraction
    """Pictures per second for writing."""
    origin: Fraction | None
    """Timestamp (s) of the first picture in the file, to place its own sound; None for sampled pictures."""
    notes: tuple[str, ...]

    @property
    def length(self) -> float:
        """s that the pictures are shown."""
        return float(len(self.seconds) / self.fps)


def open_pictures(path: Path) -> Pictures:
    """Open a video at its own, even rate; one of uneven rate, or a folder of images, is read at 25 fps (noted).

    Raises:
        MediaError: the file cannot be used.
    """
    if path.is_dir():
        return _sampled(open_clip(path), ())
    found = scan(path)
    times = found.times
    count = len(times.ticks)
    seconds: Float = (times.ticks - times.ticks[0]).astype(np.float64) * float(times.tick)
    fps = (count - 1) / (times.seconds - times.last) if count > 1 else Fraction(FPS)
    uneven = float(np.abs(seconds - np.arange(count) / float(fps)).max()) > 0.5 / float(fps)
    if uneven or not 1 <= fps <= 1000:
        note = f"pictures at uneven times ({float(fps):.4g} a second on average): dubbed and written at {FPS} fps"
        return _sampled(open_clip(path), (note,))
    clip = Clip(
        path=path,
        n_frames=count,
        height=found.height,
        width=found.width,
        source_fps=float(fps),
        digest=f"{sha256(path)}@own-rate",
        audio=None,
        read=Reader(path, found, np.arange(count)),
        notes=found.notes,
    )
    return Pictures(clip, seconds, standard_rate(fps, count, times.tick), times.origin, (*times.notes, *found.notes))


def _sampled(clip: Clip, notes: tuple[str, ...]) -> Pictures:
    return Pictures(clip, np.arange(clip.n_frames) / FPS, Fraction(FPS), None, (*clip.notes, *notes))


def standard_rate(fps: Fraction, count: int, tick: Fraction) -> Fraction:
    """The whole or NTSC (n * 1000 / 1001) rate that `count` timestamps, rounded to ticks, came from; else fps itself."""
    for candidate in (Fraction(round(fps)), Fraction(round(fps * 1001 / 1000) * 1000, 1001)):
        if candidate > 0 and abs(1 / candidate - 1 / fps) * (count - 1) <= tick:
            return candidate
    return fps.limit_denominator(1001)


def native_sound(path: Path) -> tuple[NDArray[np.float32], int]:
    """Sound of a file at its own rate: (N,) float32 mono (mean of the channels) in [-1, 1], and samples per second.

    Raises:
        MediaError: no sound, or it cannot be decoded.
    """
    import av

    with opened(path) as container:
        stream = container.streams.best("audio")
        if stream is None or stream.codec_context is None:
            raise MediaError(f"{path.name!r} has no sound; give a file with speech")
        resampler = av.AudioResampler(format="fltp")
        decoder: Any = stream.codec_context
        rate = int(decoder.sample_rate)
        parts: list[NDArray[np.float32]] = []
        try:
            decoded: Iterator[Any] = container.decode(stream)
            for frame in decoded:
                frame.pts = None
                parts += [made.to_ndarray().mean(axis=0, dtype=np.float32) for made in resampler.resample(frame)]
            parts += [made.to_ndarray().mean(axis=0, dtype=np.float32) for made in resampler.resample(None)]
        except av.error.FFmpegError as error:
            raise MediaError(f"the sound of {path.name!r} cannot be decoded ({error}); convert it to wav") from error
    if not parts:
        raise MediaError(f"{path.name!r} holds no sample of sound; give a file with speech")
    return np.clip(np.concatenate(parts), -1.0, 1.0), rate
