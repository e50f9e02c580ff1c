"""Demuxing and decoding that goes on past damage and counts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lipsync_eval.media.container import reason
from lipsync_eval.media.messages import Messages
from lipsync_eval.media.png import without_text


@dataclass
class Health:
    """What went wrong in one pass over some tracks of a file."""

    messages: Messages
    """ffmpeg's complaints so far; an empty list when nobody listens."""
    failed: int = 0
    """Packets that could not be decoded, or decoded to a frame marked as corrupt, after the first good one."""
    early: int = 0
    """Packets of which no frame came before the first good one: a stream that begins in the middle."""
    hidden: int = 0
    """Packets that decoded with complaints: damage that the decoder covered up."""
    hidden_first: str = ""
    container: str = ""
    """First complaint of the demuxer; empty when it had none."""
    end: Fraction = Fraction(0)
    """s, the latest end of a packet of any track."""
    read: int = 0
    """Bytes of the file up to the end of the last packet."""


def packets(container: Any, streams: Sequence[Any], health: Health) -> Iterator[Any]:
    """Packets of the given tracks to the end of the file, or to where it cannot be read further; then one flush each."""
    import av

    demuxer = container.demux(*streams)
    while True:
        seen = len(health.messages)
        try:
            packet = next(demuxer)
        except StopIteration:
            return
        except (av.error.FFmpegError, IndexError) as error:  # IndexError: PyAV met a track that began in mid-file
            health.container = health.container or health.messages.first(seen) or reason(error)
            return
        finally:
            health.container = health.container or health.messages.first(seen)
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None:
            health.end = max(health.end, (time + (packet.duration or 0)) * packet.time_base)
        health.read = max(health.read, (packet.pos or 0) + packet.size)
        yield packet


def decode(packet: Any, health: Health, started: bool) -> list[Any]:
    """Frames of a packet; none where it is empty ("show the last frame again"), and none, and a count, where it is damaged."""
    import av

    if not packet.size and not is_flush(packet):
        return []  # a decoder would take it for the end
    seen = len(health.messages)
    try:
        frames: list[Any] = _bounded(packet).decode()
    except av.error.FFmpegError:
        health.failed += started
        health.early += not started
        return []
    if len(health.messages) > seen:
        health.hidden += 1
        health.hidden_first = health.hidden_first or health.messages.first(seen)
    return frames


def is_flush(packet: Any) -> bool:
    """Whether this is PyAV's last packet of a track, which makes the decoder give what it holds back."""
    return not packet.size and packet.pts is None and packet.dts is None and packet.pos is None


def _bounded(packet: Any) -> Any:
    """The packet; of a PNG without the parts that may unpack to any size."""
    if packet.stream.codec_context.name not in ("png", "apng") or not packet.size:
        return packet
    import av

    data = bytes(packet)
    kept = without_text(data)
    if kept is data:
        return packet
    made = av.Packet(kept)
    made.stream, made.time_base = packet.stream, packet.time_base
    made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
    return made
