"""AVI files rewritten chunk by chunk, as recorders, damaged disks and old encoders leave them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

NOT_CODED = "not coded"
EMPTY = "empty"


def not_coded(tick: int) -> bytes:
    """MPEG-4: a P-VOP with vop_coded = 0, "show the last frame again", in a stream of 25 ticks a second."""
    bits = "01" + "0" + "1" + f"{tick:05b}" + "1" + "0" + "0"
    bits += "1" * (-len(bits) % 8)
    return b"\0\0\1\xb6" + int(bits, 2).to_bytes(len(bits) // 8, "big")


def rewritten(source: Path, target: Path, change: Callable[[list[bytes]], Sequence[bytes]]) -> Path:
    """Copy an AVI file of one video track (and audio) with other video chunks; the index is made anew, the header is corrected."""
    data = source.read_bytes()
    movi = data.index(b"movi")
    chunks = _chunks(data, movi + 4, movi + struct.unpack("<I", data[movi - 4 : movi])[0])
    video = list(change([body for name, body in chunks if name == b"00dc"]))
    others = [(name, body) for name, body in chunks if name != b"00dc"]
    out, index = bytearray(b"movi"), bytearray()
    for name, body in [*((b"00dc", body) for body in video), *others]:
        index += name + struct.pack("<III", 0x10, len(out), len(body))
        out += name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    head = bytearray(data[: movi - 8])
    for mark, offset in ((b"avih", 24), (b"strh", 40)):
        struct.pack_into("<I", head, head.index(mark) + offset, len(video))
    done = head + b"LIST" + struct.pack("<I", len(out)) + out + b"idx1" + struct.pack("<I", len(index)) + index
    struct.pack_into("<I", done, 4, len(done) - 8)
    target.write_bytes(done)
    return target


def _chunks(data: bytes, at: int, end: int) -> list[tuple[bytes, bytes]]:
    found = []
    while at < end:
        name, size = data[at : at + 4], struct.unpack("<I", data[at + 4 : at + 8])[0]
        if name != b"JUNK" and not name.startswith(b"ix"):
            found.append((name, data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return found
