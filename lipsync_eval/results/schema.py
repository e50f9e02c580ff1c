"""results.json, schema 2: what a run asked, found and could not find. Files of schema 1 are read too.

Schema 2 adds to every score the facts of its metric (title, decimals, family, whether it is ranked) and the mean of
absolute values for metrics whose best value is 0; paths start from the file's own folder where they can.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, PrivateAttr, ValidationError

from lipsync_eval.errors import OutputError, ParseError, UsageError
from lipsync_eval.files import parse_json, write_text
from lipsync_eval.results import paths
from lipsync_eval.results.collector import without_collector
from lipsync_eval.results.columns import Column, Columns
from lipsync_eval.results.csv_text import csv_text
from lipsync_eval.results.frames import FRAMES, Frames, load_frames, write_frames
from lipsync_eval.results.numbers import level
from lipsync_eval.results.rows import ClipRow, DataInfo, FailureRow, Interval, JsonRecord, RunInfo, Score
from lipsync_eval.results.text import summary, summary_html

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RESULTS", "SCHEMA", "ClipRow", "DataInfo", "FailureRow", "Interval", "Result", "RunInfo", "Score", "load_result"]  # fmt: skip

SCHEMA = 2
RESULTS = "results.json"
CLIPS = "clips.csv"
_READ = (1, 2)


class Result(JsonRecord):
    """A whole run: prints as the table that `score` shows, `result["psnr"]` is one score.

    Paths of videos are absolute in memory (as given, where the file is of schema 1).
    """

    schema_: int = Field(alias="schema", default=SCHEMA)
    run: RunInfo
    data: DataInfo
    environment: dict[str, Any]
    """What cannot move a score: device, torch, python, workers."""
    scores: list[Score]
    clips: list[ClipRow]
    failures: list[FailureRow]

    _frames: Frames | Path | None = PrivateAttr(None)
    """Per-frame values, or the folder whose frames.npz holds them."""
    _columns: Columns | None = PrivateAttr(None)
    """The clips by metric, once somebody asked."""

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

    def __contains__(self, metric: object) -> bool:
        """Whether the run asked for a metric id."""
        return any(s.metric == metric for s in self.scores)

    def __eq__(self, other: object) -> bool:
        """Equal content; where it was read from does not matter."""
        return isinstance(other, Result) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        """The table that `score` prints: 80 columns, with failures and signatures."""
        return summary(self.scores, self.failures, self.data.n_pairs)

    def __repr__(self) -> str:
        """Short: name, and how many of what."""
        return f"<Result {self.run.name!r}: {len(self.scores)} metrics, {len(self.clips)} clips, {len(self.failures)} failures>"

    def _repr_html_(self) -> str:
        """For notebooks."""
        return summary_html(self.scores, self.failures, self.data.n_pairs)

    def column(self, metric: str, *, real: bool = False) -> Column:
        """The values of one metric by clip id, or the real videos' own; empty where no clip has one (a pooled metric)."""
        if self._columns is None or self._columns.clips is not self.clips:
            self._columns = Columns(self.clips)
        return (self._columns.real if real else self._columns.values).get(metric, {})

    def scores_frame(self) -> pd.DataFrame:
        """One row a metric, indexed by its id: title, value, mean_abs, gt_value, low, high (of the interval), unit, direction,
        n_scored, n_asked, signature. What is absent is NaN.
        """
        import pandas as pd

        rows = [
            {
                "metric": s.metric,
                "title": s.title,
                "value": s.value,
                "mean_abs": s.mean_abs,
                "gt_value": s.gt_value,
                "low": s.ci.low if s.ci else None,
                "high": s.ci.high if s.ci else None,
                "unit": s.unit,
                "direction": s.direction,
                "n_scored": s.n_scored,
                "n_asked": s.n_asked,
                "signature": s.signature,
            }
            for s in self.scores
        ]
        numbers = ("value", "mean_abs", "gt_value", "low", "high")
        return pd.DataFrame(rows).set_index("metric").astype(dict.fromkeys(numbers, "float64"))

    def clips_frame(self) -> pd.DataFrame:
        """One row a clip, indexed by its id: n_frames, then every metric that has values per clip (float64, NaN where it
        failed), then notes.
        """
        import pandas as pd

        metrics = [s.metric for s in self.scores if any(s.metric in c.values for c in self.clips)]
        rows = [
            {"id": c.id, "n_frames": c.n_frames, **{m: c.values.get(m) for m in metrics}, "notes": "; ".join(c.notes)}
            for c in self.clips
        ]
        return pd.DataFrame(rows).set_index("id").astype(dict.fromkeys(metrics, "float64"))

    def frames(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Per-frame values: clip id -> array.

        Args:
            name: a metric, giving (n_frames,) float64 with NaN where a frame has none; or another array that frames.npz
                holds, e.g. 'syncnet_distance'.

        Raises:
            UsageError: no such array, or this result has none (it was not read from a run's folder).
            ParseError: frames.npz cannot be read.
        """
        held = self.all_frames()
        found = {clip: arrays[name] for clip, arrays in held.items() if name in arrays}
        if not found:
            names = sorted({n for arrays in held.values() for n in arrays})
            raise UsageError(f"no clip has per-frame values of {name!r}; there are: {', '.join(names) or 'none'}")
        return found

    @property
    def has_frames(self) -> bool:
        """Whether there are per-frame values."""
        return self._frames is not None

    def all_frames(self) -> Frames:
        """All per-frame arrays: clip id -> name -> array; raises as `frames`."""
        if isinstance(self._frames, Path):
            self._frames = load_frames(self._frames)
        if self._frames is None:
            raise UsageError("this result has no per-frame values: read it with Result.load(FOLDER)")
        return self._frames

    def with_frames(self, frames: Frames | Path | None) -> Self:
        """The same result with per-frame values, or with the folder of their frames.npz."""
        copy = self.model_copy()
        copy._frames = frames
        return copy

    def renamed(self, name: str) -> Self:
        """The same result under another name, as `RUN=NAME` gives it on the command line."""
        return self.model_copy(update={"run": self.run.model_copy(update={"name": name})})

    def to_json(self, folder: Path | None = None) -> str:
        """The text of results.json: UTF-8, two spaces of indent, a final newline.

        Args:
            folder: where it will lie: paths are then written from there. None: as they are.
        """
        data = self.model_dump(by_alias=True)
        for clip in data["clips"]:
            if clip["speaker"] is None:
                del clip["speaker"]
        if folder is not None:
            data = paths.changed(data, lambda p: paths.from_folder(p, folder))
        return json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"

    def to_csv(self, folder: Path | None = None) -> str:
        """The text of clips.csv: id,gen,gt,n_frames,<metrics>,notes. Numbers are written so that they read back exactly."""
        metrics = [s.metric for s in self.scores]

        def place(path: str | None) -> str | None:
            return path if path is None or folder is None else paths.from_folder(path, folder)

        rows: list[list[object]] = [["id", "gen", "gt", "n_frames", *metrics, "notes"]]
        for c in self.clips:
            values = [c.values.get(m) for m in metrics]
            rows.append([c.id, place(c.gen), place(c.gt), c.n_frames, *values, "; ".join(c.notes)])
        return csv_text(rows)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read results.json, or the one in a run's folder.

        Raises:
            ParseError: no such file, not JSON, or not of schema 1 or 2; says where.
        """
        with without_collector():
            return cls._loaded(Path(path))

    @classmethod
    def _loaded(cls, path: Path) -> Self:
        file = path / RESULTS if path.is_dir() else path
        data = _read(path, file)
        if data["schema"] > 1:
            data = paths.changed(data, paths.absolutes(file.parent))
        try:
            result = cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(p) for p in first["loc"])
            raise ParseError(
                f"{file}: {place}: {first['msg']} ({error.error_count()} problems); it is not as `lipsync-eval score` writes it"
            ) from None
        result = result.model_copy(update={"scores": [_with_mean_abs(s, result) for s in result.scores]})
        return result.with_frames(file.parent.absolute() if (file.parent / FRAMES).exists() else None)

    def save(self, folder: Path | str, *, overwrite: bool = False) -> Path:
        """Write results.json, clips.csv and, where there are per-frame values, frames.npz.

        Args:
            folder: made if absent.
            overwrite: replace a run that it holds.

        Returns:
            the path of results.json.

        Raises:
            OutputError: the folder holds a run already, or cannot be written.
        """
        folder = Path(folder)
        if (folder / RESULTS).exists() and not overwrite:
            raise OutputError(f"{folder}: holds a run already; name another folder, or replace it with overwrite=True")
        frames = None if self._frames is None else self.all_frames()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if frames is not None:
                ids = [c.id for c in self.clips]
                write_frames(folder / FRAMES, ids, (frames.get(i, {}).items() for i in ids))
            else:
                (folder / FRAMES).unlink(missing_ok=True)
            write_text(folder / CLIPS, self.to_csv(folder))
            write_text(folder / RESULTS, self.to_json(folder))
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be written ({error.strerror or error}); name another folder"
            ) from error
        return folder / RESULTS


def load_result(path: Path | str) -> Result:
    """Read results.json, or the one in a run's folder: see Result.load."""
    return Result.load(path)


def _with_mean_abs(score: Score, run: Result) -> Score:
    """What schema 1 does not write: the mean of absolute values where 0 is best."""
    if score.direction != "zero" or score.mean_abs is not None:
        return score
    values = list(run.column(score.metric).values())
    return score.model_copy(update={"mean_abs": level(values, "zero")}) if values else score


def _read(path: Path, file: Path) -> dict[str, Any]:
    try:
        data = parse_json(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ParseError(
            f"{path}: no {RESULTS} there; give a folder that `lipsync-eval score` wrote (an unfinished run is finished with "
            "--resume, shards are put together with `lipsync-eval merge`)"
        ) from None
    except (OSError, ValueError) as error:
        raise ParseError(
            f"{file}: cannot be read as JSON ({error}); give a {RESULTS} that `lipsync-eval score` wrote"
        ) from error
    if not isinstance(data, dict) or data.get("schema") not in _READ:
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise ParseError(
            f"{file}: schema {' or '.join(map(str, _READ))} expected, {found!r} found; it was written by another version of lipsync-eval"
        )
    return data
