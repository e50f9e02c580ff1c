"""Writing a video: lossless (exact RGB) or as H.264, frame by frame, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError, OutputError
from lipsync_eval.files import atomic
from lipsync_eval.types import FPS, RATE, Frame

Codec = Literal["lossless", "h264"]

_FORMATS: Final[dict[str, dict[str, str]]] = {
    "lossless": {".mkv": "matroska"},
    "h264": {".mp4": "mp4", ".mov": "mov", ".m4v": "mp4", ".mkv": "matroska"},
}
"""Suffix -> muxer, by codec."""
_CLOCK: Final = 90_000
"""Ticks per second of frames at given times; every usual rate is a whole number of them."""
_MKV_CLOCK: Final = 1000


def write_video(
    path: Path,
    frames: Iterable[Frame],
    *,
    fps: float | Fraction = FPS,
    times: Sequence[float] | None = None,
    audio: NDArray[np.float32] | None = None,
    rate: int = RATE,
    codec: Codec = "lossless",
    crf: int = 18,
) -> int:
    """Encode frames as they come, with audio beside them; the same input gives the same bytes on the same build.

    Args:
        path: .mkv for "lossless" (FFV1 in bgr0, PCM 16 bit: RGB and 16-bit audio come back exactly); .mp4, .m4v, .mov
            or .mkv for "h264" (x264 yuv420p, BT.601, limited range; AAC).
        frames: (H, W, 3) uint8 RGB, all of one size; even sides for "h264".
        fps: frames per second, at most 1000.
        times: for frames at uneven times: s at which each one is shown, from 0, increasing; `fps` is then their mean.
            Kept to 1/90000 s (.mkv: to 1 ms), which may not make two of them one.
        audio: (N,) float mono in [-1, 1]; sample 0 sounds at the first frame; written whole, whatever its length.
        rate: samples per second of `audio`; for "h264" one that AAC has (see `audio_rates`).
        codec: "lossless" or "h264".
        crf: quality of "h264": 0 (best) to 51.

    Returns:
        number of frames written.

    Raises:
        InputError: no frame, frames or audio of a wrong shape or type, a suffix or a rate that does not fit the codec.
        OutputError: the file cannot be written; what was at `path` before is untouched.
    """
    import av

    path = Path(path)
    muxer = _muxer(path, codec)
    pace = _pace(fps)
    ticks = None if times is None else _ticks(times, muxer)
    audio = None if audio is None else _checked(audio, rate, codec)
    stream = iter(frames)
    first = next(stream, None)
    if first is None:
        raise InputError(f"no frame to write to {path.name!r}; give at least one")
    size = _size(first, codec)
    try:
        with atomic(path) as file, av.open(file, "w", format=muxer, options={"fflags": "+bitexact"}) as container:
            writer = _Writer(container, size, pace, ticks, audio, rate, codec, crf)
            writer.frame(first)
            for frame in stream:
                writer.frame(frame)
            writer.close()
            return writer.count
    except (OSError, av.error.FFmpegError) as error:
        raise OutputError(
            f"{str(path)!r} cannot be written ({error}); check that the folder exists and has room"
        ) from error


class _Writer:
    """Encoders of one file; audio is fed along with the frames so that little is held back."""

    def __init__(
        self,
        container: Any,
        size: tuple[int, int],
        pace: Fraction,
        ticks: list[int] | None,
        audio: NDArray[np.float32] | None,
        rate: int,
        codec: str,
        crf: int,
    ) -> None:
        self.count = 0
        self._container, self._size, self._pace, self._rate = container, size, pace, rate
        self._ticks, self._tick = ticks, 1 / pace if ticks is None else Fraction(1, _CLOCK)
        self._audio_in = np.empty(0, np.float32) if audio is None else audio
        self._fed = 0
        self._lossless = codec == "lossless"
        self._video = self._add_video(crf)
        self._audio = None if audio is None else self._add_audio()

    def _add_video(self, crf: int) -> Any:
        name, pixels = ("ffv1", "bgr0") if self._lossless else ("libx264", "yuv420p")
        options = {"threads": "1"}
        if not self._lossless:
            # With other numbers of threads, or with its macroblock tree (at 224x224 for one), x264 gives other bytes every time.
            options |= {"crf": str(crf), "x264-params": "mbtree=0"}
        video = self._container.add_stream(name, rate=self._pace, options=options)
        video.height, video.width = self._size
        video.pix_fmt = pixels
        video.time_base = video.codec_context.time_base = self._tick
        if not self._lossless:
            video.codec_context.colorspace = 6  # SMPTE 170M, the matrix that the conversion below uses
            video.codec_context.color_range = 1  # limited
        return video

    def _add_audio(self) -> Any:
        audio = self._container.add_stream("pcm_s16le" if self._lossless else "aac", rate=self._rate)
        audio.layout = "mono"
        audio.format = "s16" if self._lossless else "fltp"
        audio.codec_context.time_base = Fraction(1, self._rate)
        return audio

    def frame(self, frame: Frame) -> None:
        """Encode one frame and the audio that goes with it."""
        from av import VideoFrame

        if _size(frame, "lossless") != self._size:
            raise InputError(f"frame {self.count} is {frame.shape[:2]}, the first was {self._size}; give one size")
        made = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        if not self._lossless:
            made = made.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG", threads=1)
        shown = self._shown(self.count)
        made.pts, made.time_base = shown, self._tick
        self._container.mux(self._video.encode(made))
        self.count += 1
        self._feed(int((shown * self._tick + 1 / self._pace) * self._rate))

    def _shown(self, number: int) -> int:
        """Ticks at which a frame is shown."""
        if self._ticks is None:
            return number
        if number >= len(self._ticks):
            raise InputError(f"more frames came than the {len(self._ticks)} times given; give one time for each")
        return self._ticks[number]

    def close(self) -> None:
        """The rest of the audio, and what the encoders hold back."""
        while self._fed < len(self._audio_in):
            self._feed(self._fed + self._rate)
        self._container.mux(self._video.encode(None))
        if self._audio is not None:
            self._container.mux(self._audio.encode(None))

    def _feed(self, stop: int) -> None:
        from av import AudioFrame

        chunk = self._audio_in[self._fed : stop]
        if self._audio is None or not len(chunk):
            return
        data = (
            np.clip(np.rint(chunk.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)
            if self._lossless
            else chunk
        )
        frame = AudioFrame.from_ndarray(data[None], format="s16" if self._lossless else "fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._fed, Fraction(1, self._rate)
        self._container.mux(self._audio.encode(frame))
        self._fed += len(chunk)


def _muxer(path: Path, codec: str) -> str:
    if codec not in _FORMATS:
        raise InputError(f"codec is {codec!r}; expected one of {', '.join(_FORMATS)}")
    muxer = _FORMATS[codec].get(path.suffix.lower())
    if muxer is None:
        raise InputError(f"{path.name!r}: {codec} video goes into {' or '.join(_FORMATS[codec])}")
    return muxer


def _pace(fps: float | Fraction) -> Fraction:
    pace = Fraction(fps).limit_denominator(1001)
    if not 0 < pace <= 1000:
        raise InputError(f"fps is {fps}; expected more than 0 and at most 1000")
    return pace


def _ticks(times: Sequence[float], muxer: str) -> list[int]:
    ticks = [round(second * _CLOCK) for second in times]
    if ticks[:1] != [0] or any(later <= before for before, later in pairwise(ticks)):
        raise InputError("times must begin at 0 and increase by at least 1/90000 s from frame to frame")
    kept = [(2 * tick * _MKV_CLOCK + _CLOCK) // (2 * _CLOCK) for tick in ticks]  # rounded as the muxer does
    if muxer == "matroska" and any(later == before for before, later in pairwise(kept)):
        raise InputError("two of the times are the same ms, the clock of .mkv: readers would drop a frame; write .mp4")
    return ticks


def _size(frame: Frame, codec: str) -> tuple[int, int]:
    if (
        not isinstance(frame, np.ndarray)
        or frame.dtype != np.uint8
        or frame.ndim != 3
        or frame.shape[2] != 3
        or not frame.size
    ):
        got = f"{getattr(frame, 'dtype', type(frame).__name__)} {getattr(frame, 'shape', '')}"
        raise InputError(f"a frame must be (H, W, 3) uint8 RGB; got {got}")
    height, width = frame.shape[:2]
    if codec == "h264" and (height % 2 or width % 2):
        raise InputError(
            f"h264 (yuv420p) needs even sides, the frames are {width}x{height}; pad them, or write lossless"
        )
    return height, width


def audio_rates(codec: Codec) -> tuple[int, ...]:
    """Samples per second that audio beside "h264" (AAC) may have, ascending; empty where any will do ("lossless": PCM)."""
    from av.codec import Codec as Coder

    return () if codec == "lossless" else tuple(sorted(Coder("aac", "w").audio_rates or ()))


def _checked(audio: NDArray[np.float32], rate: int, codec: Codec) -> NDArray[np.float32]:
    if not isinstance(audio, np.ndarray) or audio.ndim != 1 or not np.issubdtype(audio.dtype, np.floating):
        raise InputError("audio must be (N,) float samples in [-1, 1], mono")
    if not np.isfinite(audio).all() or rate <= 0:
        raise InputError(f"audio must be finite and its rate positive; the rate is {rate}")
    if (rates := audio_rates(codec)) and rate not in rates:
        raise InputError(
            f"the rate of audio is {rate}; AAC, the audio of h264 files, has {', '.join(map(str, rates))}: "
            "resample it, or write lossless"
        )
    return audio.astype(np.float32, copy=False)
