"""Decoded sound -> one line of mono samples at 16 kHz (or another rate), placed by timestamps."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import FPS, RATE

if TYPE_CHECKING:
    from av import AudioFrame

GAP: Final = Fraction(1, FPS)
"""s. A timestamp that strays no more than this from the running count of samples is jitter; beyond it lies a gap."""
KEPT: Final = 600
"""s of sound kept after the end of the picture."""
_TOLD: Final = Fraction(1, 1000)
"""s. Shorter cuts and pads at the head are not worth a note."""


class Mixer:
    """Takes decoded frames in order. Silence and cuts are exact to half a sample of the source."""

    def __init__(self, origin: Fraction | None, seconds: Fraction, rate: int = RATE) -> None:
        """`origin`: timestamp (s) of sample 0, None for that of the first frame; `seconds`: length of the picture; `rate`: Hz out."""
        self.begun = False
        """Whether any sound came."""
        self._origin, self._seconds, self._rate = origin, seconds, rate
        self._time = Fraction(0)  # s on the line so far
        self._out = bytearray()
        self._graph: Any = None
        self._kind: tuple[object, ...] = ()
        self._head: str = ""
        self._filled, self._cut = Fraction(0), Fraction(0)
        self._stopped = ""

    @property
    def notes(self) -> list[str]:
        """What was done to keep sound and picture together."""
        notes = [self._head] if self._head else []
        if self._filled:
            notes.append(f"gaps of {float(self._filled):.3f} s in the sound filled with silence")
        if self._cut:
            notes.append(f"{float(self._cut):.3f} s of overlapping sound cut")
        if self._stopped:
            notes.append(self._stopped)
        return notes

    def take(self, frame: AudioFrame) -> bool:
        """Put one frame on the line; False when no later one can matter."""
        late = self._late(frame)
        if late > 0 and self._time + late > self._seconds:
            self._stopped = (
                f"sound that begins {float(self._time + late):.2f} s after the first picture, behind the last, left out"
            )
            return False
        if self._time > self._seconds + KEPT:
            self._stopped = f"sound more than {KEPT} s behind the last picture left out"
            return False
        count = round(abs(late) * frame.sample_rate)
        if not self.begun and not self._head and abs(late) > _TOLD:
            what = (
                "after the first picture: silence put before it" if late > 0 else "before the first picture: cut there"
            )
            self._head = f"sound begins {float(abs(late)):.3f} s {what}"
        elif self.begun and late > 0:
            self._filled += late
        elif self.begun:
            self._cut += Fraction(min(count, frame.samples), frame.sample_rate)
        self._place(frame, count, late > 0)
        return True

    def finish(self) -> NDArray[np.float32]:
        """(N,) everything taken, at `rate`; not clipped."""
        self._flush()
        return np.frombuffer(self._out, np.float32)

    def _late(self, frame: AudioFrame) -> Fraction:
        """s by which the frame's timestamp lies behind its place in the line; 0 within the tolerance."""
        if frame.pts is None:
            return Fraction(0)
        start: Fraction = frame.pts * Fraction(frame.time_base or 1)
        origin = self._origin = start if self._origin is None else self._origin
        late = start - origin - self._time
        return late if not self._time or abs(late) > GAP else Fraction(0)

    def _place(self, frame: AudioFrame, count: int, silence: bool) -> None:
        while silence and count:
            n = min(count, frame.sample_rate)
            self._feed(_silent(frame, n))
            count -= n
        if not silence and count:
            # What lies before sample 0 is dropped; the line does not move.
            if count >= frame.samples:
                return
            frame = _tail(frame, count)
        self.begun = True
        self._feed(frame)

    def _feed(self, frame: AudioFrame) -> None:
        kind = (frame.sample_rate, frame.format.name, frame.layout.name)
        if kind != self._kind:
            self._flush()
            self._graph, self._kind = _graph(frame, self._rate), kind
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


def _graph(frame: AudioFrame, rate: int) -> Any:
    """Filters to mono at `rate` in float32: ffmpeg's own weights, scaled so that full scale in all channels stays full scale.

    ffmpeg does that scaling only when it writes integers; in float a stereo track would come out sqrt(2) too loud.
    """
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
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
