"""One pass over a video file: when each picture is shown, how large it is, what is odd about it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MediaError
from lipsync_eval.media.container import check_size, opened
from lipsync_eval.media.pictures import display_matrix, turns
from lipsync_eval.types import FPS

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer

MISSING_TOLERANCE: Final = Fraction(1, 5)
"""s. A file that states a longer duration than it holds, by more than this, was cut off."""
_STATED: Final = ("mov", "matroska", "avi", "flv", "asf")
"""Formats whose header states a duration (in others ffmpeg derives it from what is there)."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass found."""

    pts: NDArray[np.int64]
    """(N,) strictly increasing timestamps of the decoded pictures, in ticks."""
    tick: Fraction
    """s per tick."""
    last: Fraction
    """s the last picture is shown."""
    height: int
    """px, after rotation."""
    width: int
    notes: tuple[str, ...]


@dataclass
class _Tally:
    """What is counted on the way."""

    damaged: int = 0
    early: int = 0
    untimed: int = 0
    backwards: int = 0
    size: tuple[int, int] = (0, 0)
    first: Any = None
    last: Fraction = Fraction(0)
    end: Fraction = Fraction(0)
    pts: array[int] = field(default_factory=lambda: array("q"))


def scan(path: Path) -> Scan:
    """Decode every picture once, without turning it into RGB.

    Raises:
        MediaError: no video in the file, no picture, damaged or missing pictures, a change of size.
    """
    with opened(path) as container:
        stream = video_stream(container, path)
        tally = _Tally()
        for pts, frame in timed(container, stream, tally):
            _look(path, frame, tally)
            tally.pts.append(pts)
            if frame.duration:
                tally.last = frame.duration * stream.time_base
            else:
                tally.last = Fraction(0)
        notes = _check(path, container, stream, tally)
        pts = np.frombuffer(tally.pts, np.int64).copy()
        return Scan(
            pts=pts,
            tick=stream.time_base,
            last=tally.last or _mean_gap(pts, stream),
            height=tally.size[0],
            width=tally.size[1],
            notes=notes,
        )


def video_stream(container: InputContainer, path: Path) -> Any:
    """The video track that ffmpeg would take, set to decode on one thread (threads change what damaged files give).

    Raises:
        MediaError: there is none (a sound file), or it is a still image.
    """
    from av.stream import Disposition

    name = container.format.name
    best = container.streams.best("video")
    if best is None or best.codec_context is None:
        raise MediaError(f"{path.name!r} has no picture track, only sound; give a video, and the sound with --pairs or beside it")
    if name.endswith("_pipe") or name == "image2":
        raise MediaError(f"{path.name!r} is a still image, not a video; give a video or a folder of numbered images")
    if best.disposition & Disposition.attached_pic:
        raise MediaError(f"{path.name!r} is a sound file with a cover picture; give a video")
    check_size(path, best.codec_context.width, best.codec_context.height)
    best.codec_context.thread_type = "SLICE"
    best.codec_context.thread_count = 1
    return best


def timed(container: InputContainer, stream: Any, tally: _Tally | None = None) -> Iterator[tuple[int, VideoFrame]]:
    """Decoded pictures with their timestamps in ticks, strictly increasing; the same pictures in every pass.

    A picture without a timestamp gets its decoding time, else the one before plus a step of the mean rate; one that is
    not later than the picture before it is left out (counted in the tally).
    """
    tally = tally or _Tally()
    step = max(1, round(1 / (_rate(stream) * stream.time_base)))
    previous: int | None = None
    for frame in _decoded(container, stream, tally):
        pts = frame.pts
        if pts is None:
            tally.untimed += 1
            pts = frame.dts if frame.dts is not None else (0 if previous is None else previous + step)
        if previous is not None and pts <= previous:
            tally.backwards += 1
            continue
        previous = pts
        yield pts, frame


def _decoded(container: InputContainer, stream: Any, tally: _Tally) -> Iterator[VideoFrame]:
    import av

    started = False
    for packet in _packets(container, stream, tally):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            tally.damaged += started
            tally.early += not started
            continue
        for frame in frames:
            if frame.is_corrupt:
                tally.damaged += started
                tally.early += not started
                if not started:
                    continue
            started = True
            yield frame


def _packets(container: InputContainer, stream: Any, tally: _Tally) -> Iterator[Packet]:
    """Packets of the picture track; those of other tracks only move the tally's end."""
    import av

    demuxer = container.demux()
    while True:
        try:
            packet = next(demuxer)
        except StopIteration:
            return
        except av.error.FFmpegError:  # a packet that lies beyond the end of the file
            tally.damaged += 1
            return
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None and packet.time_base:
            tally.end = max(tally.end, (time + (packet.duration or 0)) * packet.time_base)
        if packet.stream is stream or packet.stream.index == stream.index:
            yield packet


def _look(path: Path, frame: VideoFrame, tally: _Tally) -> None:
    """Hold every picture to the size of the first."""
    matrix = display_matrix(frame)
    turned = any(name == "transpose" for name, _ in turns(matrix))
    size = (frame.width, frame.height) if turned else (frame.height, frame.width)
    check_size(path, *size)
    if tally.first is None:
        tally.first, tally.size = _facts(frame), size
    elif size != tally.size:
        raise MediaError(
            f"{path.name!r}: the picture size changes from {tally.size[1]}x{tally.size[0]} to {size[1]}x{size[0]} px "
            f"at picture {len(tally.pts)}; scale the video to one size"
        )


def _facts(frame: VideoFrame) -> tuple[str, ...]:
    """Notes that the first picture gives."""
    notes = []
    chain = turns(display_matrix(frame))
    if chain:
        words = ", ".join(f"{name} {argument}".strip() for name, argument in chain)
        notes.append(f"rotated as the file's display matrix asks ({words})")
    depth = max(component.bits for component in frame.format.components)
    if depth > 8:
        notes.append(f"{depth}-bit pictures converted to 8 bits")
    if frame.interlaced_frame:
        notes.append("marked as interlaced: not deinterlaced")
    return tuple(notes)


def _check(path: Path, container: InputContainer, stream: Any, tally: _Tally) -> tuple[str, ...]:
    """Refuse files with damaged or missing pictures; name what was found otherwise."""
    n = len(tally.pts)
    if n == 0:
        raise MediaError(f"{path.name!r} holds no picture that can be decoded; it is cut off or damaged: make it again")
    if tally.damaged:
        raise MediaError(
            f"{path.name!r}: {tally.damaged} of about {n + tally.damaged} pictures cannot be decoded (the file is damaged "
            "or cut off); make it again"
        )
    notes = [*tally.first, *_missing(path, container, stream, tally)]
    if tally.early:
        notes.append(f"{tally.early} packets before the first complete picture left out")
    if tally.untimed:
        notes.append(f"{tally.untimed} pictures without a timestamp: decoding order used")
    if tally.backwards:
        notes.append(f"{tally.backwards} pictures not later than the one before left out")
    if n == 1:
        notes.append("a single picture")
    return tuple(notes)


def _missing(path: Path, container: InputContainer, stream: Any, tally: _Tally) -> list[str]:
    """How much less the file holds than its header states."""
    if not container.format.name.startswith(_STATED):
        return []
    tick = stream.time_base
    gaps = []
    if stream.duration:
        end = tally.pts[-1] * tick + (tally.last or _mean_gap(np.frombuffer(tally.pts, np.int64), stream))
        gaps.append(((stream.start_time or 0) + stream.duration) * tick - end)
    if container.duration:
        start = Fraction(container.start_time or 0, 1_000_000)
        gaps.append(start + Fraction(container.duration, 1_000_000) - tally.end)
    gap = max(gaps, default=Fraction(0))
    if gap > MISSING_TOLERANCE:
        raise MediaError(
            f"{path.name!r} was cut off: its header states {float(gap):.2f} s more than the file holds "
            f"({len(tally.pts)} pictures; up to {float(MISSING_TOLERANCE)} s are accepted); make it again"
        )
    return [f"header states {float(gap):.3f} s more than the file holds"] if gap > Fraction(1, FPS) else []


def _rate(stream: Any) -> Fraction:
    """Pictures per second as the header has it; 25 where it says nothing useful."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 1 <= rate <= 1000:
            return Fraction(rate)
    return Fraction(FPS)


def _mean_gap(pts: NDArray[np.int64], stream: Any) -> Fraction:
    """s from picture to picture; used for the last picture where the file does not say how long it is shown."""
    if len(pts) < 2:
        return 1 / _rate(stream)
    return Fraction(int(pts[-1] - pts[0]), len(pts) - 1) * Fraction(stream.time_base)
