"""Prepared training data on disk: shards of clips and a manifest.

A shard is a safetensors file (no pickle, readable in part). Entry k holds
    k/pictures   (bytes,) uint8: the crops as PNG files, one after the other
    k/offsets    (T + 1,) int64: crop i is pictures[offsets[i] : offsets[i + 1]]
    k/landmarks  (T, L, 2) float32, px of the crop; L = 68 with the default backend
    k/audio      (640 T,) int16, 16 kHz, sample 0 at the first frame
    k/NAME       every further array that its generator stores (inputs.py: StoredArray), e.g. k/mel
`manifest.json` lists shards with sha256 and size, their entries, and what failed. It is written after its shards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import ClipError, ParseError
from lipsync_eval.files import atomic, parse_json, sha256, write_text
from lipsync_eval.types import Frame

SCHEMA = 1
MANIFEST = "manifest.json"


class ShardError(ClipError):
    """A shard is missing, cut off or changed."""


@dataclass(frozen=True)
class ShardEntry:
    """One run of consecutive crops of one person."""

    id: str
    """Source's relative path without suffix, '#' and the run's number."""
    source: str
    """Relative path of the video it was cut from."""
    group: str
    """Person where the layout names one, else the source: what a split must not tear apart."""
    split: str | None
    """train, val or test where the layout has it."""
    first: int
    """Number of its first frame in the source, at 25 fps."""
    frames: int
    notes: tuple[str, ...] = ()
    face: float | None = None
    """Height of the landmarks' box in the source, px (median)."""
    sharpness: float | None = None
    """See quality.py; None: not measured."""


@dataclass(frozen=True)
class Shard:
    """One file of entries."""

    file: str
    sha256: str
    bytes: int
    entries: tuple[ShardEntry, ...]


@dataclass(frozen=True)
class Failure:
    """A video that gave nothing."""

    source: str
    error: str
    message: str


@dataclass
class Manifest:
    """What a prepared folder holds."""

    preprocessing: dict[str, Any]
    """Everything that shapes the stored numbers; two runs into one folder must agree on it."""
    shards: list[Shard] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    """Finished videos: relative path -> sha256."""
    failures: list[Failure] = field(default_factory=list)

    def entries(self) -> list[tuple[Shard, int, ShardEntry]]:
        """Every entry with its shard and its number there."""
        return [(shard, k, entry) for shard in self.shards for k, entry in enumerate(shard.entries)]


@dataclass
class Segment:
    """An entry's arrays before they are written."""

    entry: ShardEntry
    png: list[bytes]
    landmarks: NDArray[np.float32]
    audio: NDArray[np.int16]
    arrays: Mapping[str, NDArray[Any]]

    @property
    def bytes(self) -> int:
        """Size on disk, about."""
        arrays: list[NDArray[Any]] = [self.landmarks, self.audio, *self.arrays.values()]
        return sum(map(len, self.png)) + sum(array.nbytes for array in arrays)


def write_shard(path: Path, segments: Sequence[Segment]) -> Shard:
    """Write one shard, whole or not at all."""
    from safetensors.numpy import save

    arrays: dict[str, NDArray[Any]] = {}
    for k, segment in enumerate(segments):
        sizes = [len(png) for png in segment.png]
        arrays[f"{k}/pictures"] = np.frombuffer(b"".join(segment.png), np.uint8)
        arrays[f"{k}/offsets"] = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        arrays[f"{k}/landmarks"] = np.ascontiguousarray(segment.landmarks, np.float32)
        arrays[f"{k}/audio"] = np.ascontiguousarray(segment.audio, np.int16)
        arrays |= {f"{k}/{name}": np.ascontiguousarray(array) for name, array in segment.arrays.items()}
    with atomic(path) as file:
        file.write(save(arrays))
    return Shard(path.name, sha256(path), path.stat().st_size, tuple(segment.entry for segment in segments))


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json, whole or not at all."""
    write_text(folder / MANIFEST, json.dumps({"schema": SCHEMA, **asdict(manifest)}, indent=1) + "\n")


def load_manifest(folder: Path) -> Manifest:
    """Read manifest.json.

    Raises:
        ParseError: missing, not JSON, of another schema, or naming files outside its folder.
    """
    path = folder / MANIFEST
    try:
        raw = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParseError(
            f"{folder} holds no {MANIFEST}; make it with the `prepare` command of the generator, e.g. lipsync-eval radio prepare VIDEOS {folder}"
        ) from error
    except (OSError, ValueError) as error:
        raise ParseError(f"{path} cannot be read as JSON: {error}") from error
    try:
        if raw["schema"] != SCHEMA:
            raise ParseError(f"{path} has schema {raw['schema']}, this version reads {SCHEMA}; prepare the data again")
        shards = [_shard(item, path) for item in raw["shards"]]
        failures = [Failure(**item) for item in raw["failures"]]
        return Manifest(dict(raw["preprocessing"]), shards, dict(raw["sources"]), failures)
    except (KeyError, TypeError, AttributeError) as error:
        raise ParseError(f"{path} is malformed ({error!r}); prepare the data again") from error


def _shard(item: dict[str, Any], path: Path) -> Shard:
    name = str(item["file"])
    if Path(name).name != name or name in {"", ".", ".."}:
        raise ParseError(f"{path} names the shard {name!r}, which is not a plain file name")
    entries = tuple(ShardEntry(**{**entry, "notes": tuple(entry["notes"])}) for entry in item["entries"])
    return Shard(name, str(item["sha256"]), int(item["bytes"]), entries)


def check_shards(folder: Path, manifest: Manifest, how: str = "sha256") -> None:
    """Compare every shard with the manifest, by size ('size') or by content too ('sha256').

    Raises:
        ShardError: naming the first shard that differs.
    """
    for shard in manifest.shards:
        path = folder / shard.file
        hint = "delete it and run `prepare` again on the same folders, which makes only what is missing"
        if not path.is_file():
            raise ShardError(f"shard {shard.file} is missing from {folder}; run `prepare` again on the same folders")
        size = path.stat().st_size
        if size != shard.bytes:
            raise ShardError(f"shard {shard.file} has {size} bytes where the manifest says {shard.bytes}; {hint}")
        if how == "sha256" and sha256(path) != shard.sha256:
            raise ShardError(f"shard {shard.file} has been changed (its sha256 is not the manifest's); {hint}")


class ShardReader:
    """Reads parts of shards; keeps files open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "_open": {}}

    def array(self, shard: Shard, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Rows start..stop-1 of one array of a shard.

        Raises:
            ShardError: the file cannot be read or lacks the array.
        """
        from safetensors import SafetensorError, safe_open

        try:
            if shard.file not in self._open:
                self._open[shard.file] = safe_open(self.folder / shard.file, framework="np")
            part: NDArray[Any] = self._open[shard.file].get_slice(name)[start:stop]
        except (SafetensorError, OSError) as error:
            raise ShardError(
                f"shard {shard.file} cannot be read ({error}); delete it and run `prepare` again"
            ) from error
        return part

    def crop(self, shard: Shard, entry: int, index: int) -> Frame:
        """Crop `index` of an entry: (H, W, 3) uint8 RGB.

        Raises:
            ShardError: the stored bytes are no image.
        """
        import cv2

        start, stop = self.array(shard, f"{entry}/offsets", index, index + 2).tolist()
        data = self.array(shard, f"{entry}/pictures", start, stop)
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if bgr is None:
            raise ShardError(f"crop {index} of {shard.entries[entry].id} in {shard.file} is damaged; prepare it again")
        return np.ascontiguousarray(bgr[:, :, ::-1])
