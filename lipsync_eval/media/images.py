"""A folder of numbered images (and an audio file in it or beside it) -> Clip at 25 fps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lipsync_eval.errors import MediaError
from lipsync_eval.files import sha256
from lipsync_eval.media.audio import read_audio
from lipsync_eval.media.container import MAX_PIXELS, check_file, check_size, reason
from lipsync_eval.media.messages import Messages, listening
from lipsync_eval.media.names import IMAGE_SUFFIXES, audio_files_of, is_hidden, is_image, number
from lipsync_eval.media.png import without_text
from lipsync_eval.media.rgb import Converter, Display
from lipsync_eval.types import FPS, Audio, Clip, Frame

if TYPE_CHECKING:
    from av import VideoFrame

_CODECS: Final = {
    b"\xff\xd8": "mjpeg",
    b"\x89PNG": "png",
    b"BM": "bmp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"RIFF": "webp",
}
"""First bytes of an image file -> ffmpeg's decoder."""


def open_images(folder: Path, audio: Path | None = None) -> Clip:
    """A folder of images numbered without gaps, taken as 25 frames a second.

    Args:
        folder: holds .png, .jpg, .jpeg, .bmp, .tif or .tiff files whose names end in a number (0001.png, frame_12.jpg);
            they are shown in the order of those numbers, which may begin anywhere. Other files in it are left alone.
        audio: the audio; by default the one audio file in the folder, or beside it with its name.

    Raises:
        MediaError: no image, gaps or doubles in the numbers, images of several sizes or that cannot be decoded, more than
            one audio file.
    """
    images = numbered(folder)
    audio_file = audio or _only_audio(folder)
    length = Fraction(len(images), FPS)
    track = None if audio_file is None else _audio(audio_file, length)
    (height, width), turned = _sizes(images)
    return Clip(
        path=folder,
        n_frames=len(images),
        height=height,
        width=width,
        source_fps=float(FPS),
        digest=sha256(*images, *([audio_file] if audio_file else [])),
        audio=track,
        read=_Images(tuple(images)),
        notes=(
            f"images taken as {FPS} a second",
            *([f"{turned} image(s) turned as their EXIF orientation asks"] if turned else []),
        ),
    )


def numbered(folder: Path) -> list[Path]:
    """The images of a folder in the order of the last number in their names.

    Raises:
        MediaError: none, no number in a name, a number twice, a gap.
    """
    images = [p for p in folder.iterdir() if is_image(p) and not is_hidden(p) and not p.is_dir()]
    if not images:
        raise MediaError(
            f"the folder {folder.name!r} holds no image ({' '.join(sorted(IMAGE_SUFFIXES))}); give a video or images"
        )
    plain = sorted(p.name for p in images if number(p) is None)
    if plain:
        raise MediaError(
            f"images without a number in {folder.name!r}: {', '.join(map(repr, plain))}; number them, or take them out"
        )
    found: dict[int, list[Path]] = {}
    for path in images:
        found.setdefault(number(path) or 0, []).append(path)
    doubled = sorted(p.name for paths in found.values() if len(paths) > 1 for p in paths)
    if doubled:
        raise MediaError(
            f"images with the same number in {folder.name!r}: {', '.join(map(repr, doubled))}; keep one of each"
        )
    order = sorted(found)
    gaps = [(a, b) for a, b in pairwise(order) if b != a + 1]
    if gaps:
        missing = ", ".join(str(a + 1) if b == a + 2 else f"{a + 1}-{b - 1}" for a, b in gaps)
        raise MediaError(
            f"the images in {folder.name!r} run from {order[0]} to {order[-1]} with gaps: {missing} missing; a gap would "
            "shift all that follows against the audio: make them again, or number them anew"
        )
    return [found[i][0] for i in order]


@dataclass(frozen=True)
class _Images:
    """Clip.read for a folder."""

    paths: tuple[Path, ...]

    def __call__(self, start: int, stop: int) -> Iterator[Frame]:
        for path in self.paths[max(start, 0) : stop]:
            yield Converter()(_decoded(path))  # a new one each time: every file may be turned in its own way


def _sizes(images: list[Path]) -> tuple[tuple[int, int], int]:
    """Decode every image once; (height, width) of all of them, and how many are turned for display.

    Raises:
        MediaError: one is damaged, or not of the size of the first.
    """
    first: tuple[int, int] | None = None
    turned = 0
    for path in images:
        frame, display = _decoded(path, strict=True), Display()
        size = display.size(frame)
        turned += bool(display.chain(frame))
        first = first or size
        if size != first:
            raise MediaError(
                f"{path.name!r} is {size[1]}x{size[0]} px, {images[0].name!r} is {first[1]}x{first[0]}; scale them to one size"
            )
    if first is None:
        raise MediaError("no image given; give at least one")
    return first, turned


def _decoded(path: Path, *, strict: bool = False) -> VideoFrame:
    """The pixels of an image file.

    Raises:
        MediaError: it cannot be decoded; `strict`: or was decoded with complaints (cut off).
    """
    if not strict:
        return _read(path, Messages())
    with listening() as messages:
        frame = _read(path, messages)
        if len(messages):
            raise MediaError(f"the image {path.name!r} is damaged ({messages.first()}); make it again")
        return frame


def _read(path: Path, messages: Messages) -> VideoFrame:
    """The file goes to the decoder as it is: a demuxer would decode it once more, without bounds, to find out what it is."""
    import av

    check_file(path)
    with path.open("rb") as file:
        data = file.read()
    context: Any = av.CodecContext.create(_codec(path, data), "r")
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS)}
    why = ""
    try:
        for packet in (av.Packet(without_text(data)), None):
            for frame in context.decode(packet):
                check_size(path, frame.width, frame.height)
                found: VideoFrame = frame
                return found
    except av.error.FFmpegError as error:
        why = messages.first() or reason(error)
    raise MediaError(
        f"the image {path.name!r} cannot be decoded{f' ({why})' if why else ''}; it is damaged or of another kind: make it again"
    )


def _codec(path: Path, data: bytes) -> str:
    """ffmpeg's decoder by the file's first bytes, whatever the suffix.

    Raises:
        MediaError: no image of a known kind.
    """
    for start, codec in _CODECS.items():
        if data.startswith(start):
            return codec
    raise MediaError(
        f"the image {path.name!r} is no PNG, JPEG, BMP or TIFF file by its first bytes; it is damaged or of another kind: make it again"
    )


def _only_audio(folder: Path) -> Path | None:
    found = audio_files_of(folder)
    if len(found) > 1:
        raise MediaError(
            f"the folder {folder.name!r} has {len(found)} audio files: {', '.join(repr(p.name) for p in found)}; keep one, or "
            "name it in the audio column of --pairs"
        )
    return found[0] if found else None


def _audio(path: Path, length: Fraction) -> Audio:
    check_file(path)
    found = read_audio(path, origin=None, seconds=length)
    if found is None:
        raise MediaError(f"{path.name!r} has no audio track; give an audio file")
    return found
