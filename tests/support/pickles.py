"""Hand-made pickles for tests of the safe loader."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from typing import Any

MAGIC = 0x1950A86A20F9469CFC6C


class Calls:
    """Pickles as a call of `function` with `args`."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.args


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, attribute: str) -> bytes:
    """GLOBAL."""
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def integer(value: int) -> bytes:
    """BININT, or LONG1 where it does not fit."""
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def whole(body: bytes) -> bytes:
    """A protocol 2 pickle around opcodes."""
    return b"\x80\x02" + body + b"."


def zipped(data: bytes, records: dict[str, bytes] | None = None, *, compress: bool = False) -> bytes:
    """A torch zip file with this data.pkl."""
    out = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", kind) as archive:
        archive.writestr("archive/data.pkl", data)
        for path, content in (records or {}).items():
            archive.writestr(path, content)
    return out.getvalue()


def legacy(data: bytes, keys: list[str] | None = None, tail: bytes = b"") -> bytes:
    """A torch file as before version 1.6 with this object pickle."""
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(x, protocol=2) for x in (MAGIC, 1001, facts))
    return head + data + pickle.dumps(keys or [], protocol=2) + tail


def storage(kind: str, key: str, numel: int, module: str = "torch") -> bytes:
    """A persistent id of a storage, and the opcode that asks for it."""
    return b"(" + text("storage") + name(module, kind) + text(key) + text("cpu") + integer(numel) + b"tQ"


def numbers(values: list[int]) -> bytes:
    """A tuple of integers."""
    return b"(" + b"".join(integer(v) for v in values) + b"t"


def tensor(kind: str, key: str, numel: int, size: list[int], stride: list[int], offset: int = 0) -> bytes:
    """A call of _rebuild_tensor_v2."""
    backward = name("collections", "OrderedDict") + b")R"
    args = storage(kind, key, numel) + integer(offset) + numbers(size) + numbers(stride) + b"\x89" + backward
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + args + b"tR"
