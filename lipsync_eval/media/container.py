"""Opening a media file of unknown origin with ffmpeg's libraries."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lipsync_eval.errors import MediaError
from lipsync_eval.media.messages import Messages

if TYPE_CHECKING:
    from av.container import InputContainer

MAX_PIXELS: Final = 1 << 26
"""Largest frame that is decoded (8192 x 8192): a few bytes can claim a frame that fills the memory."""

_FORMATS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,mpeg1video,mpeg2video,m4v,h264,hevc,av1,obu,ivf,flv,"
    "asf,ogg,mxf,nut,dv,gif,apng,yuv4mpegpipe,mjpeg,wav,w64,flac,mp3,aac,ac3,eac3,aiff,au,caf,amr,dts,"
    "png_pipe,jpeg_pipe,bmp_pipe,tiff_pipe,webp_pipe"
)
"""Formats that hold their data themselves. Playlists (hls, concat, dash, sdp) would open other files and addresses."""


@contextmanager
def opened(path: Path, messages: Messages | None = None, form: str | None = None) -> Iterator[InputContainer]:
    """The file, opened for reading; `messages` has the reason in ffmpeg's words when it cannot be.

    Args:
        path: the file.
        messages: takes what ffmpeg says.
        form: ffmpeg's name of the format where it is known; by default ffmpeg finds out.

    Raises:
        MediaError: no such file, not a file, empty, not readable, or no format that ffmpeg knows.
    """
    import av

    check_file(path)
    options = {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": "file",
        "max_pixels": str(MAX_PIXELS),
    }
    try:
        container: Any = av.open(f"file:{path}", format=form, options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        why = (messages and messages.first()) or reason(error)
        why = (
            why.partition("Format not on whitelist")[0] + "not a format that is read"
            if "not on whitelist" in why
            else why
        )
        raise MediaError(
            f"{path.name!r} is not a video or audio file that can be read ({why}): it is damaged, cut off or of another kind; "
            "make it again, or convert it with ffmpeg"
        ) from error
    try:
        yield container
    finally:
        container.close()
        # Frames whose side data was read (rgb.py) are tied to themselves; only this frees them in time.
        gc.collect(1)


def check_file(path: Path) -> None:
    """Say plainly what is wrong with a path before any decoder does.

    Raises:
        MediaError: missing, not a regular file, empty, or not readable.
    """
    try:
        size = path.stat().st_size
        regular = path.is_file()
        if regular:
            with path.open("rb"):
                pass
    except FileNotFoundError as error:
        raise MediaError(
            f"{str(path)!r} does not exist; give an existing video, audio file or folder of images"
        ) from error
    except (OSError, ValueError) as error:
        raise MediaError(f"{str(path)!r} cannot be opened ({error}); check its permissions") from error
    if not regular:
        raise MediaError(f"{str(path)!r} is not a regular file; give a video, an audio file or a folder of images")
    if size == 0:
        raise MediaError(f"{path.name!r} is empty (0 bytes); it was probably not written to its end: make it again")


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse frames of no size or of absurd size before memory is asked for.

    Raises:
        MediaError: more than MAX_PIXELS pixels, or none.
    """
    if not 0 < width * height <= MAX_PIXELS:
        # ffmpeg, held to MAX_PIXELS itself, often gives 0x0 for a size beyond it.
        size = f"frames of {width}x{height} px" if width * height else "no frame size, or an absurd one"
        raise MediaError(
            f"{path.name!r} states {size}; from 1 to {MAX_PIXELS} pixels are accepted: scale the video down, or make it again "
            "if the size is wrong"
        )


def reason(error: Exception) -> str:
    """ffmpeg's own words for an error, without its number and the path."""
    return str(getattr(error, "strerror", None) or error).strip()
