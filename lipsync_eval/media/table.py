"""The table of --pairs: a CSV file with the columns gen,gt[,audio,id,speaker].

UTF-8, a header line, one pair a line, quoting as in RFC 4180. `gen` and `audio` are paths relative to the GEN folder,
`gt` relative to the GT folder; absolute paths and URLs are taken as they are. A relative path may not leave its folder. An empty
audio cell means: an audio file beside the generated video, else its own track. An empty id means: the path in `gen`
without its suffix (of an absolute path or a URL, the stem alone). No two lines may have the same id. `speaker` says who speaks
(any name; every line has one, or none has): intervals and tests can then draw speakers instead of clips.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from lipsync_eval.errors import PairingError, UsageError
from lipsync_eval.files import cell_text
from lipsync_eval.media.names import key
from lipsync_eval.media.pairs import PairPaths
from lipsync_eval.urls import Place, Url, is_url

_REQUIRED: Final = ("gen", "gt")
COLUMNS: Final = ("gen", "gt", "audio", "id", "speaker")
"""What the table may hold; gen and gt it must."""

Line = tuple[int, dict[str, str]]
"""Line number and cells by column."""


def read_pairs(table: Path, gen: Place, gt: Place | None) -> list[PairPaths]:
    """The pairs of a table, in its order. Where `gt` is None the table has no column gt.

    Raises:
        PairingError: not readable, wrong columns, empty cells, doubled ids, paths that leave their folder; all lines
            that are wrong are named.
    """
    for root, side in ((gen, "GEN"), (gt, "GT")):
        if isinstance(root, Path) and not root.is_dir():
            raise PairingError(
                f"{side} {str(root)!r} is a file; with --pairs give the folders that the paths in the table start from"
            )
    problems: list[str] = []
    pairs: list[PairPaths] = []
    lines: dict[str, int] = {}
    required = _REQUIRED if gt is not None else _REQUIRED[:1]
    for line, cells in _rows(table, required):
        try:
            pair = _pair(cells, gen, gt)
        except UsageError as error:
            problems.append(f"line {line}: {error}")
            continue
        if pair.id in lines:
            problems.append(f"line {line}: the id {pair.id!r} is taken by line {lines[pair.id]}")
        lines.setdefault(pair.id, line)
        pairs.append(pair)
    if problems:
        raise PairingError(f"{table.name}: " + "; ".join(problems))
    if not pairs:
        raise PairingError(f"{table.name} has no line below its header; write one line per pair")
    if not any(all(isinstance(p, Url) or (p is not None and p.exists()) for p in _files(p, required)) for p in pairs):
        raise PairingError(
            f"{table.name}: no pair exists: the first is {' with '.join(repr(str(p)) for p in _files(pairs[0], required))}; "
            "paths are relative to GEN and GT"
        )
    return pairs


def _files(pair: PairPaths, required: tuple[str, ...]) -> list[Place | None]:
    return [getattr(pair, side) for side in required]


def _rows(table: Path, required: tuple[str, ...]) -> Iterator[Line]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            _check_header(table, header, required)
            for cells in reader:
                if cells:
                    yield reader.line_num, _row(table, reader.line_num, header, cells)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PairingError(
            f"the table {str(table)!r} cannot be read ({error}); it must be a CSV file in UTF-8"
        ) from error


def _check_header(table: Path, header: list[str], required: tuple[str, ...]) -> None:
    if "gt" in header and "gt" not in required:
        raise PairingError(f"{table.name} has a column gt, and no GT folder is given; give GT, or leave the column out")
    missing = [name for name in required if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    if missing or unknown or len(set(header)) < len(header):
        raise PairingError(
            f"{table.name}, line 1: expected the columns {','.join(required)} and, if wanted, audio, id and speaker, once each; got {','.join(header)!r}"
        )


def _row(table: Path, line: int, header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise PairingError(
            f"{table.name}, line {line}: expected {len(header)} cells ({','.join(header)}), got {len(cells)}"
        )
    return dict(zip(header, map(cell_text, cells)))


def _pair(cells: dict[str, str], gen: Place, gt: Place | None) -> PairPaths:
    empty = [name for name in (*_REQUIRED, "speaker") if name in cells and not cells[name].strip()]
    if empty:
        raise PairingError(f"the cell {' and '.join(empty)} is empty")
    speaker = cells.get("speaker")
    if speaker is not None and speaker != speaker.strip():
        raise PairingError(
            f"the speaker {speaker!r} has spaces around it: that would be another person; take them away"
        )
    audio = cells.get("audio")
    return PairPaths(
        id=_id(cells),
        gen=_below(gen, cells["gen"]),
        gt=None if gt is None else _below(gt, cells["gt"]),
        audio=_below(gen, audio) if audio else None,
        speaker=speaker,
    )


def _id(cells: dict[str, str]) -> str:
    given = cells.get("id")
    if given:
        if PurePosixPath(given).is_absolute() or os.pardir in PurePosixPath(given).parts:
            raise PairingError(
                f"the id {given!r} looks like a way out of a folder; files are called by ids: use another"
            )
        return key(given)
    if is_url(cells["gen"]):
        return key(Url.parse(cells["gen"]).stem)
    path = PurePosixPath(cells["gen"])
    return key(path.stem if path.is_absolute() else Path(os.path.normpath(path)).with_suffix("").as_posix())


def _below(root: Place, cell: str) -> Place:
    if "\0" in cell:
        raise PairingError(f"{cell!r} is not a path")
    if is_url(cell):
        return Url.parse(cell)
    if Path(cell).is_absolute():
        return Path(cell)
    normal = Path(os.path.normpath(cell))
    if os.pardir in normal.parts:
        raise PairingError(f"{cell!r} leaves the folder {str(root)!r}; write an absolute path if that is meant")
    return root.below(normal.as_posix()) if isinstance(root, Url) else root / normal
