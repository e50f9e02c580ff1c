"""Words with their times, from the alignment files that people have.

Read here: Praat's TextGrid (long and short form), JSON (a list of words, WhisperX, Whisper, gentle, the Montreal Forced
Aligner), tables with a header (CSV, TSV), GRID's .align and the word tables of LRS2 and LRS3 (.txt).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lipsync_eval.errors import ParseError
from lipsync_eval.files import parse_json
from lipsync_eval.results.names import printable

_LARGEST: Final = 20_000_000
"""Bytes; an alignment of a clip is a few kilobytes."""
_GRID_UNITS: Final = 25_000
"""GRID counts 1000 units a frame, at 25 frames a second."""
_START: Final = ("start", "begin", "xmin", "start_time", "tmin")
_END: Final = ("end", "xmax", "end_time", "tmax", "stop")
_TEXT: Final = ("word", "text", "label", "token", "mark")
_KINDS: Final = "TextGrid, JSON, CSV, TSV, GRID's .align, or an LRS word table (.txt)"


@dataclass(frozen=True, slots=True)
class Word:
    """One word (or phone) and when it is spoken."""

    start: float
    """Seconds from the first frame."""
    end: float
    text: str
    """As in the file, without the spaces around it; empty where the file marks silence so."""


def read_words(path: Path, tier: str | None = None) -> list[Word]:
    """Words of an alignment file, by start.

    Args:
        path: the file; its suffix says what it is.
        tier: the tier of a TextGrid or of an aligner's JSON; None: the one called 'words' or 'word', else the first.

    Raises:
        ParseError: the file cannot be read, is of no known form, or holds no word with usable times.
    """
    kind = path.suffix.lower()
    readers: dict[str, Callable[[str], Iterable[tuple[Any, Any, Any]]]] = {
        ".textgrid": lambda text: _tier(path, _textgrid(path, text), tier),
        ".json": lambda text: _json(path, text, tier),
        ".csv": lambda text: _table(path, text, ","),
        ".tsv": lambda text: _table(path, text, "\t"),
        ".align": _grid,
        ".txt": lambda text: _lrs(path, text),
    }
    if kind not in readers:
        raise ParseError(f"{path}: {kind or 'no suffix'} is no known alignment file; expected {_KINDS}")
    words = [_word(path, *row) for row in readers[kind](_text(path))]
    if not words:
        raise ParseError(f"{path}: holds no word; expected {_KINDS} with start, end and text of each word")
    return sorted(words, key=lambda w: (w.start, w.end))


def word_at(words: Sequence[Word], seconds: float) -> str:
    """What is spoken at a moment: the word with start <= t < end that began last; '' where there is none."""
    there = [w for w in words if w.start <= seconds < w.end]
    return max(there, key=lambda w: w.start).text if there else ""


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise ParseError(f"{path}: larger than {_LARGEST // 1_000_000} MB; expected the alignment of one clip")
        data = path.read_bytes()
    except OSError as error:
        raise ParseError(f"{path}: cannot be read ({error.strerror or error}); expected an alignment file") from error
    code = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(code)
    except UnicodeDecodeError as error:
        raise ParseError(f"{path}: is neither UTF-8 nor UTF-16 with its mark; save it as UTF-8") from error


def _word(path: Path, start: Any, end: Any, text: Any) -> Word:
    try:
        begin, stop = float(start), float(end)
    except (TypeError, ValueError):
        begin = stop = math.nan
    if isinstance(start, bool) or not (math.isfinite(begin) and math.isfinite(stop) and begin <= stop):
        raise ParseError(f"{path}: {text!r} from {start!r} to {end!r}: expected two times in seconds, start <= end")
    if not isinstance(text, str):
        raise ParseError(f"{path}: {text!r} at {begin:g} s: expected a text")
    return Word(begin, stop, printable(" ".join(text.split())))


def _tier(path: Path, tiers: Sequence[tuple[str, list[Any]]], wanted: str | None) -> list[Any]:
    if not tiers:
        raise ParseError(f"{path}: holds no tier of intervals; export one with words")
    names = [name for name, _ in tiers]
    usual = next((i for i, n in enumerate(names) if n.strip().lower() in ("words", "word")), 0)
    if wanted is None:
        return tiers[usual][1]
    if wanted not in names:
        raise ParseError(f"{path}: there is no tier {wanted!r}; there are: {', '.join(map(printable, names))}")
    return tiers[names.index(wanted)][1]


_TOKEN: Final = re.compile(r'"((?:[^"]|"")*)"|<(\w+)>|(?<![\w.\[])(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?![\w.\]])')


def _textgrid(path: Path, text: str) -> list[tuple[str, list[Any]]]:
    """(name, intervals) of each interval tier. Both forms hold the same texts and numbers in the same order; in the long
    form there are words between them, which Praat ignores too."""
    tokens: list[str | float] = []
    for quoted, flag, number in (m.groups() for m in _TOKEN.finditer(text)):
        if number is not None:
            tokens.append(float(number))
        elif quoted is not None:
            tokens.append(quoted.replace('""', '"'))
        elif flag != "exists":
            raise ParseError(f"{path}: holds no tiers (<{flag}>)")
    place = 2

    def take(kind: type) -> Any:
        nonlocal place
        if place >= len(tokens) or not isinstance(tokens[place], kind):
            found = repr(tokens[place]) if place < len(tokens) else "the end"
            raise ParseError(f"{path}: is no whole TextGrid: expected a {kind.__name__}, found {found}")
        place += 1
        return tokens[place - 1]

    if tokens[:2] != ["ooTextFile", "TextGrid"]:
        raise ParseError(f"{path}: is no TextGrid in text form; save it from Praat as text file")
    take(float), take(float)
    tiers = []
    for _ in range(int(take(float))):
        intervals, name = take(str) == "IntervalTier", take(str)
        take(float), take(float)
        n = int(take(float))
        rows = [(take(float), take(float), take(str)) if intervals else (take(float), take(str)) for _ in range(n)]
        if intervals:
            tiers.append((name, rows))
    return tiers


def _json(path: Path, text: str, tier: str | None) -> list[Any]:
    try:
        data = parse_json(text)
    except ValueError as error:
        raise ParseError(f"{path}: cannot be read as JSON ({error})") from error
    if isinstance(data, dict) and isinstance(data.get("tiers"), dict):
        found = [(str(n), list(map(_entry, _list(path, t, "entries")))) for n, t in data["tiers"].items()]
        return _tier(path, found, tier)
    if isinstance(data, dict):
        for key in ("words", "word_segments"):
            if isinstance(data.get(key), list):
                return _timed(data[key])
        segments = _list(path, data, "segments")
        return _timed([w for s in segments for w in _list(path, s, "words")])
    if isinstance(data, list):
        return _timed(data)
    raise ParseError(f"{path}: expected a list of words, or an object with 'words', 'segments' or 'tiers'")


def _list(path: Path, data: Any, key: str) -> list[Any]:
    found = data.get(key) if isinstance(data, dict) else None
    if not isinstance(found, list):
        raise ParseError(f"{path}: expected a list {key!r} with start, end and text of each word")
    return found


def _timed(rows: Iterable[Any]) -> list[Any]:
    """(start, end, text) of each word. Words that the aligner could not place (no times at all) are left out."""
    made = [_entry(row) for row in rows]
    return [row for row in made if row[0] is not None or row[1] is not None]


def _entry(row: Any) -> tuple[Any, Any, Any]:
    if isinstance(row, Mapping):
        low = {str(k).lower(): v for k, v in row.items()}
        return tuple(next((low[n] for n in names if n in low), None) for names in (_START, _END, _TEXT))  # type: ignore[return-value]
    return tuple(row) if isinstance(row, list) and len(row) == 3 else (row, None, None)


def _table(path: Path, text: str, comma: str) -> list[Any]:
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=comma, strict=True))
    except csv.Error as error:
        raise ParseError(f"{path}: cannot be read as a table ({error})") from error
    head = {str(k).strip().lower() for k in rows[0]} if rows else set()
    if rows and not all(head & set(names) for names in (_START, _END, _TEXT)):
        raise ParseError(f"{path}: columns {', '.join(sorted(head))}; expected start, end and word")
    low = [{str(k).strip().lower(): v for k, v in row.items()} for row in rows]
    if any("type" in row for row in low):  # the Montreal Forced Aligner writes words and phones into one table
        low = [row for row in low if row.get("type") in ("words", "word")]
    return [_entry(row) for row in low]


def _grid(text: str) -> list[Any]:
    rows = [line.split() for line in text.splitlines() if line.strip()]
    return [(_units(r[0]), _units(r[1]), r[2]) if len(r) == 3 else (None, None, " ".join(r)) for r in rows]


def _units(text: str) -> float | str:
    return int(text) / _GRID_UNITS if text.isdecimal() else text


def _lrs(path: Path, text: str) -> list[Any]:
    lines = [line.split() for line in text.splitlines()]
    head = next((i for i, line in enumerate(lines) if line[:3] == ["WORD", "START", "END"]), None)
    if head is None:
        raise ParseError(f"{path}: expected a line 'WORD START END', as in the texts of LRS2 and LRS3")
    rows = [line for line in lines[head + 1 :] if line]
    return [(r[1], r[2], r[0]) if len(r) >= 3 else (None, None, " ".join(r)) for r in rows]
