"""What a media file says about itself: container, codecs, rates, who wrote it, when its tracks begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipsync_eval.media.container import opened
from lipsync_eval.media.messages import listening
from lipsync_eval.media.tracks import audio_track, video_track

_WRITERS = ("encoder", "handler_name", "vendor_id", "software", "comment", "title", "major_brand")
"""Tags in which programs leave their names."""
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The header of one video file, as it stands there; nothing is decoded."""

    container: str
    """ffmpeg's name of the format."""
    seconds: float | None
    bit_rate: int | None
    """Of the whole file, bits per second."""
    video_codec: str
    profile: str | None
    pixels: str | None
    """ffmpeg's name of the pixel format."""
    fps: float | None
    """Average rate that the header claims."""
    video_bit_rate: int | None
    audio_codec: str | None
    audio_rate: int | None
    """Hz."""
    audio_channels: int | None
    audio_bit_rate: int | None
    audio_late: float | None
    """s by which the audio track begins after the first frame (negative: before)."""
    writers: dict[str, str]
    """Tags that name programs: 'format.encoder': 'Lavf60.16.100'."""


def file_facts(path: Path) -> FileFacts:
    """Read a video file's header.

    Raises:
        MediaError: it cannot be opened, or has no video track.
    """
    with listening() as messages, opened(path, messages) as container:
        video = video_track(container, path)
        audio = audio_track(container) if container.streams.audio else None
        writers = dict(_tags("format", container.metadata) | _tags("video", video.metadata))
        if audio is not None:
            writers |= _tags("audio", audio.metadata)
        return FileFacts(
            container=container.format.name,
            seconds=None if container.duration is None else round(container.duration / 1e6, 3),
            bit_rate=container.bit_rate or None,
            video_codec=video.codec_context.name,
            profile=video.codec_context.profile,
            pixels=video.codec_context.pix_fmt,
            fps=float(video.average_rate) if video.average_rate else None,
            video_bit_rate=video.bit_rate or None,
            audio_codec=None if audio is None else audio.codec_context.name,
            audio_rate=None if audio is None else audio.codec_context.sample_rate,
            audio_channels=None if audio is None else audio.codec_context.channels,
            audio_bit_rate=None if audio is None else audio.bit_rate or None,
            audio_late=_late(video, audio),
            writers=writers,
        )


def _tags(owner: str, metadata: Any) -> dict[str, str]:
    found = {str(key).lower(): str(value) for key, value in metadata.items()}
    return {f"{owner}.{key}": found[key][:_LONGEST] for key in _WRITERS if found.get(key)}


def _late(video: Any, audio: Any) -> float | None:
    if audio is None or video.start_time is None or audio.start_time is None:
        return None
    return round(float(audio.start_time * audio.time_base - video.start_time * video.time_base), 4)
