"""Storages (the numbers of a checkpoint) and tensors as views on them, with every size checked before use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.weights.shown import shown

DTYPES: Final = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
LARGEST_VIEW: Final = 1 << 24
"""Elements a tensor may have beyond those of its storage (views whose elements overlap are legal)."""


@dataclass(slots=True)
class Storage:
    """A flat run of numbers; `data` is filled in when its bytes are read (legacy files keep them behind the pickle)."""

    dtype: torch.dtype
    numel: int
    data: torch.Tensor | None = None
    """(numel,) of dtype."""

    def fill(self, raw: bytearray) -> None:
        """Take the bytes (little endian).

        Raises:
            RefusedCheckpoint: fewer or more bytes than declared.
        """
        expected = self.numel * self.dtype.itemsize
        if len(raw) != expected:
            raise RefusedCheckpoint(
                f"a storage of {self.numel} {self.dtype} needs {expected} bytes and has {len(raw)}: the file is cut off or damaged"
            )
        made = torch.frombuffer(raw, dtype=self.dtype) if expected else torch.empty(0, dtype=self.dtype)
        if self.data is None:
            self.data = made
        else:
            self.data.copy_(made)


def storage_of(kind: Any, numel: Any, largest: int) -> Storage:
    """A storage as declared in a pickle.

    Args:
        kind: name of a torch storage class.
        numel: declared number of elements.
        largest: bytes that the file can hold.

    Raises:
        RefusedCheckpoint: unknown kind, or more bytes than the file has.
    """
    if kind not in DTYPES:
        raise RefusedCheckpoint(f"it stores numbers as {shown(kind)}, which is none of {', '.join(DTYPES)}")
    dtype = DTYPES[kind]
    if type(numel) is not int or numel < 0 or numel * dtype.itemsize > largest:
        raise RefusedCheckpoint(
            f"it asks for a storage of {shown(numel)} {dtype} numbers, more than its {largest} bytes can hold: it is cut off or damaged"
        )
    return Storage(dtype, numel)


def rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> torch.Tensor:
    """View of a storage; nothing is copied.

    Raises:
        RefusedCheckpoint: no storage, or the view leaves it, or is out of proportion to it.
    """
    if not isinstance(storage, Storage):
        raise RefusedCheckpoint(f"it builds a tensor out of a {type(storage).__name__}")
    if not _plain(size) or not _plain(stride) or len(size) != len(stride) or not _plain((offset,)):
        raise RefusedCheckpoint(
            f"it asks for a tensor of size {shown(size)}, stride {shown(stride)}, offset {shown(offset)}"
        )
    numel = 1
    for n in size:
        numel *= n
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if numel and last >= storage.numel:
        raise RefusedCheckpoint(
            f"it asks for a tensor of size {tuple(size)} that ends beyond its storage of {storage.numel} numbers"
        )
    if numel > max(storage.numel, LARGEST_VIEW):
        raise RefusedCheckpoint(
            f"it asks for a tensor of size {tuple(size)} ({numel} numbers) over a storage of {storage.numel}"
        )
    if storage.data is None:  # legacy: bytes follow later and are copied into place
        storage.data = torch.empty(storage.numel, dtype=storage.dtype)
    if not numel:
        return torch.empty(tuple(size), dtype=storage.dtype)
    return storage.data.as_strided(tuple(size), tuple(stride), offset)


def _plain(values: Any) -> bool:
    return (
        isinstance(values, Sequence) and len(values) <= 16 and all(type(v) is int and 0 <= v < 1 << 48 for v in values)
    )
