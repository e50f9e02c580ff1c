"""The only way a checkpoint is read: safetensors, torch's zip files, torch's older files. All are untrusted input."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from lipsync_eval.errors import RefusedCheckpoint, WeightsError
from lipsync_eval.weights.globals import Budget, Global, Stub
from lipsync_eval.weights.shown import shown
from lipsync_eval.weights.unpickle import Bounded, Persistent, unpickle

if TYPE_CHECKING:
    import torch

    from lipsync_eval.weights.storage import Storage

_LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL: Final = 1001
_STATE_KEYS: Final = ("state_dict", "model_state_dict", "model")
_MOST_TENSORS: Final = 100_000
_DEEPEST: Final = 64
"""Modules in modules of a TorchScript file."""


def load_checkpoint(path: Path) -> object:
    """Read a checkpoint without running anything in it.

    Returns:
        Tensors (CPU) in plain containers; objects of other classes are inert `Stub`s that hold their data.

    Raises:
        RefusedCheckpoint: it asks for anything but tensors, plain containers and known stubs (the message names
            what), or is damaged, or is no checkpoint.
        WeightsError: the file cannot be opened.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(9)
            file.seek(0)
            if head[:4] == b"PK\x03\x04":
                return _read_zip(file, size)
            if head[8:9] == b"{":
                return _read_safetensors(path)
            return _read_legacy(file, size)
    except RefusedCheckpoint as error:
        raise RefusedCheckpoint(
            f"{path} is refused: {error}. Nothing in it was run; fetch it again, or use the official file"
        ) from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name.

    Takes a mapping of tensors, one under 'state_dict', 'model_state_dict' or 'model', or the modules of a TorchScript
    file.

    Raises:
        RefusedCheckpoint: as `load_checkpoint`, or it holds no such mapping.
    """
    import torch

    held = load_checkpoint(path)
    if isinstance(held, Stub):
        found = _flatten(held)
        if found:
            return found
    for candidate in (held, *(held.get(key) for key in _STATE_KEYS if isinstance(held, dict))):
        if isinstance(candidate, dict) and candidate and all(isinstance(v, torch.Tensor) for v in candidate.values()):
            return {str(k): v for k, v in candidate.items()}
    keys = (
        ", ".join(k[:60] if isinstance(k, str) else shown(k) for k in list(held)[:8])
        if isinstance(held, dict)
        else type(held).__name__
    )
    raise RefusedCheckpoint(
        f"{path} holds no mapping of tensors, alone or under {', '.join(_STATE_KEYS)}; it holds: {keys}"
    )


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise RefusedCheckpoint(f"it is no safetensors file, or one that is cut off or damaged ({error})") from error


def _read_zip(file: IO[bytes], size: int) -> object:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            pickles = [name for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise RefusedCheckpoint("it is a zip file without exactly one data.pkl, so torch.save did not write it")
            _check_entries(entries.values(), size)
            root = pickles[0].removesuffix("data.pkl")
            order = entries.get(f"{root}byteorder")
            if order is not None and archive.read(_stored(order)) != b"little":
                raise RefusedCheckpoint("it was written on a big-endian machine")
            with archive.open(_stored(entries[pickles[0]])) as stream:
                data = Bounded(stream, entries[pickles[0]].file_size)
                return unpickle(data, _zip_storages(archive, entries, root, size), Budget(size))
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        EOFError,
        ValueError,
        RuntimeError,
        KeyError,
        struct.error,
    ) as error:
        if not _ends_as_zip(file):
            raise RefusedCheckpoint(
                f"it is cut off: it begins as a checkpoint, and after {size} bytes its end is missing"
            ) from error
        raise RefusedCheckpoint(f"it is a damaged zip file ({str(error)[:200]})") from error


def _ends_as_zip(file: IO[bytes]) -> bool:
    try:
        return zipfile.is_zipfile(file)
    except zipfile.BadZipFile:  # it has an end, and that is damaged
        return True


def _check_entries(entries: Iterable[zipfile.ZipInfo], size: int) -> None:
    total = sum(info.compress_size for info in entries)
    if total > size:
        raise RefusedCheckpoint(f"its entries overlap: {total} bytes declared in a file of {size}")


def _stored(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The entry, if it is not compressed: torch.save compresses nothing that is read here, a bomb would be."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise RefusedCheckpoint(f"its entry {entry.filename!r} is compressed, which torch.save never does")
    return entry


def _zip_storages(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], root: str, size: int) -> Persistent:
    from lipsync_eval.weights.storage import storage_of

    known: dict[str, Storage] = {}

    def persistent(pid: Any) -> Storage:
        kind, key, numel = _storage_id(pid)
        if key not in known:
            info = entries.get(f"{root}data/{key}")
            if info is None:
                raise RefusedCheckpoint(f"it asks for the storage {shown(key)}, which is not in the file")
            storage = storage_of(kind, numel, size)
            storage.fill(bytearray(archive.read(_stored(info))))
            known[key] = storage
        return known[key]

    return persistent


def _read_legacy(file: IO[bytes], size: int) -> object:
    """Five pickles (magic number, protocol, system facts, object, storage keys), then the numbers of the storages."""
    from lipsync_eval.weights.storage import storage_of

    known: dict[str, Storage] = {}
    budget = Budget(size)

    def persistent(pid: Any) -> Storage:
        kind, key, numel = _storage_id(pid)
        if len(pid) > 5 and pid[5] is not None:
            raise RefusedCheckpoint(
                "it holds a storage that is a view of another, which no torch of the last years writes"
            )
        if key not in known:
            known[key] = storage_of(kind, numel, size)
            budget.store(numel * known[key].dtype.itemsize)
        return known[key]

    stream = Bounded(file, size)
    first = unpickle(stream, _no_storage, budget)
    if first != _LEGACY_MAGIC:
        raise RefusedCheckpoint("it is a pickle that torch.save did not write")
    if unpickle(stream, _no_storage, budget) != _LEGACY_PROTOCOL:
        raise RefusedCheckpoint("it is of a torch file protocol that is not known")
    facts = unpickle(stream, _no_storage, budget)
    if isinstance(facts, dict) and facts.get("little_endian") is False:
        raise RefusedCheckpoint("it was written on a big-endian machine")
    held = unpickle(stream, persistent, budget)
    order = unpickle(stream, _no_storage, budget)
    _fill_legacy(stream, known, order)
    return held


def _fill_legacy(stream: Bounded, known: dict[str, Storage], order: object) -> None:
    if not isinstance(order, list) or not all(isinstance(k, str) for k in order) or sorted(order) != sorted(known):
        raise RefusedCheckpoint("its list of storages is not that of its tensors: the file is damaged")
    for key in order:
        storage = known[key]
        declared = int.from_bytes(stream.read(8), "little")
        if declared != storage.numel:
            raise RefusedCheckpoint(
                f"the storage {shown(key)} should hold {storage.numel} numbers and declares {declared}"
            )
        storage.fill(bytearray(stream.read(storage.numel * storage.dtype.itemsize)))


def _storage_id(pid: Any) -> tuple[str, str, Any]:
    if (
        isinstance(pid, tuple)
        and len(pid) >= 5
        and pid[0] == "storage"
        and isinstance(pid[1], Global)
        and isinstance(pid[2], str)
    ):
        return pid[1].name, pid[2], pid[4]
    raise RefusedCheckpoint(f"it asks for an outside object that is no storage ({type(pid).__name__})")


def _no_storage(_pid: Any) -> Any:
    raise RefusedCheckpoint("it asks for a storage where none belongs")


def _flatten(top: Stub) -> dict[str, torch.Tensor]:
    """Tensors of a TorchScript module tree under their dotted names."""
    import torch

    found: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    todo: list[tuple[str, Stub]] = [("", top)]
    while todo:
        prefix, stub = todo.pop()
        if id(stub) in seen or not isinstance(stub.state, dict):
            continue
        seen.add(id(stub))
        if prefix.count(".") > _DEEPEST or len(prefix) > 100 * _DEEPEST:
            raise RefusedCheckpoint(f"its modules are more than {_DEEPEST} deep in each other")
        for key, value in stub.state.items():
            if isinstance(value, torch.Tensor):
                found[f"{prefix}{key}"] = value
            elif isinstance(value, Stub):
                todo.append((f"{prefix}{key}.", value))
        if len(found) > _MOST_TENSORS:
            raise RefusedCheckpoint(f"it holds more than {_MOST_TENSORS} tensors")
    return found
