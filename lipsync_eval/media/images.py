"""A folder of numbered images (and a sound file in it or beside it) -> Clip at 25 fps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lipsync_eval.errors import MediaError
from lipsync_eval.files import sha256
from lipsync_eval.media.container import check_file, check_size, opened
from lipsync_eval.media.messages import Messages, listening
from lipsync_eval.media.names import IMAGE_SUFFIXES, is_hidden, is_image, number, sounds_of
from lipsync_eval.media.packets import Health, decode, packets
from lipsync_eval.media.pictures import Converter, Display
from lipsync_eval.media.sound import read_sound
from lipsync_eval.types import FPS, Audio, Clip, Frame

if TYPE_CHECKING:
    from av import VideoFrame

_FORMS: Final = {
    b"\xff\xd8": "jpeg_pipe",
    b"\x89PNG": "png_pipe",
    b"BM": "bmp_pipe",
    b"II*\0": "tiff_pipe",
    b"MM\0*": "tiff_pipe",
    b"RIFF": "webp_pipe",
}
"""First bytes of an image file -> the demuxer that reads this one file."""


def open_images(folder: Path, audio: Path | None = None) -> Clip:
    """A folder of images numbered without gaps, taken as 25 pictures a second.

    Args:
        folder: holds .png, .jpg, .jpeg, .bmp, .tif or .tiff files whose names end in a number (0001.png, frame_12.jpg);
            they are shown in the order of those numbers, which may begin anywhere. Other files in it are left alone.
        audio: the sound; by default the one sound file in the folder, or beside it with its name.

    Raises:
        MediaError: no image, gaps or doubles in the numbers, images of several sizes or that cannot be decoded, more than
            one sound file.
    """
    images = numbered(folder)
    sound_file = audio or _only_sound(folder)
    length = Fraction(len(images), FPS)
    sound = None if sound_file is None else _sound(sound_file, length)
    height, width = _sizes(images)
    return Clip(
        path=folder,
        n_frames=len(images),
        height=height,
        width=width,
        source_fps=float(FPS),
        digest=sha256(*images, *([sound_file] if sound_file else [])),
        audio=sound,
        read=_Images(tuple(images)),
        notes=(f"images taken as {FPS} a second",),
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
            "shift all that follows against the sound: make them again, or number them anew"
        )
    return [found[i][0] for i in order]


@dataclass(frozen=True)
class _Images:
    """Clip.read for a folder."""

    paths: tuple[Path, ...]

    def __call__(self, start: int, stop: int) -> Iterator[Frame]:
        for path in self.paths[max(start, 0) : stop]:
            yield Converter()(_decoded(path))  # a new one each time: every file may be turned in its own way


def _sizes(images: list[Path]) -> tuple[int, int]:
    """Decode every image once; (height, width) of all of them.

    Raises:
        MediaError: one is damaged, or not of the size of the first.
    """
    first: tuple[int, int] | None = None
    for path in images:
        size = Display().size(_decoded(path, strict=True))
        first = first or size
        if size != first:
            raise MediaError(
                f"{path.name!r} is {size[1]}x{size[0]} px, {images[0].name!r} is {first[1]}x{first[0]}; scale them to one size"
            )
    if first is None:
        raise MediaError("no image given; give at least one")
    return first


def _decoded(path: Path, *, strict: bool = False) -> VideoFrame:
    """The one picture of an image file.

    Raises:
        MediaError: it cannot be decoded; `strict`: or was decoded with complaints (cut off).
    """
    if not strict:
        return _picture(path, Messages())
    with listening() as messages:
        frame = _picture(path, messages)
        if len(messages):
            raise MediaError(f"the image {path.name!r} is damaged ({messages.first()}); make it again")
        return frame


def _picture(path: Path, messages: Messages) -> VideoFrame:
    health = Health(messages)
    with opened(path, messages, _form(path)) as container:
        stream: Any = container.streams.best("video")
        if stream is not None:
            check_size(path, stream.codec_context.width, stream.codec_context.height)
            stream.codec_context.thread_count = 1
            for packet in packets(container, [stream], health):
                for frame in decode(packet, health, False):
                    check_size(path, frame.width, frame.height)
                    picture: VideoFrame = frame
                    return picture
    raise MediaError(f"the image {path.name!r} cannot be decoded; it is damaged or of another kind: make it again")


def _form(path: Path) -> str:
    """ffmpeg's demuxer by the file's first bytes, whatever the suffix.

    Left to itself ffmpeg goes by the suffix for most JPEGs, and takes `image2`, which reads further files by patterns in the name.

    Raises:
        MediaError: no image of a known kind.
    """
    check_file(path)
    with path.open("rb") as file:
        head = file.read(4)
    for start, form in _FORMS.items():
        if head.startswith(start):
            return form
    raise MediaError(
        f"the image {path.name!r} is no PNG, JPEG, BMP or TIFF file by its first bytes; it is damaged or of another kind: make it again"
    )


def _only_sound(folder: Path) -> Path | None:
    found = sounds_of(folder)
    if len(found) > 1:
        raise MediaError(
            f"the folder {folder.name!r} has {len(found)} sound files: {', '.join(repr(p.name) for p in found)}; keep one, or "
            "name it in the audio column of --pairs"
        )
    return found[0] if found else None


def _sound(path: Path, length: Fraction) -> Audio:
    check_file(path)
    sound = read_sound(path, origin=None, seconds=length)
    if sound is None:
        raise MediaError(f"{path.name!r} has no sound track; give a sound file")
    return sound
