"""A video at its own rate, and audio at its own rate: what dubbing must give back as it was."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_eval.errors import MediaError
from lipsync_eval.files import sha256
from lipsync_eval.media import open_clip
from lipsync_eval.media.audio import read_audio
from lipsync_eval.media.container import opened
from lipsync_eval.media.reader import Reader
from lipsync_eval.media.scan import scan
from lipsync_eval.media.writer import Codec, audio_rates
from lipsync_eval.types import FPS, RATE, Audio, Clip, Float


@dataclass(frozen=True)
class TimedFrames:
    """All frames of a video, each with its time."""

    clip: Clip
    """n_frames and frames() count the file's own frames (those of a folder of images: 25 a second)."""
    seconds: Float
    """(N,) s after the first frame."""
    fps: Fraction
    """Frames per second; the mean where they come at uneven times."""
    uneven: bool
    """Whether each frame must be written at its own time."""
    origin: Fraction | None
    """Timestamp (s) of the first frame in the file, to place its own audio; None for a folder of images."""
    notes: tuple[str, ...]

    @property
    def length(self) -> float:
        """s that the frames are shown."""
        return self.until(len(self.seconds))

    def until(self, count: int) -> float:
        """s that the first `count` frames are shown."""
        if self.uneven and count < len(self.seconds):
            return float(self.seconds[count])
        return float(count / self.fps)

    def before(self, second: float) -> int:
        """Frames of which at least half is shown before this time; at least 1."""
        half = 0.5 / float(self.fps)
        return max(1, int(np.searchsorted(self.seconds, second - half + 1e-9, side="right")))


def open_frames(path: Path) -> TimedFrames:
    """Open a video at its own rate, even or not; a folder of images, or a file of absurd rate, is read at 25 fps.

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
    if not 1 <= fps <= 1000:
        note = f"{float(fps):.4g} frames a second, which is not between 1 and 1000: dubbed and written at {FPS} fps"
        return _sampled(open_clip(path), (note,))
    uneven = float(np.abs(seconds - np.arange(count) / float(fps)).max()) > 0.5 / float(fps)
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
    notes = (*found.notes, "frames at uneven times: each is written at its own") if uneven else found.notes
    pace = fps.limit_denominator(1001) if uneven else standard_rate(fps, count, times.tick)
    return TimedFrames(clip, seconds, pace, uneven, times.origin, notes)


def _sampled(clip: Clip, notes: tuple[str, ...]) -> TimedFrames:
    return TimedFrames(clip, np.arange(clip.n_frames) / FPS, Fraction(FPS), False, None, (*clip.notes, *notes))


def standard_rate(fps: Fraction, count: int, tick: Fraction) -> Fraction:
    """The whole or NTSC (n * 1000 / 1001) rate that `count` timestamps, rounded to ticks, came from; else fps itself."""
    for candidate in (Fraction(round(fps)), Fraction(round(fps * 1001 / 1000) * 1000, 1001)):
        if candidate > 0 and abs(1 / candidate - 1 / fps) * (count - 1) <= tick:
            return candidate
    return fps.limit_denominator(1001)


def audio_rate(path: Path) -> int:
    """Samples per second of a file's audio.

    Raises:
        MediaError: no audio, or the file cannot be opened.
    """
    with opened(path) as container:
        stream: Any = container.streams.best("audio")
        if stream is None or not stream.rate:
            raise MediaError(f"{path.name!r} has no audio; give a file with speech")
        return int(stream.rate)


def rate_that_fits(rate: int, codec: Codec) -> int:
    """The rate (Hz) itself where audio beside `codec` may have it, else the next above it, else the highest there is."""
    rates = audio_rates(codec)
    return rate if not rates or rate in rates else next((r for r in rates if r > rate), rates[-1])


def audio_for(path: Path, video: TimedFrames, rate: int = RATE) -> Audio:
    """Audio for a video, mono, at `rate` (16000 is what generators hear).

    Sample 0 is the first of a file of its own; the video's own audio is placed by its timestamps.

    Raises:
        MediaError: no audio in the file, or it cannot be decoded.
    """
    own = path.resolve() == video.clip.path.resolve()
    found = read_audio(path, origin=video.origin if own else None, seconds=Fraction(video.length), rate=rate)
    if found is None:
        raise MediaError(f"{path.name!r} has no audio; give a file with speech")
    return found
