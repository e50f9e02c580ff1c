"""Which track of a file is read: the one that the ffmpeg program takes, and never one that cannot be decoded.

ffmpeg's libraries choose by bit rate (`av_find_best_stream`), the program by area and by number of channels
(map_auto_video and map_auto_audio in fftools, ffmpeg 5 to 8). Users compare with the program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lipsync_eval.errors import MediaError
from lipsync_eval.media.container import check_size
from lipsync_eval.types import FPS

if TYPE_CHECKING:
    from av.container import InputContainer

_DEFAULT: Final = 5_000_000
"""What ffmpeg adds to the area or the number of channels of a track that is marked as default."""


def video_track(container: InputContainer, path: Path) -> Any:
    """The video track, set to decode on one thread: with more, damaged files decode differently from run to run.

    Raises:
        MediaError: there is none (an audio file), or it is a still image.
    """
    stream = _best(container.streams.video, _area)
    if stream is None:
        raise MediaError(
            f"{path.name!r} has no video track that can be decoded (an audio file?); give a video; audio goes into a file "
            "of the same stem beside it, or into the audio column of --pairs"
        )
    if container.format.name.endswith("_pipe"):
        raise MediaError(f"{path.name!r} is a still image, not a video; give a video or a folder of numbered images")
    if is_cover(stream):
        raise MediaError(f"{path.name!r} is an audio file with a cover picture, not a video; give a video")
    check_size(path, stream.codec_context.width, stream.codec_context.height)
    stream.codec_context.thread_type = "SLICE"
    stream.codec_context.thread_count = 1
    return stream


def audio_track(container: InputContainer) -> Any:
    """The audio track, set to decode on one thread; None where the file has none that can be decoded."""
    stream = _best(container.streams.audio, _channels)
    if stream is not None:
        stream.codec_context.thread_count = 1
    return stream


def video_notes(container: InputContainer, stream: Any) -> list[str]:
    """Which of several video tracks is read."""
    return _choice([s for s in container.streams.video if not is_cover(s)], stream, "video tracks", _area)


def audio_notes(container: InputContainer, stream: Any) -> list[str]:
    """Which of several audio tracks is read."""
    return _choice(container.streams.audio, stream, "audio tracks", _channels)


def rates(stream: Any) -> tuple[Fraction, ...]:
    """Frames per second in the header's readings that are of use, 1 to 1000; 25 where none is."""
    found = [Fraction(r) for r in (stream.average_rate, stream.guessed_rate, stream.base_rate) if r]
    return tuple(dict.fromkeys(r for r in found if 1 <= r <= 1000)) or (Fraction(FPS),)


def _best(streams: Sequence[Any], score: Callable[[Any], int]) -> Any:
    return max((s for s in streams if s.codec_context is not None), key=score, default=None)  # of equal ones the first


def _area(stream: Any) -> int:
    if is_cover(stream):
        return 1
    context = stream.codec_context
    return (context.width * context.height if context is not None else 0) + _marked(stream)


def _channels(stream: Any) -> int:
    return (stream.codec_context.channels if stream.codec_context is not None else 0) + _marked(stream)


def _marked(stream: Any) -> int:
    from av.stream import Disposition

    return _DEFAULT if stream.disposition & Disposition.default else 0


def is_cover(stream: Any) -> bool:
    """Whether a video track is the cover picture of an audio file."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _choice(streams: Sequence[Any], stream: Any, what: str, score: Callable[[Any], int]) -> list[str]:
    unknown = [s for s in streams if s.codec_context is None]
    notes = []
    if len(streams) - len(unknown) > 1:
        notes.append(f"{len(streams)} {what}: track {stream.index} used, which ffmpeg takes by default")
    elif len(streams) > 1:
        notes.append(f"{len(streams)} {what}: track {stream.index} used, the only one that can be decoded")
    return notes
