"""One pass over a video file: when each picture is shown, how large it is, what is odd about it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lipsync_eval.errors import MediaError
from lipsync_eval.media.container import check_size, opened
from lipsync_eval.media.damage import check_damage
from lipsync_eval.media.messages import Messages, listening
from lipsync_eval.media.packets import Health, decode, packets
from lipsync_eval.media.pictures import Display, turns
from lipsync_eval.media.timing import NO_TIME, Times, place
from lipsync_eval.types import FPS

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

_BY_DECODING: Final = ("avi", "h264", "hevc", "m4v", "mpegvideo", "mjpeg")
"""Formats without presentation times: what ffmpeg makes up for pictures that are coded out of order is a guess."""

_HDR: Final = (16, 18)
"""Transfer curves PQ (SMPTE 2084) and HLG (ARIB STD-B67), as H.273 numbers them."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass found."""

    times: Times
    """When each picture is shown."""
    height: int
    """px, after rotation."""
    width: int
    seeks: bool
    """The container has an index by presentation time, so that a reader may begin at a keyframe."""
    notes: tuple[str, ...]


@dataclass
class _Found:
    """What is gathered picture by picture."""

    pts: array[int] = field(default_factory=lambda: array("q"))
    dts: array[int] = field(default_factory=lambda: array("q"))
    size: tuple[int, int] = (0, 0)
    facts: tuple[str, ...] = ()
    last: int = 0
    display: Display = field(default_factory=Display)


def scan(path: Path) -> Scan:
    """Decode every picture once, without turning it into RGB.

    Raises:
        MediaError: no video in the file, no picture, damaged or missing pictures, a change of size.
    """
    with listening() as messages, opened(path, messages) as container:
        stream = video_stream(container, path)
        health = Health(messages)
        found = _Found()
        for frame in _gather(container, stream, health, found):
            _look(path, frame, found)
        if not found.pts:
            raise MediaError(
                f"{path.name!r} holds no picture that can be decoded; it is cut off or damaged: make it again"
            )
        name = container.format.name
        times = place(
            np.frombuffer(found.pts, np.int64),
            np.frombuffer(found.dts, np.int64),
            Fraction(stream.time_base),
            found.last,
            rate=rate(stream),
            by_decoding=name in _BY_DECODING,
        )
        notes = check_damage(path, container, stream, times, health)
        seeks = name.startswith(("mov,", "matroska")) and len(times.number) == len(found.pts)
        return Scan(
            times, *found.size, seeks=seeks, notes=(*found.facts, *_of_track(container, stream), *times.notes, *notes)
        )


def video_stream(container: InputContainer, path: Path) -> Any:
    """The picture track that ffmpeg would take, set to decode on one thread.

    With more threads damaged files decode differently from run to run.

    Raises:
        MediaError: there is none (a sound file), or it is a still image.
    """
    from av.stream import Disposition

    stream: Any = container.streams.best("video")
    if stream is None or stream.codec_context is None:
        raise MediaError(
            f"{path.name!r} has no picture track that can be decoded (a sound file?); give a video; sound goes into a file "
            "of the same stem beside it, or into the audio column of --pairs"
        )
    if container.format.name.endswith("_pipe"):
        raise MediaError(f"{path.name!r} is a still image, not a video; give a video or a folder of numbered images")
    if stream.disposition & Disposition.attached_pic:
        raise MediaError(f"{path.name!r} is a sound file with a cover picture, not a video; give a video")
    check_size(path, stream.codec_context.width, stream.codec_context.height)
    stream.codec_context.thread_type = "SLICE"
    stream.codec_context.thread_count = 1
    return stream


def decoded(container: InputContainer, stream: Any) -> Iterator[VideoFrame]:
    """The pictures of a track in order of display: the same ones, with the same numbers, as a scan sees."""
    health = Health(Messages())
    started = False
    for packet in packets(container, [stream], health):
        for frame in decode(packet, health, started):
            if started or not frame.is_corrupt:
                started = True
                yield frame


def rate(stream: Any) -> Fraction:
    """Pictures per second as the header has it; 25 where it says nothing useful."""
    for value in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if value and 1 <= value <= 1000:
            return Fraction(value)
    return Fraction(FPS)


def _gather(container: InputContainer, stream: Any, health: Health, found: _Found) -> Iterator[VideoFrame]:
    """As `decoded`, with timestamps kept and damage counted; packets of other tracks only move the end."""
    started = False
    for packet in packets(container, list(container.streams), health):
        if packet.stream.index != stream.index:
            continue
        if packet.size and packet.dts is not None:
            found.dts.append(packet.dts)
        for frame in decode(packet, health, started):
            if frame.is_corrupt:
                health.failed += started
                health.early += not started
                if not started:
                    continue
            started = True
            yield frame
            found.pts.append(frame.pts if frame.pts is not None else frame.dts if frame.dts is not None else NO_TIME)
            found.last = frame.duration or 0


def _of_track(container: InputContainer, stream: Any) -> list[str]:
    """Notes that the header gives."""
    from av.stream import Disposition

    notes = []
    ratio = stream.sample_aspect_ratio
    if ratio and ratio != 1:
        notes.append(f"pixels are not square ({ratio.numerator}:{ratio.denominator}): not stretched")
    if stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1" and not any(
        c.is_alpha for c in stream.codec_context.format.components
    ):
        notes.append("transparency dropped")  # of WebM, whose decoders do not see it
    tracks = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if len(tracks) > 1:
        notes.append(f"{len(tracks)} picture tracks: track {stream.index} used, which ffmpeg takes by default")
    return notes


def _look(path: Path, frame: VideoFrame, found: _Found) -> None:
    """Hold every picture to the size of the first."""
    size = found.display.size(frame)
    check_size(path, *size)
    if not found.pts:
        found.size, found.facts = size, _facts(frame, found.display)
    elif size != found.size:
        raise MediaError(
            f"{path.name!r}: the picture size changes from {found.size[1]}x{found.size[0]} to {size[1]}x{size[0]} px at "
            f"picture {len(found.pts)}; scale the video to one size"
        )


def _facts(frame: VideoFrame, display: Display) -> tuple[str, ...]:
    """Notes that the first picture gives."""
    notes = []
    chain = turns(display.matrix(frame))
    if chain:
        words = ", ".join(" ".join(step).strip() for step in chain)
        notes.append(f"turned as the file's display matrix asks ({words})")
    depth = max(component.bits for component in frame.format.components)
    if depth > 8:
        notes.append(f"{depth}-bit pictures converted to 8 bits")
    if any(component.is_alpha for component in frame.format.components):
        notes.append("transparency dropped")
    if frame.interlaced_frame:
        notes.append("marked as interlaced: not deinterlaced")
    if int(frame.color_trc) in _HDR:
        notes.append("high dynamic range: converted without tone mapping")
    return tuple(notes)
