"""Sound of a file -> float32 mono at 16 kHz, sample 0 at the first picture."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MediaError
from lipsync_eval.media.container import opened
from lipsync_eval.media.names import sounds_of
from lipsync_eval.types import FPS, RATE, Audio

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import InputContainer

GAP_TOLERANCE: Final = Fraction(1, FPS)
"""s. Timestamps that stray less than this from the running count of samples are jitter; beyond it lies a gap."""
MAX_SECONDS: Final = 24 * 3600
"""Longer sound is refused."""


def read_sound(path: Path, *, origin: Fraction | None, seconds: Fraction) -> Audio | None:
    """Sound of a file, its natural length.

    Args:
        path: a sound file, or a video whose own track is wanted.
        origin: timestamp (s) of the first picture in the same file, which becomes sample 0: what sounds earlier is cut,
            silence is put before what begins later. None for a file of its own: its first sample is sample 0.
        seconds: length of the picture; a difference of more than one picture (0.04 s) is noted.

    Returns:
        None where the file has no sound track.

    Raises:
        MediaError: the file or its sound cannot be decoded.
    """
    with opened(path) as container:
        stream = container.streams.best("audio")
        if stream is None or stream.codec_context is None:
            return None
        mixer = _Mixer(path, origin, seconds)
        for frame in _frames(container, stream, mixer):
            if not mixer.take(frame):
                break
        return mixer.finish()


def _frames(container: InputContainer, stream: Any, mixer: _Mixer) -> Iterator[AudioFrame]:
    import av

    demuxer = container.demux(stream)
    while True:
        try:
            packet = next(demuxer)
        except StopIteration:
            return
        except av.error.FFmpegError:
            mixer.damaged += 1
            return
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            mixer.damaged += 1
            continue
        yield from frames


class _Mixer:
    """Puts decoded frames on one time line at 16 kHz."""

    def __init__(self, path: Path, origin: Fraction | None, seconds: Fraction) -> None:
        self.path = path
        self.origin = origin
        self.seconds = seconds
        self.damaged = 0
        self._out = bytearray()
        self._kind: tuple[object, ...] = ()
        self._graph: Any = None
        self._time = Fraction(0)  # s of sound taken, from sample 0
        self._begun = False
        self._filled = Fraction(0)
        self._dropped = Fraction(0)
        self._notes: list[str] = []

    def take(self, frame: AudioFrame) -> bool:
        """Add one frame; False when nothing after it can matter."""
        placed = self._in_place(frame)
        if placed is None:
            return True
        if self._time > MAX_SECONDS:
            raise MediaError(f"the sound of {self.path.name!r} is longer than {MAX_SECONDS} s; cut it")
        self._feed(placed)
        return True

    def finish(self) -> Audio:
        """All sound so far, with notes."""
        self._flush()
        samples = np.frombuffer(self._out, np.float32)
        return Audio(samples=np.clip(samples, -1.0, 1.0), source=self.path, notes=tuple(self._notes))

    def _in_place(self, frame: AudioFrame) -> AudioFrame | None:
        """Silence before, or a cut at the head of, a frame whose timestamp disagrees with the running count."""
        if frame.pts is None:
            return frame
        start = frame.pts * Fraction(frame.time_base)
        if self.origin is None:
            self.origin = start
        early = self._time - (start - self.origin)  # s that this frame begins before its place
        if self._begun and abs(early) <= GAP_TOLERANCE:
            return frame
        count = round(abs(early) * frame.sample_rate)
        if early < 0:
            self._silence(frame, count)
            return frame
        if count >= frame.samples:
            return None
        return _tail(frame, count)

    def _silence(self, like: AudioFrame, count: int) -> None:
        while count > 0:
            n = min(count, like.sample_rate)
            self._feed(_silent(like, n))
            count -= n

    def _feed(self, frame: AudioFrame) -> None:
        kind = (frame.sample_rate, frame.format.name, frame.layout.name, frame.layout.nb_channels)
        if kind != self._kind:
            self._flush()
            self._graph, self._kind = _graph(frame), kind
        self._begun = True
        self._time += Fraction(frame.samples, frame.sample_rate)
        frame.pts = None
        self._graph.push(frame)
        self._pull()

    def _flush(self) -> None:
        if self._graph is not None:
            self._graph.push(None)
            self._pull()
            self._graph = None

    def _pull(self) -> None:
        import av

        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            self._out += frame.to_ndarray().astype(np.float32, copy=False).tobytes()


def _graph(frame: AudioFrame) -> Any:
    """To mono at 16 kHz in float32; channels are weighted so that a full-scale signal in all of them stays full scale."""
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    source = graph.add_abuffer(
        sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name, time_base=Fraction(1, frame.sample_rate)
    )
    resample = graph.add("aresample", f"{RATE}:out_sample_fmt=flt:out_chlayout=mono:rematrix_maxval=1.0")
    sink = graph.add("abuffersink")
    source.link_to(resample)
    resample.link_to(sink)
    graph.configure()
    return graph


def _tail(frame: AudioFrame, first: int) -> AudioFrame:
    channels = 1 if frame.format.is_planar else frame.layout.nb_channels
    return _frame(frame.to_ndarray()[:, first * channels :], frame)


def _silent(like: AudioFrame, n: int) -> AudioFrame:
    data = like.to_ndarray()
    width = n if like.format.is_planar else n * like.layout.nb_channels
    # Unsigned samples rest in the middle of their range.
    rest = 128 if data.dtype == np.uint8 else 0
    return _frame(np.full((data.shape[0], width), rest, data.dtype), like)


def _frame(data: NDArray[Any], like: AudioFrame) -> AudioFrame:
    from av import AudioFrame

    made = AudioFrame.from_ndarray(np.ascontiguousarray(data), format=like.format.name, layout=like.layout.name)
    made.sample_rate = like.sample_rate
    return made


def has_sound(path: Path) -> bool:
    """Whether a clip has a sound track, or sound files that belong to it; False for a file that cannot be opened."""
    if sounds_of(path):
        return True
    if path.is_dir():
        return False
    try:
        with opened(path) as container:
            return bool(container.streams.audio)
    except MediaError:
        return False
