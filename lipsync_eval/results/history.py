"""history.json of `lipsync-eval watch`: a row for every checkpoint of a training, with its scores and their signatures.

A history stands for its newest checkpoint where a run is asked for (`gate`, `export`), and for all that are scored where
runs are compared (`table`, `plot`, `report`).
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, FiniteFloat, ValidationError

from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.files import parse_json, write_text
from lipsync_eval.results.csv_text import csv_text
from lipsync_eval.results.names import printable
from lipsync_eval.results.rows import JsonRecord, Score

HISTORY: Final = "history.json"
TABLE: Final = "history.csv"
SCHEMA: Final = 1
RUN: Final = "run"
"""Folder of the usual run inside a row's folder."""
COLUMNS: Final = (
    "checkpoint", "step", "status", "metric", "value", "mean_abs", "low", "high", "gt_value", "unit", "direction",
    "n_scored", "n_asked", "signature", "resample", "reason", "run",
)  # fmt: skip
"""Of history.csv: a line for every checkpoint and metric; one without metric for a checkpoint that failed."""

NO_SCORE: Final = (None,) * 12
"""What `score_cells` gives where there is no score."""

_NUMBERS = re.compile(r"\d+")


class HistoryRow(JsonRecord):
    """One checkpoint."""

    checkpoint: str
    """Its path from the watched folder."""
    sha256: str
    """Of its content; with the name it says which checkpoint this is."""
    size: int
    mtime_ns: int
    folder: Annotated[str, Field(pattern=r"^checkpoints/\d{4,}-[A-Za-z0-9._-]{1,100}$")]
    """From the history's own folder: its videos, the log of the command, and RUN, a run as `score` writes it."""
    status: Literal["dubbing", "scoring", "scored", "failed"]
    """dubbing, scoring: under way, or where a kill left it."""
    reason: str = ""
    """Why it failed; '' else."""
    started: str
    """ISO 8601, UTC."""
    dub_seconds: FiniteFloat | None = None
    n_failures: int = 0
    """Failure rows of its run."""
    scores: list[Score] = Field(default_factory=list)
    """As in the run's results.json, without notes and details."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.status in ("scored", "failed")


class History(JsonRecord):
    """All checkpoints of a watched folder, in their order."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True, protected_namespaces=())

    schema_: Literal[1] = Field(alias="schema", default=SCHEMA)
    kind: Literal["history"] = "history"
    checkpoints: str
    """The watched folder, as an absolute path."""
    order: Literal["name", "mtime"]
    command: str
    """The command that dubs, with its placeholders."""
    manifest: str
    """Where the manifest is, as an absolute path."""
    plan: dict[str, Any]
    """What a resumed watch compares: sha256 of the manifest, signatures of the metrics, the real videos, the seed."""
    rows: list[HistoryRow]

    def with_row(self, row: HistoryRow) -> Self:
        """The same with one row added, or put in the place of the row of the same folder; in order."""
        rows = [r for r in self.rows if r.folder != row.folder]
        return self.model_copy(update={"rows": sorted([*rows, row], key=lambda r: order_key(self.order, r))})

    def to_json(self) -> str:
        """The text of history.json."""
        data = self.model_dump(by_alias=True)
        for row in data["rows"]:
            row["scores"] = [{k: v for k, v in s.items() if k not in ("notes", "details")} for s in row["scores"]]
        return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """The text of history.csv, see COLUMNS."""
        lines: list[Sequence[object]] = [COLUMNS]
        for row, step in zip(self.rows, steps([r.checkpoint for r in self.rows]), strict=True):
            head, tail = (row.checkpoint, step, row.status), (row.reason, f"{row.folder}/{RUN}")
            lines += [(*head, *score_cells(s), *tail) for s in row.scores]
            if not row.scores:
                lines.append((*head, *NO_SCORE, *tail))
        return csv_text(lines)


def score_cells(s: Score) -> tuple[object, ...]:
    """metric to resample of COLUMNS."""
    low, high = (s.ci.low, s.ci.high) if s.ci else (None, None)
    return (
        s.metric, s.value, s.mean_abs, low, high, s.gt_value, s.unit, s.direction, s.n_scored, s.n_asked, s.signature, s.resample,
    )  # fmt: skip


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in names as numbers: step_900 before step_1000."""
    pieces = re.split(r"(\d+)", name)
    return [(int(p[:4000]), "") if p.isdigit() and p.isascii() else (-1, p) for p in pieces]


def order_key(order: str, row: HistoryRow) -> tuple[Any, ...]:
    """Of rows: by name, then by time of change; or the other way round."""
    return (natural(row.checkpoint), row.mtime_ns) if order == "name" else (row.mtime_ns, natural(row.checkpoint))


def steps(names: Sequence[str]) -> list[int]:
    """The training step of each checkpoint: the last number of its name, where the names are alike but for their numbers
    and that number grows from each to the next; else 1, 2, 3...
    """
    last = [int(found[-1][:18]) for name in names if (found := _NUMBERS.findall(name))]
    alike = len({_NUMBERS.sub("#", name) for name in names}) == 1 and len(last) == len(names)
    if alike and all(a < b for a, b in itertools.pairwise(last)):
        return last
    return list(range(1, len(names) + 1))


def history_file(path: Path) -> Path | None:
    """The history that a path means: history.json itself, or a folder that holds one; None where there is none."""
    file = path / HISTORY if os.path.isdir(path) else path  # noqa: PTH112 (False, not an error, where a name is too long)
    return file if file.name == HISTORY and file.is_file() else None


def load_history(file: Path) -> History:
    """Read history.json.

    Raises:
        ParseError: it cannot be read, or is not as `watch` writes it.
    """
    try:
        return History.model_validate(parse_json(file.read_text("utf-8")))
    except OSError as error:
        raise ParseError(f"{file}: cannot be read ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "text"
        raise ParseError(
            f"{file}: {place}: {first['msg']} ({error.error_count()} problems); it is not as `lipsync-eval watch` writes it"
        ) from None
    except ValueError as error:
        raise ParseError(f"{file}: is no JSON ({error}); it is not as `lipsync-eval watch` writes it") from error


def save_history(history: History, folder: Path) -> None:
    """Write history.json and history.csv, each whole or not at all."""
    write_text(folder / HISTORY, history.to_json())
    write_text(folder / TABLE, history.to_csv())


def scored_runs(file: Path) -> tuple[list[Path], list[str]]:
    """The runs of all scored checkpoints of a history, in its order, and a sentence on each other checkpoint.

    Args:
        file: from `history_file`.

    Raises:
        UsageError: no checkpoint is scored.
        ParseError: the history cannot be read.
    """
    rows = load_history(file).rows
    runs = [file.parent / row.folder / RUN for row in rows if row.status == "scored"]
    if not runs:
        raise UsageError(f"{file}: no checkpoint is scored yet; wait for the first one")
    others = [row for row in rows if row.status != "scored"]
    return runs, [f"{printable(r.checkpoint)} is left out: {r.reason or 'it is not scored yet'}" for r in others]


def newest_run(path: Path, *, besides: Path | None = None) -> Path:
    """The run that a path stands for: a history stands for its newest finished checkpoint, all else for itself.

    Args:
        path: a run, or a history or its folder.
        besides: a run that is not meant: the history then stands for the newest scored checkpoint before that one, and
            failed checkpoints are passed over. Where the history does not hold it, for its newest scored checkpoint.

    Raises:
        UsageError: no checkpoint is finished, the newest one failed, or there is no earlier one.
        ParseError: the history cannot be read.
    """
    file = history_file(path)
    if file is None:
        return path
    rows = [row for row in load_history(file).rows if row.finished]
    runs = [file.parent / row.folder / RUN for row in rows]
    if besides is not None:
        meant = (besides.parent if besides.is_file() else besides).resolve()
        own = [i for i, run in enumerate(runs) if run.resolve() == meant]
        last = own[0] if own else len(rows)
        scored = [run for row, run in zip(rows[:last], runs, strict=False) if row.status == "scored"]
        if not scored:
            raise UsageError(f"{file}: holds no scored checkpoint before the newest one; wait for one, or name a run")
        return scored[-1]
    if not rows:
        raise UsageError(f"{file}: no checkpoint is finished yet; wait for the first one")
    if rows[-1].status == "failed":
        raise UsageError(
            f"{file}: the newest checkpoint, {printable(rows[-1].checkpoint)}, failed: {rows[-1].reason}; "
            f"correct the command and watch with --again-failed, or name a run, e.g. {file.parent}/checkpoints/NAME/{RUN}"
        )
    return runs[-1]
