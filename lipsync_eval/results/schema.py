"""results.json, schema 1: what a run asked, found and could not find.

A score that does not exist is None together with a failure row; never 0, NaN or a missing row.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from lipsync_eval.errors import ParseError

SCHEMA = 1
RESULTS = "results.json"


class _Row(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class RunInfo(_Row):
    """How and when the run was made; nothing here can move a score but `seed`, which moves intervals."""

    name: str
    """The method's name in tables."""
    command: list[str]
    """The command line, as given."""
    version: str
    commit: str | None
    """Commit of the lipsync-eval checkout it ran from, None for an installed package."""
    dirty: bool | None
    seed: int
    started: str
    """ISO 8601, UTC."""
    seconds: FiniteFloat
    id: str = ""
    """Of this run alone: the journal's entries carried it."""


class DataInfo(_Row):
    """What was scored."""

    n_pairs: int
    """Clips asked for, unmatched ones included: n_asked of every score."""
    digest: str
    """sha256 over ids and contents of both sides."""
    gt_digest: str
    """sha256 over ids and contents of the real side: equal in runs that can be compared clip by clip."""
    gen: str
    gt: str


class Interval(_Row):
    """Percentile bootstrap over clips."""

    low: FiniteFloat
    high: FiniteFloat
    level: FiniteFloat
    n_boot: int
    seed: int


class Score(_Row):
    """One metric over all clips."""

    metric: str
    value: FiniteFloat | None
    gt_value: FiniteFloat | None
    """The real videos' own mean score, where the metric needs no reference."""
    unit: str
    direction: Literal["up", "down", "zero"]
    ci: Interval | None
    n_scored: int
    n_asked: int
    signature: str
    notes: list[str] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)


class ClipRow(_Row):
    """One clip."""

    id: str
    gen: str | None
    gt: str | None
    n_frames: int | None
    """Common length at 25 fps; None where the pair was never read."""
    values: dict[str, FiniteFloat | None]
    gt_values: dict[str, FiniteFloat | None]
    notes: list[str]
    details: dict[str, Any]


class FailureRow(_Row):
    """Something that could not be scored."""

    id: str
    stage: Literal["pair", "decode", "align", "faces", "crop", "weights", "metric"]
    metric: str | None
    """None: every metric of the clip."""
    error: str
    """Class of the error, e.g. FaceError."""
    message: str


class Result(_Row):
    """A whole run."""

    schema_: int = Field(alias="schema", default=SCHEMA)
    run: RunInfo
    data: DataInfo
    environment: dict[str, Any]
    """What cannot move a score: device, torch, python, workers."""
    scores: list[Score]
    clips: list[ClipRow]
    failures: list[FailureRow]

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True, protected_namespaces=())

    def __getitem__(self, metric: str) -> Score:
        """The score of one metric id.

        Raises:
            KeyError: the run did not ask for it.
        """
        for score in self.scores:
            if score.metric == metric:
                return score
        raise KeyError(f"the run has no {metric!r}; it has {', '.join(s.metric for s in self.scores)}")

    def to_json(self) -> str:
        """The text of results.json: UTF-8, two spaces of indent, a final newline."""
        return json.dumps(self.model_dump(by_alias=True), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def load_result(path: Path) -> Result:
    """Read results.json, or the one in a run's folder.

    Raises:
        ParseError: no such file, not JSON, or not of this schema; says where.
    """
    file = path / RESULTS if path.is_dir() else path
    try:
        data = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ParseError(
            f"{path}: no {RESULTS} there; give a folder that `lipsync-eval score` wrote (an unfinished run is finished with --resume)"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ParseError(
            f"{file}: cannot be read as JSON ({error}); give a {RESULTS} that `lipsync-eval score` wrote"
        ) from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise ParseError(
            f"{file}: schema {SCHEMA} expected, {found!r} found; it was written by another version of lipsync-eval"
        )
    try:
        return Result.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(p) for p in first["loc"])
        raise ParseError(
            f"{file}: {place}: {first['msg']} ({error.error_count()} problems); it is not as `lipsync-eval score` writes it"
        ) from None
