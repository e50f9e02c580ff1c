"""A user study: a blinded page to rate videos on, and mean opinion scores from the answers.

The page knows items only by opaque names; key.json, which stays with the experimenter, says which method and clip an
item is. In every block each clip is shown once, and the methods rotate over clips, blocks and raters, so each rater
sees every method equally often at every stage; the order within a block is shuffled by the rater's number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.files import parse_json, write_text
from lipsync_eval.reports.naming import method_names
from lipsync_eval.reports.page_data import script_json
from lipsync_eval.reports.published import GT, own_facts
from lipsync_eval.results.aggregate import bootstrap, clip_mean
from lipsync_eval.results.schema import ClipRow, DataInfo, FailureRow, Result, RunInfo, Score
from lipsync_eval.results.signature import format_signature
from lipsync_eval.urls import is_url

QUESTIONS = {
    "sync": "How well do the lips match the speech?",
    "visual": "How good is the image (sharpness, no artefacts)?",
    "realness": "How much does it look like a real video?",
    "persona": "How well is this person's way of speaking kept?",
    "overall": "How good is the video overall?",
}
"""The questions that StyleSync (sync, visual, realness), PersonaTalk (sync, visual, persona) and the AV-HuBERT-expert paper (overall) asked."""
SCALE = (1, 2, 3, 4, 5)
KEY = "key.json"
REAL = GT
"""The real videos' name among the methods: the row of a table that is not ranked."""


@dataclass(frozen=True, slots=True)
class Item:
    """One video to be rated."""

    name: str
    """Opaque: what the rater's page calls it."""
    method: str
    clip: str
    video: Path


@dataclass(frozen=True, slots=True)
class Opinion:
    """One answer."""

    rater: str
    item: str
    question: str
    score: int
    watched: bool = True
    """False: the rater did not say that they watched the video to its end."""


def make_items(runs: Sequence[Result], *, seed: int, with_real: bool, most: int | None = None) -> list[Item]:
    """Clips that all runs have, each under each method, in an order that says nothing.

    Args:
        runs: of different names, against the same real videos.
        seed: of the opaque names and of the choice of clips.
        with_real: show the real videos as one more method.
        most: take at most so many clips, chosen by seed.

    Raises:
        UsageError: names that collide, or no common clip.
    """
    names = method_names(runs)
    shown = [*names, REAL] if with_real else names
    if not runs or len(set(shown)) < len(shown):
        raise UsageError(
            f"the study needs runs of different names; got: {', '.join(shown) or 'none'}; give another name: RUN=NAME"
        )
    tables = [{c.id: c for c in r.clips if c.gen and c.n_frames} for r in runs]
    common = [i for i in tables[0] if all(i in t for t in tables)]
    if not common:
        raise UsageError("no clip was scored in all runs; there is nothing to compare")
    if most is not None and most < len(common):
        chosen = np.random.default_rng(seed).permutation(len(common))[:most]
        common = [common[i] for i in sorted(chosen)]
    if with_real and (bare := [i for i in common if tables[0][i].gt is None]):
        raise UsageError(
            f"--with-real: {runs[0].run.name} was scored without real videos ({len(bare)} clips); leave it out, or score with GT"
        )
    items = []
    for clip in common:
        for name, table in zip(names, tables, strict=True):
            items.append(_item(seed, name, clip, table[clip].gen))
        if with_real:
            items.append(_item(seed, REAL, clip, tables[0][clip].gt))
    return items


def _item(seed: int, method: str, clip: str, video: str | None) -> Item:
    if video and is_url(video):
        raise UsageError(
            f"{video} is a URL, and only `score` fetches videos; for a study, copy the videos to a disk and score them there"
        )
    digest = hashlib.sha256(json.dumps([seed, method, clip]).encode()).hexdigest()[:16]
    return Item(digest, method, clip, Path(video or ""))


def check_videos(items: Sequence[Item]) -> None:
    """Look for all videos before any work.

    Raises:
        UsageError: some are not where the results say; names them.
    """
    if missing := [i for i in items if not i.video.exists()]:
        some = ", ".join(str(i.video) for i in missing[:3])
        raise UsageError(
            f"{len(missing)} of {len(items)} videos are not where they were scored ({some}); put them back, or score again"
        )


def check_questions(questions: Sequence[str]) -> None:
    """Raise UsageError for a question that there is not, or for none."""
    unknown = [q for q in questions if q not in QUESTIONS]
    if unknown or not questions:
        raise UsageError(f"--questions: {', '.join(unknown) or 'none'} unknown; there are: {', '.join(QUESTIONS)}")


def write_study(
    items: Sequence[Item], folder: Path, *, questions: Sequence[str], seed: int, encode: Callable[[Path, Path], None]
) -> Path:
    """Write folder/page (for raters) and folder/key.json (not for them).

    Args:
        items: from make_items.
        folder: made if absent.
        questions: keys of QUESTIONS.
        seed: kept in the key.
        encode: encode(video, target.mp4) writes what the rater sees.

    Returns:
        the path of page/index.html.

    Raises:
        UsageError: unknown question.
    """
    check_questions(questions)
    page = folder / "page"
    (page / "videos").mkdir(parents=True, exist_ok=True)
    for item in items:
        encode(item.video, page / "videos" / f"{item.name}.mp4")
    clips = list(dict.fromkeys(i.clip for i in items))
    methods = list(dict.fromkeys(i.method for i in items))
    grid = [[next(i.name for i in items if i.clip == c and i.method == m) for m in methods] for c in clips]
    # The page must not tell methods apart: columns are in an order of their own, drawn per study.
    order = np.random.default_rng([seed, 1]).permutation(len(methods))
    grid = [[row[k] for k in order] for row in grid]
    study = hashlib.sha256(json.dumps([seed, grid, list(questions)]).encode()).hexdigest()[:12]
    data = {"study": study, "grid": grid, "questions": [[q, QUESTIONS[q]] for q in questions], "scale": SCALE}
    write_text(page / "study.data.js", f"const STUDY = {script_json(data)};\n")
    for name in ("study.js", "page.css"):
        write_text(page / name, _template(name))
    write_text(page / "index.html", _template("study.html"))
    key = {
        "study": study,
        "seed": seed,
        "questions": list(questions),
        "methods": methods,
        "clips": clips,
        "items": {i.name: {"method": i.method, "clip": i.clip} for i in items},
    }
    write_text(folder / KEY, json.dumps(key, ensure_ascii=False, indent=1) + "\n")
    return page / "index.html"


def read_key(path: Path) -> dict[str, Any]:
    """key.json of a study.

    Raises:
        ParseError: missing or malformed.
    """
    data = _read(path)
    kinds = {"study": str, "questions": list, "methods": list, "clips": list, "items": dict}
    rows = data.get("items")
    whole = isinstance(rows, dict) and all(
        isinstance(r, dict) and {"method", "clip"} <= r.keys() for r in rows.values()
    )
    if not whole or not all(isinstance(data.get(name), kind) for name, kind in kinds.items()):
        raise ParseError(
            f"{path}: is no key of a study; give the {KEY} that `lipsync-eval study` wrote beside the page"
        )
    return data


def read_answers(path: Path, key: Mapping[str, Any]) -> list[Opinion]:
    """One rater's file.

    Raises:
        ParseError: malformed, of another study, incomplete, or with scores off the scale.
    """
    data = _read(path)
    if data.get("study") != key["study"]:
        raise ParseError(f"{path}: answers of study {data.get('study')!r}, the key is of {key['study']!r}")
    rater, answers = data.get("rater"), data.get("answers")
    if isinstance(rater, bool) or not isinstance(rater, (int, str)) or not str(rater).strip():
        raise ParseError(f"{path}: rater {rater!r}; expected the number that the rater typed")
    if not isinstance(answers, list):
        raise ParseError(f"{path}: answers: expected a list, found {type(answers).__name__}")
    found = []
    for row in answers:
        if not _is_answer(row, key):
            raise ParseError(
                f"{path}: {row!r} is no answer of this study: expected item, question and a score of {SCALE[0]} to {SCALE[-1]}"
            )
        watched = row.get("watched", True) is True
        found.append(Opinion(str(rater).strip(), row["item"], row["question"], int(row["score"]), watched))
    wanted = {(i, q) for i in key["items"] for q in key["questions"]}
    got = [(o.item, o.question) for o in found]
    if set(got) != wanted or len(got) != len(wanted):
        raise ParseError(
            f"{path}: {len(got)} answers, {len(wanted)} expected, each item and question once; the rater did not finish"
        )
    return found


def _is_answer(row: object, key: Mapping[str, Any]) -> bool:
    if not isinstance(row, dict):
        return False
    item, question, score = row.get("item"), row.get("question"), row.get("score")
    return (
        isinstance(item, str)
        and item in key["items"]
        and isinstance(question, str)
        and question in key["questions"]
        and isinstance(score, (int, float))
        and not isinstance(score, bool)
        and score in SCALE
    )


def collect(key: Mapping[str, Any], opinions: Sequence[Opinion], *, seed: int = 12345) -> list[Result]:
    """Mean opinion scores, one Result a method, which `lipsync-eval table` prints.

    A clip's score is the mean over raters, a method's the mean over clips; the interval resamples clips. Details hold the
    number of raters and Krippendorff's alpha over all items.

    Raises:
        UsageError: no answers, or a rater who answered twice.
    """
    seen = [(o.rater, o.item, o.question) for o in opinions]
    if not opinions:
        raise UsageError("no answers given; collect the files that the raters' browsers saved")
    if len(set(seen)) < len(seen):
        twice = sorted({rater for rater, *_ in seen if seen.count((rater, *seen[0][1:])) > 1})
        raise UsageError(
            f"a rater number came twice ({', '.join(twice) or 'see the files'}); give every rater a number of their own"
        )
    raters = sorted({o.rater for o in opinions})
    alphas = {q: krippendorff_alpha(_ratings(opinions, raters, list(key["items"]), q)) for q in key["questions"]}
    return [_method(key, m, opinions, raters, alphas, seed) for m in key["methods"]]


def krippendorff_alpha(ratings: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    """Agreement of raters on an interval scale (Krippendorff 2011, "Computing Krippendorff's alpha-reliability").

    Args:
        ratings: (raters, items) float64, NaN where a rater did not rate.

    Returns:
        1 perfect, 0 as by chance, negative worse; None where it is undefined (no item rated twice, or no variation).
    """
    units = [column[np.isfinite(column)] for column in ratings.T]
    units = [u for u in units if len(u) > 1]
    if not units:
        return None
    values = np.concatenate(units)
    expected = ((values[:, None] - values[None, :]) ** 2).sum() / (len(values) - 1)
    observed = sum(((u[:, None] - u[None, :]) ** 2).sum() / (len(u) - 1) for u in units)
    return None if expected == 0 else float(1 - observed / expected)


def _ratings(
    opinions: Sequence[Opinion], raters: Sequence[str], items: Sequence[str], question: str
) -> np.ndarray[Any, np.dtype[np.float64]]:
    table = np.full((len(raters), len(items)), np.nan)
    row, column = {r: i for i, r in enumerate(raters)}, {n: j for j, n in enumerate(items)}
    for o in opinions:
        if o.question == question:
            table[row[o.rater], column[o.item]] = o.score
    return table


def _method(
    key: Mapping[str, Any],
    method: str,
    opinions: Sequence[Opinion],
    raters: Sequence[str],
    alphas: Mapping[str, float | None],
    seed: int,
) -> Result:
    names = {d["clip"]: name for name, d in key["items"].items() if d["method"] == method}
    values: dict[str, dict[str, float | None]] = {}
    for clip in key["clips"]:
        own = [o for o in opinions if o.item == names[clip]]
        values[clip] = {f"mos_{q}": clip_mean([o.score for o in own if o.question == q]) for q in key["questions"]}
    failures = [
        FailureRow(id=c, stage="metric", metric=f"mos_{q}", error="MetricError", message="no rater scored it")
        for q in key["questions"]
        for c in key["clips"]
        if values[c][f"mos_{q}"] is None
    ]
    scores = [
        _mean_opinion(q, [values[c][f"mos_{q}"] for c in key["clips"]], key["study"], len(raters), alphas[q], seed)
        for q in key["questions"]
    ]
    clips = [
        ClipRow(id=c, gen=None, gt=None, n_frames=None, values=values[c], gt_values={}, notes=[], details={})
        for c in key["clips"]
    ]
    digest = hashlib.sha256(json.dumps(key["clips"]).encode()).hexdigest()
    return Result(
        run=RunInfo(
            name=method,
            command=["lipsync-eval", "study", "collect"],
            version="",
            commit=None,
            dirty=None,
            seed=seed,
            started="",
            seconds=0.0,
        ),
        data=DataInfo(n_pairs=len(clips), digest=key["study"], gt_digest=digest, gen="", gt="study"),
        environment={},
        scores=scores,
        clips=clips,
        failures=failures,
    )


def _mean_opinion(
    question: str, values: Sequence[float | None], study: str, raters: int, alpha: float | None, seed: int
) -> Score:
    """The mean opinion score of one question over all clips; None where no rater scored a clip."""
    good = [v for v in values if v is not None]
    signature = {
        "agg": "clip-mean",
        "metric": f"mos_{question}.1",
        "n": f"{len(good)}of{len(values)}",
        "raters": str(raters),
        "study": study,
    }
    facts = own_facts()[f"mos_{question}"]
    return Score(
        metric=f"mos_{question}",
        title=facts.title,
        value=clip_mean(good),
        gt_value=None,
        unit=facts.unit,
        direction=facts.direction,
        decimals=facts.decimals,
        family=facts.family,
        ranked=facts.ranked,
        ci=bootstrap(good, seed),
        n_scored=len(good),
        n_asked=len(values),
        signature=format_signature(signature),
        details={"raters": raters, "krippendorff_alpha": alpha},
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        data = parse_json(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ParseError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(data, dict):
        raise ParseError(f"{path}: expected a JSON object, found {type(data).__name__}")
    return data


def _template(name: str) -> str:
    return files("lipsync_eval.reports").joinpath("templates", name).read_text("utf-8")
