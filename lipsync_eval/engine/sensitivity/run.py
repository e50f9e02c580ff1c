"""Score clips against damaged copies of themselves (figure 5 of Yaman et al. 2024, arXiv:2405.04327, for any metric and
more kinds of damage)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lipsync_eval.device import require
from lipsync_eval.engine.build_result import cropped_from
from lipsync_eval.engine.local_workers import measure_all, processes_and_threads
from lipsync_eval.engine.near_files import open_place
from lipsync_eval.engine.pair import measure_clips
from lipsync_eval.engine.sensitivity.perturbations import PERTURBATIONS, perturbed
from lipsync_eval.engine.sensitivity.study import NONE, SensitivityRow, Study
from lipsync_eval.engine.threads import usual
from lipsync_eval.engine.tools import Ask, MeasuringTools, open_tools
from lipsync_eval.engine.worker_count import Workers
from lipsync_eval.engine.workers import Death, WorkerDied
from lipsync_eval.errors import LipsyncError, MissingWeights, UsageError
from lipsync_eval.media import PairPaths, find_pairs
from lipsync_eval.media.fetch import LocalFiles
from lipsync_eval.progress import Progress, silent
from lipsync_eval.results.journal import Outcome
from lipsync_eval.results.signature import format_signature
from lipsync_eval.types import Settings


def run_study(
    clips: Path,
    perturbations: Mapping[str, tuple[float, ...]],
    metrics: Sequence[str],
    settings: Settings,
    *,
    workers: Workers = 1,
    progress: Progress = silent,
    command: Sequence[str] = (),
) -> Study:
    """Score every clip against itself, untouched and damaged in every grade.

    A clip or grade that fails has rows without a value; nothing is left out. Two runs give the same Study, with any number of workers.

    Args:
        clips: a video or a folder of videos (audio files beside them are used).
        perturbations: strengths by name, from `parse_perturbations`.
        metrics: ids.
        settings: how to measure; without a cache folder a temporary one serves, since the clips come again and again.
        workers: processes, or "auto".
        progress: told ('', 'total', number of measurements), and (text, 'measure', 0.0) and (text, 'done', 1.0) for each.
        command: what to write down as the command line.

    Raises:
        UsageError: unknown metric, missing weights, no clip.
    """
    if settings.setting != "self":
        raise UsageError("sensitivity compares each clip with a copy of itself: --setting cross has no meaning here")
    require(settings.device)
    if settings.cache_dir is None:
        with tempfile.TemporaryDirectory(prefix="lipsync-eval-") as folder:
            inner = replace(settings, cache_dir=Path(folder))
            return run_study(clips, perturbations, metrics, inner, workers=workers, progress=progress, command=command)
    tools = open_tools(settings, metrics)
    if missing := tools.check_weights():
        raise MissingWeights("\n".join(dict.fromkeys(missing.values())))
    pairs = find_pairs(clips, clips).pairs
    grades = [(NONE, 0.0), *((name, float(s)) for name, strengths in perturbations.items() for s in strengths)]
    jobs = [_Job(pair, name, strength) for name, strength in grades for pair in pairs]
    progress("", "total", len(jobs))
    rows: list[SensitivityRow] = []
    processes, threads = processes_and_threads(workers, None, tools, len(jobs))
    outcomes = _outcomes(tools, jobs, processes, usual(threads, tools), progress)
    cropped: set[str] = set()
    for name, strength in grades:
        group = [next(outcomes) for _ in pairs]
        rows += _rows(tools, name, strength, group)
        cropped |= set(cropped_from(group))
    signatures = {
        m: format_signature(tools.signature_parts(m, cropped) | {"n": f"{len(pairs)}of{len(pairs)}"}) for m in metrics
    }
    return Study(
        tuple(rows), tuple(metrics), tuple(p.id for p in pairs), dict(perturbations), signatures, tuple(command)
    )


@dataclass(frozen=True, slots=True)
class _Job:
    pair: PairPaths
    name: str
    strength: float


def _outcomes(
    tools: MeasuringTools, jobs: Sequence[_Job], workers: int, threads: int, progress: Progress
) -> Iterator[Outcome]:
    """Outcomes in the order of the jobs."""
    if workers == 1:
        for job in jobs:
            name = _name(job)
            progress(name, "measure", 0.0)
            outcome = _measure(tools, job)
            progress(name, "done", 1.0)
            yield outcome
        return
    done: dict[int, Outcome] = {}
    setup = (tools.settings, tools.metrics)
    how = (setup, list(enumerate(jobs)), workers, threads, tools, silent)
    for (place, job), outcome in measure_all(f"{__name__}:measuring", *how):
        if isinstance(outcome, Death):
            raise WorkerDied(f"the process that measured clip {job.pair.id!r} under {job.name} ended ({outcome})")
        done[place] = outcome
        progress(_name(job), "measure", 0.0)  # without a beginning it would count as done in an earlier call
        progress(_name(job), "done", 1.0)
    yield from (done[place] for place in range(len(jobs)))


def _name(job: _Job) -> str:
    return f"{job.pair.id} {job.name} {job.strength:g}"


def measuring(settings: Settings, metrics: tuple[str, ...]) -> Callable[[tuple[int, _Job], object], Outcome]:
    """What a worker does with a job."""
    tools = open_tools(settings, metrics)
    return lambda job, report: _measure(tools, job[1])


def _measure(tools: MeasuringTools, job: _Job) -> Outcome:
    """One clip against one damaged copy of itself; what goes wrong becomes failures of the outcome."""
    path = job.pair.gt or job.pair.gen
    outcome = Outcome(id=job.pair.id, gen=str(path), gt=str(path))
    try:
        if path is None:
            raise UsageError(f"{job.pair.id}: there is no video")
        with LocalFiles() as files:  # `sensitivity` takes folders on disk: nothing is fetched
            clip = open_place(files, path, job.pair.audio)
        if job.name == NONE:
            return measure_clips(tools, job.pair.id, clip, clip)
        with perturbed(clip, job.name, job.strength) as copy:
            return measure_clips(tools, job.pair.id, copy, clip)
    except UsageError:
        raise
    except LipsyncError as error:
        outcome.failures = [
            {"id": outcome.id, "stage": "perturb", "metric": None, "error": type(error).__name__, "message": str(error)}
        ]
    return outcome


def _rows(tools: MeasuringTools, name: str, strength: float, outcomes: Sequence[Outcome]) -> list[SensitivityRow]:
    unit = PERTURBATIONS[name].unit if name in PERTURBATIONS else ""
    rows = []
    for outcome in outcomes:
        errors = {row["metric"]: f"{row['error']}: {row['message']}" for row in outcome.failures}
        for ask in tools.asks:
            if not ask.pooled:
                value = outcome.values.get(ask.name)
                error = "" if value is not None else errors.get(ask.name, errors.get(None, "no value"))
                rows.append(SensitivityRow(name, strength, unit, outcome.id, ask.name, value, error))
    return rows + [_pooled(ask, name, strength, unit, outcomes) for ask in tools.asks if ask.pooled]


def _pooled(ask: Ask, name: str, strength: float, unit: str, outcomes: Sequence[Outcome]) -> SensitivityRow:
    states = [(o.id, o.states[ask.name]) for o in outcomes if ask.name in o.states]
    value = ask.family.pool(ask.name, states).value if len(states) == len(outcomes) else None
    error = "" if value is not None else f"{len(states)} of {len(outcomes)} clips could be pooled"
    return SensitivityRow(name, strength, unit, "", ask.name, value, error)
