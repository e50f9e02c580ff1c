"""What the headers of mp4 and Matroska say that PyAV does not hand out.

The part of the coded frame that is to be shown: `clap` in mp4 and mov, PixelCrop in Matroska and WebM. QuickTime and ffmpeg's
program (from 7.1 on) cut the rest off. And whether the file is several recordings, of which players show the first alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

_MAX_PARTS: Final = 100_000
"""Parts of a header that are looked at; a real one has a few hundred."""

_BEGINNINGS: Final = {
    "flv": b"FLV\1",
    "ogg": b"OggS\0\2",
    "asf": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c",
}
"""What a file begins with, of formats that ffmpeg stops to read where another file begins."""
_BLOCK, _LONGEST = 1 << 20, 15


class Margins(NamedTuple):
    """px to cut off each side of the coded frame, before it is turned."""

    left: Fraction = Fraction(0)
    top: Fraction = Fraction(0)
    right: Fraction = Fraction(0)
    bottom: Fraction = Fraction(0)

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(x, y, width, height) in whole px of what is left of a frame; all of it where the margins leave nothing."""
        x, y = int(self.left), int(self.top)
        w, h = width - x - int(self.right), height - y - int(self.bottom)
        return (
            (x, y, w, h) if min(x, y) >= 0 < min(w, h) and x + w <= width and y + h <= height else (0, 0, width, height)
        )


NO_MARGINS: Final = Margins()


def margins(path: Path, form: str, track: int) -> Margins:
    """What the header of a file says to cut off the `track`-th (0-based) of its video tracks.

    Args:
        path: the file.
        form: ffmpeg's name of its format; others than mp4, mov, Matroska and WebM have no such rectangle.
        track: number among the video tracks.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        parts = _Parts(file)
        if form.startswith("mov,"):
            found = _of_mp4(parts, end)
        elif form.startswith("matroska"):
            found = _of_matroska(parts, end)
        else:
            return Margins()
        return found[track] if track < len(found) else Margins()


def recordings(path: Path, form: str, read: int) -> int:
    """How many recordings a file holds, of which ffmpeg reads the first alone: 1, or more.

    Args:
        path: the file.
        form: ffmpeg's name of its format.
        read: bytes of the file up to the end of the last packet that ffmpeg read.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        if form.startswith("mov,"):
            return max(1, sum(name == b"moov" for name, _, _ in _Parts(file).boxes(0, end)))
        if form not in _BEGINNINGS:
            return 1
        file.seek(read)
        return 2 if any(_BEGINNINGS[form] in block for block in _blocks(file)) else 1


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """The rest of a file in blocks, each with the last bytes of the one before."""
    kept = b""
    while block := file.read(_BLOCK):
        yield kept + block
        kept = block[-_LONGEST:]


Part = tuple[bytes, int, int]
"""Name, first byte and end of a part's content."""


class _Parts:
    """Walks over the parts of a header, and gives up on one that has absurdly many."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.left = _MAX_PARTS

    def boxes(self, start: int, end: int) -> Iterator[Part]:
        """The boxes of mp4 from `start` to `end`."""
        while start + 8 <= end and self.left:
            self.left -= 1
            head = self.at(start, 16)
            size, begin = int.from_bytes(head[:4], "big"), start + 8
            if size == 1:
                size, begin = int.from_bytes(head[8:], "big"), start + 16
            stop = end if size == 0 else min(start + size, end)
            if stop < begin:
                return
            yield head[4:8], begin, stop
            start = stop

    def elements(self, start: int, end: int) -> Iterator[Part]:
        """The elements of EBML from `start` to `end`."""
        while start + 2 <= end and self.left:
            self.left -= 1
            head = self.at(start, 12)
            name = _length(head)
            size = _length(head[name:])
            if not name or not size:
                return
            begin = start + name + size
            largest = (1 << 7 * size) - 1
            value = int.from_bytes(head[name : name + size], "big") & largest
            unknown = value == largest
            stop = end if unknown else min(begin + value, end)
            yield head[:name], begin, stop
            start = stop

    def at(self, start: int, n: int) -> bytes:
        self.file.seek(start)
        return self.file.read(n)


def _length(head: bytes) -> int:
    """Bytes of an EBML number, by its first byte; 0 where it is none."""
    n = 9 - head[0].bit_length() if head else 0
    return n if 1 <= n <= 8 and n <= len(head) else 0


def _of_mp4(parts: _Parts, end: int) -> list[Margins]:
    found = []
    for name, start, stop in parts.boxes(0, end):
        if name != b"moov":
            continue
        for child, first, last in parts.boxes(start, stop):
            if child == b"trak" and (margins := _of_trak(parts, first, last)) is not None:
                found.append(margins)
    return found


def _of_trak(parts: _Parts, start: int, stop: int) -> Margins | None:
    """None where it is no video track."""
    media = _child(parts, b"mdia", start, stop)
    handler = media and _child(parts, b"hdlr", *media)
    if not media or not handler or parts.at(handler[0] + 8, 4) != b"vide":
        return None
    place = media
    for name in (b"minf", b"stbl", b"stsd"):
        inner = _child(parts, name, *place)
        if inner is None:
            return Margins()
        place = inner
    for _, first, last in parts.boxes(place[0] + 8, place[1]):
        size = parts.at(first + 24, 4)  # of a VisualSampleEntry
        clap = _child(parts, b"clap", first + 78, last)
        if clap:
            return _of_clap(parts.at(clap[0], 32), int.from_bytes(size[:2], "big"), int.from_bytes(size[2:], "big"))
        break
    return Margins()


def _child(parts: _Parts, wanted: bytes, start: int, stop: int) -> tuple[int, int] | None:
    return next(((first, last) for name, first, last in parts.boxes(start, stop) if name == wanted), None)


def _of_clap(box: bytes, width: int, height: int) -> Margins:
    """Eight numbers: width, height and the offset of the centre in x and y, each as a fraction (ISO 14496-12, 12.1.4)."""
    numbers = [int.from_bytes(box[4 * i : 4 * i + 4], "big", signed=True) for i in range(len(box) // 4)]
    if len(numbers) < 8 or 0 in numbers[1::2]:
        return Margins()
    shown_w, shown_h, right, down = (Fraction(numbers[i], numbers[i + 1]) for i in (0, 2, 4, 6))
    left, top = (width - shown_w) / 2 + right, (height - shown_h) / 2 + down
    return Margins(left, top, width - shown_w - left, height - shown_h - top)


_SEGMENT, _TRACKS, _ENTRY, _TYPE, _VIDEO = b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\x83", b"\xe0"
_CROPS: Final = {b"\x54\xcc": "left", b"\x54\xbb": "top", b"\x54\xdd": "right", b"\x54\xaa": "bottom"}


def _of_matroska(parts: _Parts, end: int) -> list[Margins]:
    found = []
    for segment, start, stop in parts.elements(0, end):
        for tracks, first, last in parts.elements(start, stop) if segment == _SEGMENT else ():
            for entry, a, b in parts.elements(first, last) if tracks == _TRACKS else ():
                if entry == _ENTRY and (margins := _of_entry(parts, a, b)) is not None:
                    found.append(margins)
            if tracks == _TRACKS:
                return found
    return found


def _of_entry(parts: _Parts, start: int, stop: int) -> Margins | None:
    """None where it is no video track."""
    inner = {name: (first, last) for name, first, last in parts.elements(start, stop)}
    if _TYPE not in inner or _number(parts, inner[_TYPE]) != 1:
        return None
    values = {
        _CROPS[name]: Fraction(_number(parts, (first, last)))
        for name, first, last in (parts.elements(*inner[_VIDEO]) if _VIDEO in inner else ())
        if name in _CROPS
    }
    return Margins(**values)


def _number(parts: _Parts, place: tuple[int, int]) -> int:
    return int.from_bytes(parts.at(place[0], min(8, place[1] - place[0])), "big")
