"""People's scores of videos: from a table id,method,mos, from `study collect`, or from the page's own answers."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.reports import study
from lipsync_eval.results.csv_text import cell_text
from lipsync_eval.results.schema import RESULTS, Result, load_result

Video = tuple[str, str]
"""(clip id, method)"""
_NAMES = {"id": ("id", "clip"), "method": ("method",), "mos": ("mos", "score")}
_MORE = ("rater", "question")


@dataclass(frozen=True, slots=True)
class Opinions:
    """Mean opinion scores of one question."""

    question: str
    """'mos' where the source names none."""
    scores: Mapping[Video, float]
    """Mean over raters; higher is better."""
    raters: int | None
    """How many people rated; None where the source does not say."""
    fewest: int | None
    """The smallest number of ratings that any video got."""
    alpha: float | None
    """Krippendorff's alpha of the raters; None where it is undefined or not known."""


def read_opinions(path: Path, answers: Sequence[Path] = ()) -> list[Opinions]:
    """All questions of a study.

    Args:
        path: a CSV with columns id,method,mos[,rater][,question]; the folder that `study collect --out` wrote; a study's
            key.json, or the folder that holds it.
        answers: files of the page, with key.json; none: the answers*.json beside it.

    Raises:
        ParseError: it cannot be read, or is none of these.
        UsageError: answers with a source that takes none, or none for a key.
    """
    key = path / study.KEY if path.is_dir() else path
    if key.name == study.KEY and key.exists():
        return _of_page(key, answers or sorted(key.parent.glob("answers*.json")))
    if answers:
        raise UsageError(f"--answers belong to the {study.KEY} of a study; {path} is none")
    if path.is_dir():
        runs = [load_result(p.parent) for p in sorted(path.glob(f"*/{RESULTS}"))]
        if not runs and (path / RESULTS).exists():
            runs = [load_result(path)]
        return _of_runs(path, runs)
    return _of_table(path)


def _of_page(key_file: Path, answers: Sequence[Path]) -> list[Opinions]:
    if not answers:
        raise UsageError(f"{key_file}: no answers*.json beside it; name the raters' files with --answers FILE")
    key = study.read_key(key_file)
    opinions = [o for path in answers for o in study.read_answers(path, key)]
    study.collect(key, opinions)  # refuses a rater who came twice
    ratings: dict[str, dict[Video, dict[str, float]]] = {q: {} for q in key["questions"]}
    for o in opinions:
        item = key["items"][o.item]
        ratings[o.question].setdefault((item["clip"], item["method"]), {})[o.rater] = float(o.score)
    return [_means(question, rows) for question, rows in ratings.items()]


def _of_runs(path: Path, runs: Sequence[Result]) -> list[Opinions]:
    metrics = list(dict.fromkeys(s.metric for r in runs for s in r.scores if s.metric.startswith("mos")))
    if not metrics:
        raise ParseError(f"{path}: holds no runs with opinion scores; expected what `study collect --out` writes")
    found = []
    for metric in metrics:
        scores = {(c.id, r.run.name): v for r in runs for c in r.clips if (v := c.values.get(metric)) is not None}
        details = next(s.details for r in runs for s in r.scores if s.metric == metric)
        n, alpha = details.get("raters"), details.get("krippendorff_alpha")
        found.append(
            Opinions(
                metric.removeprefix("mos_"),
                scores,
                n if isinstance(n, int) else None,
                None,
                alpha if isinstance(alpha, float) else None,
            )
        )
    return found


def _of_table(path: Path) -> list[Opinions]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            head = [(h or "").strip().lower() for h in reader.fieldnames or []]
            rows = [
                (reader.line_num, [cell_text((v or "").strip()) for v in row.values() if not isinstance(v, list)], row)
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ParseError(f"{path}: cannot be read as CSV ({error}); expected columns id,method,mos") from error
    columns = {name: next((head.index(o) for o in others if o in head), None) for name, others in _NAMES.items()}
    if None in columns.values() or len(set(head)) < len(head):
        raise ParseError(f"{path}: columns {', '.join(head) or 'none'}; expected id,method,mos[,rater][,question]")
    more = {name: head.index(name) for name in _MORE if name in head}
    ratings: dict[str, dict[Video, dict[str, float]]] = {}
    for line, cells, row in rows:
        if len(cells) != len(head) or None in row:
            raise ParseError(f"{path}: line {line}: {len(head)} cells expected")
        cell = {name: cells[at] for name, at in [*columns.items(), *more.items()] if at is not None}
        try:
            mos = float(cell["mos"])
        except ValueError:
            mos = math.nan
        if not (cell["id"] and cell["method"] and math.isfinite(mos)):
            raise ParseError(f"{path}: line {line}: expected an id, a method and a number, found {', '.join(cells)!r}")
        if "rater" in cell and not cell["rater"]:
            raise ParseError(f"{path}: line {line}: rater is empty")
        video = ratings.setdefault(cell.get("question", "mos"), {}).setdefault((cell["id"], cell["method"]), {})
        rater = cell.get("rater", "")
        if rater in video:
            who = f" by rater {rater!r}" if rater else "; add a column rater for several ratings of a video"
            raise ParseError(f"{path}: line {line}: {cell['id']!r} of {cell['method']!r} is there twice{who}")
        video[rater] = mos
    if not ratings:
        raise ParseError(f"{path}: holds no score")
    return [_means(question, videos) for question, videos in ratings.items()]


def _means(question: str, ratings: Mapping[Video, Mapping[str, float]]) -> Opinions:
    raters = sorted({r for by in ratings.values() for r in by})
    scores = {video: float(np.mean(list(by.values()))) for video, by in ratings.items()}
    if raters == [""]:
        return Opinions(question, scores, None, None, None)
    table = np.array([[by.get(r, np.nan) for by in ratings.values()] for r in raters])
    fewest = min(len(by) for by in ratings.values())
    return Opinions(question, scores, len(raters), fewest, study.krippendorff_alpha(table))
