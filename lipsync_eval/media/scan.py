"""One pass over a video file: when each frame is shown, how large it is, what is odd about it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lipsync_eval.errors import MediaError
from lipsync_eval.media.avi import video_chunks
from lipsync_eval.media.container import check_size, opened
from lipsync_eval.media.damage import check_damage
from lipsync_eval.media.header import margins
from lipsync_eval.media.messages import Messages, listening
from lipsync_eval.media.packets import Health, decode, packets
from lipsync_eval.media.rgb import Converter, Display, matrix_note
from lipsync_eval.media.timing import JOINED, NO_TIME, Times, place
from lipsync_eval.media.tracks import is_cover, rates, video_notes, video_track

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

_BY_DECODING: Final = ("avi", "h264", "hevc", "m4v", "mpegvideo", "mjpeg")
"""Formats without presentation times: what ffmpeg makes up for frames that are coded out of order is a guess."""

_HDR: Final = (16, 18)
"""Transfer curves PQ (SMPTE 2084) and HLG (ARIB STD-B67), as H.273 numbers them."""

_LATE: Final = 2
"""Packets of a track that may come after the first of the next one though they lie before it in the file."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass found."""

    times: Times
    """When each frame is shown."""
    height: int
    """px, after cropping and rotation."""
    width: int
    seeks: bool
    """The container has an index by presentation time, so that a reader may begin at a keyframe."""
    notes: tuple[str, ...]
    display: Display = field(default_factory=Display, repr=False, compare=False)
    """How the frames are cut and turned."""
    kept: tuple[VideoFrame, ...] = field(default=(), repr=False, compare=False)
    """All decoded frames, where they were to be kept and take no more memory than they may."""


@dataclass
class Beside:
    """Where the packets of other video tracks lie among those of the one that is read."""

    packets: int = 0
    """Of the track that is read."""
    others: dict[int, list[int]] = field(default_factory=dict)
    """Track -> packets of the read one before its first; its packets; those of them after the first of the read one."""

    def other(self, packet: Any) -> None:
        """Count a packet of another track."""
        stream = packet.stream
        if packet.size and stream.type == "video" and not is_cover(stream):
            counts = self.others.setdefault(stream.index, [self.packets, 0, 0])
            counts[1] += 1
            counts[2] += self.packets > 0

    @property
    def one_after_another(self) -> bool:
        """Whether one track begins where another ends: recordings joined whose tracks have other numbers.

        MPEG-TS gives the last two frames of a track late, when the end of the file is seen.
        """
        return any(
            min(count, self.packets) > 2 * _LATE and (self.packets - before <= _LATE or after <= _LATE)
            for before, count, after in self.others.values()
        )


@dataclass
class _Found:
    """What is gathered frame by frame."""

    display: Display
    pts: array[int] = field(default_factory=lambda: array("q"))
    size: tuple[int, int] = (0, 0)
    facts: tuple[str, ...] = ()
    last: int = 0
    """Ticks that the last frame is shown; 0 where the file does not say."""
    end: int = NO_TIME
    """Tick at which the last packet ends, whether a frame came of it or not."""
    before: list[int] = field(default_factory=list)
    """Times of the packets up to the one that gave the first frame."""
    beside: Beside = field(default_factory=Beside)


def scan(path: Path, keep: int = 0) -> Scan:
    """Decode every frame once, without turning it into RGB.

    Args:
        path: the file.
        keep: bytes that all its frames, as decoded, may take to be kept; of a longer video none is.

    Raises:
        MediaError: no video in the file, no frame, damaged or missing frames, a change of size, time that runs backwards.
    """
    with listening() as messages, opened(path, messages) as container:
        stream = video_track(container, path)
        name = container.format.name
        cut = margins(path, name, [s.index for s in container.streams.video].index(stream.index))
        health = Health(messages)
        found = _Found(Display(cut))
        kept: list[VideoFrame] = []
        room = keep
        for frame in _gather(container, stream, health, found):
            _look(path, frame, found)
            if room > 0:
                size = sum(plane.buffer_size for plane in frame.planes)
                if not kept and _announced(container, stream) * size > room:
                    room = 0  # a long video never takes the memory
                    continue
                kept.append(frame)
                room -= size
                if room <= 0:
                    kept.clear()
        if not found.pts:
            raise MediaError(
                f"{path.name!r} holds no frame that can be decoded; it is cut off or damaged: make it again"
            )
        if found.beside.one_after_another:
            raise MediaError(f"{path.name!r} has video tracks one after the other: {JOINED}")
        times = _times(path, container, stream, found)
        first = int(times.ticks[0])
        health.early = max(health.early, sum(time < first for time in found.before))
        notes = check_damage(path, container, stream, times, health)
        seeks = name.startswith(("mov,", "matroska")) and len(times.number) == len(found.pts)
        told = (*found.facts, *_of_track(container, stream), *times.notes, *notes)
        return Scan(times, *found.size, seeks=seeks, notes=told, display=found.display, kept=tuple(kept))


def decoded(container: InputContainer, stream: Any) -> Iterator[VideoFrame]:
    """The frames of a track in order of display: the same ones, with the same numbers, as a scan sees."""
    health = Health(Messages())
    started = False
    for packet in packets(container, [stream], health):
        for frame in decode(packet, health, started):
            if started or not frame.is_corrupt:
                started = True
                yield frame


def _gather(container: InputContainer, stream: Any, health: Health, found: _Found) -> Iterator[VideoFrame]:
    """As `decoded`, with timestamps kept and damage counted; packets of other tracks only move the end."""
    by_decoding = container.format.name in _BY_DECODING
    started = False
    for packet in packets(container, list(container.streams), health):
        if packet.stream.index != stream.index:
            found.beside.other(packet)
            continue
        found.beside.packets += packet.size > 0
        if by_decoding and packet.dts is not None:
            # A frame takes over the time of its packet. So it is known which packets gave no frame.
            packet.pts = packet.dts
        _note_packet(packet, found, started)
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


def _note_packet(packet: Any, found: _Found, started: bool) -> None:
    if packet.pts is None or packet.is_discard:  # to be discarded: outside of what an edit list shows
        return
    found.end = max(found.end, packet.pts + (packet.duration or 0))
    if not started:
        found.before.append(packet.pts)


def _announced(container: InputContainer, stream: Any) -> int:
    """Frames that the header speaks of, which need not be true; 0 where it says nothing."""
    if stream.frames or not container.duration or not stream.average_rate:
        return int(stream.frames)
    return int(container.duration / 1_000_000 * stream.average_rate)


def _times(path: Path, container: InputContainer, stream: Any, found: _Found) -> Times:
    tick = Fraction(stream.time_base)
    name = container.format.name
    end = found.end
    if name == "avi" and stream.frames > end:
        end = max(end, min(stream.frames, video_chunks(path, stream.index)))
    try:
        return place(
            np.frombuffer(found.pts, np.int64),
            tick,
            found.last,
            end,
            rates=rates(stream),
            by_decoding=name in _BY_DECODING,
        )
    except MediaError as error:
        raise MediaError(f"{path.name!r}: {error}") from error


def _of_track(container: InputContainer, stream: Any) -> list[str]:
    """Notes that the header gives."""
    notes = []
    ratio = stream.sample_aspect_ratio
    if ratio and ratio != 1:
        notes.append(f"pixels are not square ({ratio.numerator}:{ratio.denominator}): not stretched")
    if stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1" and not any(
        c.is_alpha for c in stream.codec_context.format.components
    ):
        notes.append("transparency dropped")  # of WebM, whose decoders do not see it
    return notes + video_notes(container, stream)


def _look(path: Path, frame: VideoFrame, found: _Found) -> None:
    """Hold every frame to the size of the first, and see that the first can be converted."""
    size = found.display.size(frame)
    check_size(path, *size)
    if not found.pts:
        found.size, found.facts = size, _facts(frame, found.display)
        try:
            Converter(found.display)(frame)
        except MediaError as error:
            raise MediaError(f"{path.name!r}: {error}") from error
    elif size != found.size:
        raise MediaError(
            f"{path.name!r}: the frame size changes from {found.size[1]}x{found.size[0]} to {size[1]}x{size[0]} px at "
            f"frame {len(found.pts)}; scale the video to one size"
        )


def _facts(frame: VideoFrame, display: Display) -> tuple[str, ...]:
    """Notes that the first frame gives."""
    notes = []
    chain = display.chain(frame)
    if chain and chain[0][0] == "crop":
        width, height, x, y = chain[0][1].split(":")[:4]
        notes.append(f"cropped to {width}x{height} px at ({x}, {y}) as the container asks")
        chain = chain[1:]
    if chain:
        words = ", ".join(" ".join(step).strip() for step in chain)
        notes.append(f"turned as the file's display matrix asks ({words})")
    depth = max(component.bits for component in frame.format.components)
    if depth > 8:
        notes.append(f"{depth}-bit frames converted to 8 bits")
    if any(component.is_alpha for component in frame.format.components):
        notes.append("transparency dropped")
    if frame.interlaced_frame:
        notes.append("marked as interlaced: not deinterlaced")
    if int(frame.color_trc) in _HDR:
        notes.append("high dynamic range: converted without tone mapping")
    matrix = matrix_note(frame)
    return (*notes, matrix) if matrix else tuple(notes)
