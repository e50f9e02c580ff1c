"""Tables of the papers as data: what was printed, where, and why it may not be comparable."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.results.facts import Direction, Facts, facts_of

KEYS = {
    "radio": "RADIO (Lee et al., WACV 2024)",
    "personatalk": "PersonaTalk (Zhang et al., SIGGRAPH Asia 2024)",
    "avhubert-expert": "Audio-Visual Speech Representation Expert (Yaman et al., CVPRW 2024)",
    "stylesync": "StyleSync (Guan et al., CVPR 2023)",
}
GT = "GT"
REMARKS = {
    (
        "radio",
        "Table 1",
    ): "RADIO's own table stars itself for Sync-C on HDTF (0.406 from the truth); PC-AVS is nearer (0.344) and carries the star here.",
}
"""Where a table made by our rules differs from the printed one."""
MISSING = {
    "personatalk": {
        "Table 2": "comparison with SyncTalk: its numbers are not legible in the text that the others were taken from",
        "Table 4": "ablation of the style encoder and the face renderer: likewise",
    },
}
"""Tables of results of these papers that are not here, and why."""
_NORMALISED = {"radio", "personatalk"}
"""Papers whose text says that their LMD is a normalised one: it stands beside `lmd_norm`, not `lmd`."""


@dataclass(frozen=True, slots=True)
class Published:
    """One printed number."""

    key: str
    paper: str
    table: str
    dataset: str
    method: str
    metric: str
    value: float
    notes: str


@cache
def own_facts() -> Mapping[str, Facts]:
    """Facts of the metrics that only papers have (opinion scores...), by id."""
    return {
        r["metric"]: Facts(r["title"], int(r["decimals"]), _direction(r["direction"]), r["unit"], r["metric"], True)
        for r in csv.DictReader(_text("published_metrics.csv").splitlines())
    }


def facts_of_metric(metric: str) -> Facts:
    """Facts of a metric that a paper prints: its own, else those of the metric that is installed here.

    Raises:
        ParseError: the published data name a metric that nobody describes.
    """
    found = own_facts().get(metric) or facts_of(metric)
    if found is None:
        raise ParseError(f"published numbers name the metric {metric!r}, which published_metrics.csv does not describe")
    return found


@cache
def rows() -> tuple[Published, ...]:
    """All printed numbers, in the papers' order."""
    names = {paper: key for key, paper in KEYS.items()}
    text = _text("published.csv")
    return tuple(
        Published(
            names[r["paper"]],
            r["paper"],
            r["table"],
            r["dataset"],
            r["method"],
            "lmd_norm" if r["metric"] == "lmd" and names[r["paper"]] in _NORMALISED else r["metric"],
            float(r["value"]),
            r["notes"],
        )
        for r in csv.DictReader(text.splitlines())
    )


def select(key: str, table: str | None = None) -> tuple[Published, ...]:
    """The numbers of one paper: its main comparison (Table 1 and, where it is split by dataset, Table 2), or one table.

    Args:
        key: one of KEYS, or 'KEY/TABLE', e.g. 'radio/Table 2'.
        table: the table's name in the paper.

    Raises:
        UsageError: no such key or table.
    """
    key, slash, named = key.partition("/")
    table = named if slash else table
    if key not in KEYS:
        raise UsageError(f"no published numbers are called {key!r}; there are: {', '.join(KEYS)}")
    mine = [r for r in rows() if r.key == key]
    tables = list(dict.fromkeys(r.table for r in mine))
    if table is None:
        wanted = {"Table 1", "Table 2"} if key == "avhubert-expert" else {"Table 1"}
    elif table in tables:
        wanted = {table}
    else:
        why = f" ({MISSING[key][table]})" if table in MISSING.get(key, {}) else ""
        raise UsageError(f"{KEYS[key]} has no {table!r} here{why}; there are: {', '.join(tables)}")
    return tuple(r for r in mine if r.table in wanted)


def of_dataset(numbers: Sequence[Published], dataset: str) -> tuple[Published, ...]:
    """The numbers on one dataset, by the papers' name for it; capital letters do not matter.

    Raises:
        UsageError: none of them is on it.
    """
    found = tuple(n for n in numbers if n.dataset.casefold() == dataset.casefold())
    if numbers and not found:
        there = ", ".join(dict.fromkeys(n.dataset for n in numbers))
        raise UsageError(f"--dataset {dataset!r}: these published numbers are on {there}")
    return found


def listing() -> list[str]:
    """One line per paper and table, for `lipsync-eval list published`."""
    lines = []
    for key, paper in KEYS.items():
        tables: dict[str, dict[str, None]] = {}
        for r in rows():
            if r.key == key:
                tables.setdefault(r.table, {})[r.dataset] = None
        for table, datasets in tables.items():
            lines.append(f"{key + '/' + table:<36}{', '.join(datasets)}  ({paper})")
        lines += [f"{key + '/' + table:<36}not here: {why}  ({paper})" for table, why in MISSING.get(key, {}).items()]
    return lines


def facts(name: str) -> dict[str, Any] | None:
    """What `lipsync-eval show KEY` prints, or None when no paper has that key."""
    if name not in KEYS:
        return None
    mine = [r for r in rows() if r.key == name]
    return {
        "paper": KEYS[name],
        "tables": list(dict.fromkeys(f"{r.table}: {r.dataset}" for r in mine)),
        "not here": [f"{table}: {why}" for table, why in MISSING.get(name, {}).items()] or ["none"],
        "methods": list(dict.fromkeys(r.method for r in mine)),
        "metrics": list(dict.fromkeys(r.metric for r in mine)),
        "notes": list(dict.fromkeys(r.notes for r in mine if r.notes)) or ["none"],
        "warning": "made under the paper's own protocol: not comparable with numbers measured here",
    }


def _text(name: str) -> str:
    return files("lipsync_eval.reports").joinpath(name).read_text("utf-8")


def _direction(text: str) -> Direction:
    if text in ("up", "down", "zero"):
        return text  # type: ignore[return-value]
    raise ParseError(f"published_metrics.csv: direction {text!r}; expected up, down or zero")
