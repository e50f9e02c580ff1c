"""Tiny videos with known frames, times and audio, made through PyAV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BITS = 12


def stamped(i: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A frame that says its number: 12 white or black stripes on top, a moving gradient below."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([(x * 3 + i * 5) % 256, (y * 4 + x) % 256, (x + y * 2 + i * 3) % 256], axis=2).astype(np.uint8)
    for bit in range(BITS):
        picture[: height // 3, bit * width // BITS : (bit + 1) * width // BITS] = 235 if i >> bit & 1 else 16
    return picture


def number_in(picture: NDArray[np.uint8]) -> int:
    """The number of a stamped frame, after any codec."""
    height, width = picture.shape[:2]
    row = picture[height // 8 : height // 4].mean(axis=(0, 2))
    return sum(int(row[(2 * bit + 1) * width // (2 * BITS)] > 125) << bit for bit in range(BITS))


def make_video(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    times: Sequence[int] | None = None,
    tick: Fraction = Fraction(1, 25),
    codec: str = "ffv1",
    pixels: str = "bgr0",
    options: dict[str, str] | None = None,
    setup: Callable[[Any], None] | None = None,
    sound: NDArray[Any] | None = None,
    sound_codec: str = "pcm_s16le",
    rate: int = 16000,
    sound_start: float = 0.0,
    muxer: dict[str, str] | None = None,
) -> Path:
    """Encode frames at `times` (ticks) and audio ((channels, n) float) that begins at `sound_start` s."""
    with av.open(str(path), "w", options=muxer or {}) as container:
        video: Any = container.add_stream(codec, rate=Fraction(1 / tick), options={"threads": "1", **(options or {})})
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = pixels
        video.codec_context.time_base = tick
        if setup:
            setup(video)
        audio: Any = None
        if sound is not None:
            audio = container.add_stream(sound_codec, rate=rate)
            audio.layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = (i if times is None else times[i]), tick
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            _encode_sound(container, audio, sound, rate, sound_start)
    return path


def make_sound(path: Path, sound: NDArray[Any], *, rate: int, codec: str = "pcm_s16le") -> Path:
    """An audio file; `audio` is (channels, n) float."""
    with av.open(str(path), "w") as container:
        audio: Any = container.add_stream(codec, rate=rate)
        audio.layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
        _encode_sound(container, audio, sound, rate, 0.0)
    return path


def _encode_sound(container: Any, audio: Any, sound: NDArray[Any], rate: int, start: float) -> None:
    layout = audio.layout.name
    for first in range(0, sound.shape[1], 1024):
        block = np.ascontiguousarray(sound[:, first : first + 1024].astype(np.float32))
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(start * rate) + first
        container.mux(audio.encode(frame))
    container.mux(audio.encode(None))


def tone(seconds: float, rate: int = 16000, hertz: float = 440.0, level: float = 0.5) -> NDArray[np.float64]:
    """(n,) a sine."""
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def clicks(seconds: float, at: Sequence[float], rate: int = 16000) -> NDArray[np.float64]:
    """(n,) silence with a click of 2 ms at each given second."""
    samples = np.zeros(round(seconds * rate))
    for second in at:
        first = round(second * rate)
        samples[first : first + rate // 500] = 0.8
    return samples


def onsets(samples: NDArray[np.float32], rate: int = 16000) -> list[float]:
    """Seconds at which clicks begin."""
    loud = np.flatnonzero(np.abs(samples) > 0.3)
    return [float(i) / rate for k, i in enumerate(loud) if k == 0 or i - loud[k - 1] > rate // 20]
