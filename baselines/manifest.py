"""What is to be dubbed: a CSV with columns id,video,audio[,reference][,real], and manifests drawn by seed from a user's own copies."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.files import write_text
from lipsync_eval.media.names import is_hidden, is_video
from lipsync_eval.results.csv_text import csv_text

_COLUMNS = ("id", "video", "audio", "reference", "real")
PAIRS = {
    "self": "each video with its own audio: the real video is what the result should be",
    "other": "each video with the audio of another clip of the list: no real video shows that speech",
}
LAYOUTS = {
    "hdtf": "a folder of talking videos, one file a clip (HDTF as people prepare it)",
    "voxceleb2": "speaker/video/utterance.mp4, audio inside",
    "lrw": "WORD/test/WORD_00001.mp4",
    "lrs2": "main/video/utterance.mp4 with the official test.txt in FOLDER",
}


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One clip to dub."""

    id: str
    video: Path
    """The video whose lips are replaced."""
    audio: Path
    """The speech: an audio file, or a video whose audio is taken."""
    reference: Path | None
    """A picture of the person; None: the runner's rule."""
    real: Path
    """What the result is compared with: the column `real`, else the video itself."""


def read_manifest(path: Path) -> list[ManifestEntry]:
    """Entries of a manifest; relative paths are taken from its folder.

    Raises:
        ParseError: missing columns or cells, doubled or unsafe ids, files that are not there; says which line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = [h.strip() for h in reader.fieldnames or []]
            rows = [
                (
                    reader.line_num,
                    {(k or "").strip(): (v or "").strip() for k, v in row.items() if isinstance(v, str) or v is None},
                )
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ParseError(f"{path}: cannot be read as CSV ({error})") from error
    if not {"id", "video", "audio"} <= set(header) or set(header) - set(_COLUMNS):
        raise ParseError(f"{path}: columns {', '.join(header) or 'none'}; expected id,video,audio[,reference][,real]")
    if not rows:
        raise ParseError(f"{path}: holds no clip")
    entries: dict[str, ManifestEntry] = {}
    for line, row in rows:
        entry = _entry(path, line, row)
        if entry.id in entries:
            raise ParseError(f"{path}: line {line}: the id {entry.id!r} is there twice")
        entries[entry.id] = entry
    return list(entries.values())


def _entry(path: Path, line: int, row: dict[str, str]) -> ManifestEntry:
    for column in ("id", "video", "audio"):
        if not row.get(column):
            raise ParseError(f"{path}: line {line}: {column} is empty")
    name = row["id"]
    if (
        name in {".", ".."}
        or any(c in name for c in "/\\\0")
        or name.startswith(".")
        or len(name.encode()) > 200
        or not name.isprintable()
    ):
        raise ParseError(
            f"{path}: line {line}: the id {name!r} becomes a file name: no '/', no leading '.', printable, at most 200 bytes"
        )
    found: dict[str, Path] = {}
    for column in ("video", "audio", "reference", "real"):
        if cell := row.get(column):
            found[column] = file = path.parent / cell
            if not file.exists():
                raise ParseError(f"{path}: line {line}: {column} {cell!r} does not exist")
    return ManifestEntry(
        name, found["video"], found["audio"], found.get("reference"), found.get("real", found["video"])
    )


def draw_manifest(layout: str, folder: Path, out: Path, *, n: int = 50, seed: int = 12345, pair: str = "self") -> int:
    """Write a manifest of n clips drawn by seed from the user's own copy of a data set.

    The papers' own clip lists are not public; state seed, n and pairing beside your numbers. Nothing is downloaded. The clips do
    not depend on the pairing.

    Args:
        layout: one of LAYOUTS.
        folder: the data set.
        out: CSV to write.
        n: clips.
        seed: of the draw, and of the pairing.
        pair: 'self': each video with its own audio. 'other': each video with the audio of another drawn clip, every audio once.

    Returns:
        the number of clips.

    Raises:
        UsageError: unknown layout or pairing, fewer clips than asked for, or one clip for 'other'.
    """
    if pair not in PAIRS:
        raise UsageError(f"--pair {pair!r}: expected one of {', '.join(PAIRS)}")
    if pair == "other" and n < 2:
        raise UsageError(f"--pair other gives each video the audio of another clip, and --n is {n}; draw at least 2")
    if layout not in LAYOUTS:
        raise UsageError(f"layout {layout!r}: expected one of {', '.join(LAYOUTS)}")
    clips = _clips(layout, folder)
    if len(clips) < n:
        raise UsageError(
            f"{folder}: {len(clips)} clips in the layout {layout} ({LAYOUTS[layout]}), {n} asked for; give a smaller --n or another folder"
        )
    order = np.random.default_rng(seed).permutation(len(clips))[:n].tolist()
    chosen = sorted(order)
    heard = {i: clips[i] for i in order}
    if pair == "other":  # one circle through all drawn clips, in the order in which they were drawn
        heard = {i: clips[j] for i, j in zip(order, [*order[1:], order[0]], strict=True)}
    rows = [("id", "video", "audio")]
    for i in chosen:
        clip = clips[i]
        name = "_".join(clip.relative_to(folder).with_suffix("").parts)
        rows.append((name, str(clip.resolve()), str(heard[i].resolve())))
    write_text(out, csv_text(rows))
    return n


def _clips(layout: str, folder: Path) -> Sequence[Path]:
    if layout == "hdtf":
        return sorted(p for p in folder.glob("*") if is_video(p) and not is_hidden(p))
    if layout == "voxceleb2":
        return sorted(folder.glob("id*/*/*.mp4"))
    if layout == "lrw":
        return sorted(folder.glob("*/test/*.mp4"))
    lists = folder / "test.txt"
    if not lists.exists():
        raise UsageError(f"{folder}: the layout lrs2 needs the official test.txt there")
    names = [line.split()[0] for line in lists.read_text("utf-8").splitlines() if line.strip()]
    found = []
    for name in names:
        clip = folder / "main" / f"{name}.mp4"
        if ".." not in Path(name).parts and clip.exists():
            found.append(clip)
    return sorted(found)
