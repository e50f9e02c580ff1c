"""Decoded audio -> one unbroken line of mono samples at 16 kHz (or another rate), and where each piece of it belongs in time."""

from __future__ import annotations

from array import array
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MediaError
from lipsync_eval.media.placing import Placed, placed
from lipsync_eval.types import FPS, RATE

if TYPE_CHECKING:
    from av import AudioFrame

KEPT: Final = 600
"""s of audio kept after the end of the video, and of silence put in at most."""
_GAP: Final = Fraction(1, FPS)
"""s. A longer hole behind the last frame ends the audio."""
_TOLD: Final = Fraction(1, 1000)
"""s. Shorter cuts and pads at the head are not worth a note."""
_OPPOSITE: Final = 0.01
"""Share of the channels' mean power that is left in their mean below which they cancel each other (-20 dB)."""


class Mixer:
    """Takes decoded frames in order. The head is cut or padded to half a sample of the source, what comes later to one sample
    of the result."""

    def __init__(self, origin: Fraction | None, seconds: Fraction, rate: int = RATE) -> None:
        """`origin`: timestamp (s) of sample 0, None for that of the first frame; `seconds`: length of the video; `rate`: Hz out."""
        self.begun = False
        """Whether any audio came."""
        self._origin, self._seconds, self._rate = origin, seconds, rate
        self._time = Fraction(0)  # s on the line so far
        self._starts, self._late = array("d"), array("d")
        self._strayed = Fraction(0)  # how late the last frame was
        self._out = bytearray()
        self._graph: Any = None
        self._kind: tuple[object, ...] = ()
        self._head: str = ""
        self._stopped = ""
        self._power = [0.0, 0.0]

    def take(self, frame: AudioFrame) -> bool:
        """Put one frame on the line; False when no later one can matter.

        Raises:
            MediaError: its channels cannot be mixed, or it begins with more silence than is ever put in.
        """
        late = self._lateness(frame)
        ahead = late if not self._time else late - self._strayed
        if ahead > (_GAP if self._time else 0) and self._time + late > self._seconds:
            self._stopped = (
                f"audio that begins {float(self._time + late):.2f} s after the first frame, behind the last, left out"
            )
            return False
        if self._time > self._seconds + KEPT:
            self._stopped = f"audio more than {KEPT} s behind the last frame left out"
            return False
        if self._time:
            self._starts.append(float(self._time))
            self._late.append(float(late))
            self._strayed = late
            self._feed(frame)
        else:
            self._first(frame, late)
        return True

    def finish(self) -> Placed:
        """Everything taken, at `rate` and in its place; samples are not clipped.

        Raises:
            MediaError: time runs backwards, or there is more silence to put in than KEPT.
        """
        self._flush()
        line = np.frombuffer(self._out, np.float32)
        found = placed(line, np.frombuffer(self._starts), np.frombuffer(self._late), self._rate, most=KEPT)
        notes = [note for note in (self._head, *found.notes, self._stopped) if note]
        return Placed(found.samples, tuple(notes))

    @property
    def why_none(self) -> str:
        """Why no audio was taken; empty where nothing came."""
        return self._stopped or self._head

    @property
    def opposite(self) -> bool:
        """Whether the two channels of a stereo track cancel each other."""
        mean, channels = self._power
        return channels > 0 and mean < _OPPOSITE * channels

    def _lateness(self, frame: AudioFrame) -> Fraction:
        """s by which the frame's timestamp lies behind its place on the line; that of the last frame where it has none."""
        if frame.pts is None:
            return self._strayed
        start: Fraction = frame.pts * Fraction(frame.time_base or 1)
        origin = self._origin = start if self._origin is None else self._origin
        return start - origin - self._time

    def _first(self, frame: AudioFrame, late: Fraction) -> None:
        """Cut what lies before sample 0, put silence before what begins later."""
        if late > KEPT:
            raise MediaError(
                f"it begins {float(late):.0f} s after the first frame; at most {KEPT} s of silence are put before it"
            )
        count = round(abs(late) * frame.sample_rate)
        if not self._head and abs(late) > _TOLD:
            what = "after the first frame: silence put before it" if late > 0 else "before the first frame: cut there"
            self._head = f"audio begins {float(abs(late)):.3f} s {what}"
        if late < 0 and count >= frame.samples:
            return
        while late > 0 and count:
            n = min(count, frame.sample_rate)
            self._feed(_silent(frame, n), counted=False)
            count -= n
        self._starts.append(float(self._time))
        self._late.append(0.0)
        self._feed(_tail(frame, count) if count else frame)

    def _feed(self, frame: AudioFrame, counted: bool = True) -> None:
        kind = (frame.sample_rate, frame.format.name, frame.layout.name)
        if kind != self._kind:
            self._flush()
            self._graph, self._kind = _graph(frame, self._rate), kind
        if counted:
            self.begun = True
            self._weigh(frame)
        self._time += Fraction(frame.samples, frame.sample_rate)
        frame.pts = None
        self._graph.push(frame)
        self._pull()

    def _weigh(self, frame: AudioFrame) -> None:
        """Add up the power of a stereo track and that of its mean."""
        if frame.layout.nb_channels != 2:
            return
        data = frame.to_ndarray().astype(np.float64)
        left, right = data if frame.format.is_planar else (data[0, ::2], data[0, 1::2])
        if frame.format.name.startswith("u8"):
            left, right = left - 128, right - 128
        self._power[0] += float(np.dot(left + right, left + right)) / 4
        self._power[1] += float(np.dot(left, left) + np.dot(right, right)) / 2

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


def _graph(frame: AudioFrame, rate: int) -> Any:
    """Filters to mono at `rate` in float32: ffmpeg's own weights, scaled so that full scale in all channels stays full scale.

    ffmpeg does that scaling only when it writes integers; in float a stereo track would come out sqrt(2) too loud.

    Raises:
        MediaError: the channels have no layout that ffmpeg can mix.
    """
    import av
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    try:
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=Fraction(1, frame.sample_rate),
        )
        resample = graph.add("aresample", f"{rate}:out_sample_fmt=flt:out_chlayout=mono:rematrix_maxval=1.0")
        sink = graph.add("abuffersink")
        source.link_to(resample)
        resample.link_to(sink)
        graph.configure()
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(
            f"{frame.layout.nb_channels} channels in the layout {frame.layout.name!r} cannot be mixed to mono, since it is not known "
            "what each one holds; choose them yourself, e.g. ffmpeg -i FILE -af 'pan=mono|c0=c0' OUT.wav"
        ) from error
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
