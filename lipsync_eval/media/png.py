"""PNG without its texts and colour profile: decoders unpack those to any size (100 kB to 100 MB), and nobody reads them here."""

from __future__ import annotations

from typing import Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_DROPPED: Final = (b"zTXt", b"iTXt", b"tEXt", b"iCCP")


def without_text(data: bytes) -> bytes:
    """The same image without these chunks; `data` itself where there are none, or where it is no PNG.

    What follows a chunk that is longer than the data is kept as it is, for the decoder to complain of.
    """
    if not data.startswith(_SIGNATURE) or not any(name in data for name in _DROPPED):
        return data
    kept = [_SIGNATURE]
    at = len(_SIGNATURE)
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in _DROPPED:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)
