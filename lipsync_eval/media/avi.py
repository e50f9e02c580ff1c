"""How many frames an AVI file holds, empty ones included.

A chunk of 0 bytes means "show the last frame again". ffmpeg gives no packet for it: those before a frame show as a hole in the
times, but those at the end would not show at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

_LISTS: Final = (b"RIFF", b"LIST")
_CHUNKS: Final = (b"dc", b"db")


def video_chunks(path: Path, track: int) -> int:
    """Video chunks of a track (0-based), empty or not, up to where the file ends or makes no sense."""
    wanted = tuple(b"%02d" % track + kind for kind in _CHUNKS)
    count = 0
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        while file.tell() + 8 <= size:
            name, length = _header(file)
            if name in _LISTS:
                if file.read(4) == b"hdrl":
                    file.seek(length - 4 + length % 2, 1)
                continue  # what is inside comes next
            if file.tell() + length > size or not name.strip(b"\0"):
                break
            count += name in wanted
            file.seek(length + length % 2, 1)
    return count


def _header(file: BinaryIO) -> tuple[bytes, int]:
    head = file.read(8)
    return head[:4], int.from_bytes(head[4:], "little")
