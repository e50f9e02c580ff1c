"""How far every metric moves when a clip is scored against damaged copies of itself (figure 5 of Yaman et al. 2024,
arXiv:2405.04327, for any metric and more kinds of damage)."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lipsync_eval import __version__
from lipsync_eval.engine.bench import Bench, check_weights, open_bench, signature_parts
from lipsync_eval.engine.pair import measure_clips
from lipsync_eval.engine.perturb import PERTURBATIONS, perturbed
from lipsync_eval.engine.workers import Death, WorkerDied, do_all
from lipsync_eval.errors import LipsyncError, MissingWeights, OutputError, UsageError
from lipsync_eval.files import write_text
from lipsync_eval.media import PairPaths, find_pairs, open_clip
from lipsync_eval.metrics.registry import get_spec
from lipsync_eval.results.aggregate import clip_mean
from lipsync_eval.results.journal import Outcome
from lipsync_eval.results.signature import format_signature
from lipsync_eval.types import Settings

NONE: Final = "none"
"""The clip against itself, untouched."""
FILES: Final = ("sensitivity.csv", "sensitivity.json", "sensitivity.png", "sensitivity.pdf")
Event = Callable[[str, str, float], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One number."""

    perturbation: str
    """'none' for the clip against itself."""
    strength: float
    unit: str
    clip: str
    """Clip id; '' for a metric that is pooled over all clips."""
    metric: str
    value: float | None
    error: str
    """Why there is no value; '' where there is one."""


@dataclass(frozen=True, slots=True)
class Study:
    """All numbers of a study, in the order: perturbation, strength, clip, metric."""

    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    clips: tuple[str, ...]
    perturbations: Mapping[str, tuple[float, ...]]
    signatures: Mapping[str, str]
    command: tuple[str, ...] = field(default=())

    def mean(self, metric: str, perturbation: str, strength: float) -> tuple[float | None, int]:
        """Mean over the clips that have a value (the pooled value of a pooled metric), and how many there were."""
        chosen = (r for r in self.rows if (r.metric, r.perturbation, r.strength) == (metric, perturbation, strength))
        values = [r.value for r in chosen if r.value is not None]
        return clip_mean(values), len(values)

    def asked(self, metric: str) -> int:
        """How many numbers a mean of this metric should be over."""
        return 1 if get_spec(metric).pooling == "pooled" else len(self.clips)

    @property
    def failed(self) -> bool:
        """Whether any number is missing."""
        return any(r.value is None for r in self.rows)


def run_study(
    clips: Path,
    perturbations: Mapping[str, tuple[float, ...]],
    metrics: Sequence[str],
    settings: Settings,
    *,
    workers: int = 1,
    event: Event = lambda name, stage, share: None,
    command: Sequence[str] = (),
) -> Study:
    """Score every clip against itself, untouched and damaged in every grade.

    A clip or grade that fails has rows without a value; nothing is left out. Two runs give the same Study, with any number of workers.

    Args:
        clips: a video or a folder of videos (sound files beside them are used).
        perturbations: strengths by name, from `parse_perturbations`.
        metrics: ids.
        settings: how to measure; without a cache folder a temporary one serves, since the clips come again and again.
        workers: processes.
        event: told ('', 'total', number of measurements) and (text, 'done', 1.0).
        command: what to write down as the command line.

    Raises:
        UsageError: unknown metric, missing weights, no clip.
    """
    if settings.cache_dir is None:
        with tempfile.TemporaryDirectory(prefix="lipsync-eval-") as folder:
            inner = replace(settings, cache_dir=Path(folder))
            return run_study(clips, perturbations, metrics, inner, workers=workers, event=event, command=command)
    bench = open_bench(settings, metrics)
    if missing := check_weights(bench):
        raise MissingWeights("\n".join(dict.fromkeys(missing.values())))
    pairs = find_pairs(clips, clips).pairs
    grades = [(NONE, 0.0), *((name, float(s)) for name, strengths in perturbations.items() for s in strengths)]
    jobs = [_Job(pair, name, strength) for name, strength in grades for pair in pairs]
    event("", "total", len(jobs))
    rows: list[Row] = []
    outcomes = _outcomes(bench, jobs, workers, event)
    for name, strength in grades:
        group = [next(outcomes) for _ in pairs]
        rows += _rows(bench, name, strength, group)
    signatures = {
        m: format_signature(signature_parts(bench, m) | {"n": f"{len(pairs)}of{len(pairs)}"}) for m in metrics
    }
    return Study(
        tuple(rows), tuple(metrics), tuple(p.id for p in pairs), dict(perturbations), signatures, tuple(command)
    )


@dataclass(frozen=True, slots=True)
class _Job:
    pair: PairPaths
    name: str
    strength: float


def _outcomes(bench: Bench, jobs: Sequence[_Job], workers: int, event: Event) -> Iterator[Outcome]:
    """Outcomes in the order of the jobs."""
    if workers == 1:
        found: Iterator[Outcome] = (_measure(bench, job) for job in jobs)
        yield from _told(found, jobs, event)
        return
    done: dict[int, Outcome] = {}
    setup = (bench.settings, bench.metrics)
    for (place, job), outcome in do_all(f"{__name__}:measuring", setup, list(enumerate(jobs)), workers, lambda: None):
        if isinstance(outcome, Death):
            raise WorkerDied(f"the process that measured clip {job.pair.id!r} under {job.name} ended ({outcome})")
        done[place] = outcome
        event(f"{outcome.id} {job.name} {job.strength:g}", "done", 1.0)
    yield from (done[place] for place in range(len(jobs)))


def _told(outcomes: Iterator[Outcome], jobs: Sequence[_Job], event: Event) -> Iterator[Outcome]:
    for job, outcome in zip(jobs, outcomes, strict=True):
        event(f"{outcome.id} {job.name} {job.strength:g}", "done", 1.0)
        yield outcome


def measuring(settings: Settings, metrics: tuple[str, ...]) -> Callable[[tuple[int, _Job], object], Outcome]:
    """What a worker does with a job."""
    bench = open_bench(settings, metrics)
    return lambda job, report: _measure(bench, job[1])


def _measure(bench: Bench, job: _Job) -> Outcome:
    """One clip against one damaged copy of itself; what goes wrong becomes failures of the outcome."""
    path = job.pair.gt or job.pair.gen
    outcome = Outcome(id=job.pair.id, gen=str(path), gt=str(path))
    try:
        if path is None:
            raise UsageError(f"{job.pair.id}: there is no video")
        clip = open_clip(path, audio=job.pair.audio)
        if job.name == NONE:
            return measure_clips(bench, job.pair.id, clip, clip)
        with perturbed(clip, job.name, job.strength) as copy:
            return measure_clips(bench, job.pair.id, copy, clip)
    except UsageError:
        raise
    except LipsyncError as error:
        outcome.failures = [
            {"id": outcome.id, "stage": "perturb", "metric": None, "error": type(error).__name__, "message": str(error)}
        ]
    return outcome


def _rows(bench: Bench, name: str, strength: float, outcomes: Sequence[Outcome]) -> list[Row]:
    unit = PERTURBATIONS[name].unit if name in PERTURBATIONS else ""
    rows = []
    for outcome in outcomes:
        errors = {row["metric"]: f"{row['error']}: {row['message']}" for row in outcome.failures}
        for metric in bench.metrics:
            if get_spec(metric).pooling != "pooled":
                value = outcome.values.get(metric)
                error = "" if value is not None else errors.get(metric, errors.get(None, "no value"))
                rows.append(Row(name, strength, unit, outcome.id, metric, value, error))
    return rows + [
        _pooled(bench, name, strength, unit, metric, outcomes)
        for metric in bench.metrics
        if get_spec(metric).pooling == "pooled"
    ]


def _pooled(bench: Bench, name: str, strength: float, unit: str, metric: str, outcomes: Sequence[Outcome]) -> Row:
    family = next(f for f in bench.families if any(s.name == metric for s in f.specs))
    states = [(o.id, o.states[metric]) for o in outcomes if metric in o.states]
    value = family.pool(metric, states).value if len(states) == len(outcomes) else None
    error = "" if value is not None else f"{len(states)} of {len(outcomes)} clips could be pooled"
    return Row(name, strength, unit, "", metric, value, error)


def check_folder(folder: Path, overwrite: bool) -> None:
    """Make sure that the study may write into `folder` before any work.

    Raises:
        OutputError: a file of that name, or another study is in it and may not be replaced.
    """
    used = [name for name in FILES if (folder / name).exists()]
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"--out {folder}: that is a file; name a folder")
    if used and not overwrite:
        raise OutputError(
            f"--out {folder}: it holds {', '.join(used)}; name another folder or replace them with --overwrite"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"--out {folder}: cannot be made ({error.strerror or error})") from error


def write_study(study: Study, folder: Path) -> None:
    """Write sensitivity.csv (a row per number), .json, .png and .pdf; the same study gives the same bytes.

    Raises:
        OutputError: the folder cannot be written.
    """
    from lipsync_eval.engine.sensitivity_plot import write_plot

    try:
        write_text(folder / FILES[0], _csv(study))
        write_text(folder / FILES[1], json.dumps(_json(study), indent=1, allow_nan=False) + "\n")
        for name in FILES[2:]:
            write_plot(study, folder / name)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error


def _csv(study: Study) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row.__dataclass_fields__)
    for row in study.rows:
        values = asdict(row).values()
        writer.writerow(
            [
                "" if v is None else f"{v:g}" if k == 1 else repr(v) if isinstance(v, float) else v
                for k, v in enumerate(values)
            ]
        )
    return text.getvalue()


def _json(study: Study) -> dict[str, Any]:
    grades = [(NONE, 0.0), *((n, float(s)) for n, strengths in study.perturbations.items() for s in strengths)]
    means = []
    for name, strength in grades:
        for metric in study.metrics:
            value, n = study.mean(metric, name, strength)
            means.append(
                {
                    "perturbation": name,
                    "strength": strength,
                    "metric": metric,
                    "value": value,
                    "n_scored": n,
                    "n_asked": study.asked(metric),
                }
            )
    return {
        "schema": 1,
        "kind": "sensitivity",
        "run": {"command": list(study.command), "version": __version__},
        "clips": list(study.clips),
        "perturbations": [
            {"name": n, "unit": PERTURBATIONS[n].unit, "strengths": list(s), "what": PERTURBATIONS[n].summary}
            for n, s in study.perturbations.items()
        ],
        "metrics": [
            {
                "metric": m,
                "unit": get_spec(m).unit,
                "direction": get_spec(m).direction,
                "signature": study.signatures[m],
            }
            for m in study.metrics
        ],
        "means": means,
        "rows": [asdict(row) for row in study.rows],
    }
