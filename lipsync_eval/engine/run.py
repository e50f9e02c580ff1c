"""Measure all clips of a plan, in this process or in workers, keeping each finished clip in the journal.

A clip may end the process that measures it: a decoder that crashes, memory that runs out. In a worker such a clip is tried
once more, by itself, after all others; when its process ends again it becomes a failure row. In this process (one worker,
called from Python) nothing can be done at that moment, so the journal names the clip before it is measured, and a resumed
run measures a clip that it finds named so in a worker by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

from lipsync_eval.engine import threads as thread_counts
from lipsync_eval.engine.local_workers import measure_all
from lipsync_eval.engine.near_files import real_digest
from lipsync_eval.engine.pair import measure_pair
from lipsync_eval.engine.plan import Plan
from lipsync_eval.engine.tools import MeasuringTools, open_tools
from lipsync_eval.engine.workers import Death, do_all, interpreter
from lipsync_eval.errors import LipsyncError, OutputError
from lipsync_eval.logs import from_environment
from lipsync_eval.media.fetch import LocalFiles
from lipsync_eval.media.pairs import PairPaths
from lipsync_eval.metrics.registry import get_spec
from lipsync_eval.progress import SPENT, Progress, silent
from lipsync_eval.results.journal import Journal, Outcome
from lipsync_eval.results.paths import absolute, changed
from lipsync_eval.types import Settings

log = logging.getLogger("lipsync_eval")
Job = tuple[int, PairPaths]
"""A clip and its place in the plan."""

Crew = Callable[[tuple[Any, ...], list[Job], bool, Progress], Iterator[tuple[Job, Any]]]
"""crew(setup of `measuring`, jobs, whether one at a time, progress): measures clips on other machines."""

_EVERY = 0.2
_STAGES = {"decode": "decode", "faces (gen)": "faces", "faces (gt)": "faces"}
"""Stages of progress -> stages of failure rows; all others are 'metric'."""


def run_clips(
    plan: Plan,
    journal: Journal,
    *,
    workers: int = 1,
    threads: int | None = None,
    isolate: bool = False,
    progress: Progress = silent,
    check: Callable[[], None] = lambda: None,
    places: Collection[int] | None = None,
    crew: Crew | None = None,
) -> None:
    """Measure every clip that the journal does not have yet.

    The numbers do not depend on `workers`: every clip is measured by the same code, and put together in plan order.

    Args:
        workers: processes.
        threads: of the libraries of each, see threads.usual; None: the usual ones, in this process those that it has.
        isolate: measure in a worker process also where there is only one.
        progress: told what is done.
        check: called before each write; raises when the folder is another job's by now.
        crew: measures instead of processes of this machine.
        places: the clips to measure, by place in the plan (a shard's); None: all.

    Raises:
        UsageError: the run cannot go on (e.g. a refused checkpoint).
        OutputError: the journal cannot be written (full disk), or the folder was taken over.
        WorkerDied: workers end before they are ready.
    """
    mine = range(len(plan.pairs)) if places is None else sorted(places)
    progress("", "total", len(mine))
    done = journal.done([pair.id for pair in plan.pairs])
    for place in (place for place in mine if place in done):
        progress(plan.pairs[place].id, "done", 1.0)
    jobs = [(place, plan.pairs[place]) for place in mine if place not in done]
    alone = journal.suspects()
    first, last = [j for j in jobs if j[0] not in alone], [j for j in jobs if j[0] in alone]
    for place, outcome in _outcomes(plan, journal, first, last, workers, threads, isolate, progress, crew):
        _keep(plan, journal, place, outcome, check)
        progress(outcome.id, "done", 1.0)


def _outcomes(
    plan: Plan,
    journal: Journal,
    first: list[Job],
    last: list[Job],
    workers: int,
    threads: int | None,
    isolate: bool,
    progress: Progress,
    crew: Crew | None,
) -> Iterator[tuple[int, Outcome]]:
    """All clips of `first`, then those of `last` (and those of `first` that ended their process) by themselves."""
    # A cluster's machines are not this one: they may have GPUs that are not here, and choose for themselves.
    usual = 1 if crew is not None else thread_counts.usual(threads, plan.tools)
    if not measures_here(workers, len(first), isolate=isolate, crew=crew):
        last = [*last]
        for job, outcome in _in_workers(plan, first, workers, usual, progress, crew):
            if isinstance(outcome, Death):
                log.warning(
                    "the process that measured clip %r ended (%s); the clip is tried once more, by itself",
                    job[1].id, outcome,
                )  # fmt: skip
                last.append(job)
            else:
                yield job[0], outcome
    else:
        with thread_counts.within(threads, plan.tools):
            yield from _here(plan.tools, journal, first, progress)
    stages: dict[str, str] = {}

    def told(name: str, stage: str, share: float) -> None:
        stages[name] = stage
        progress(name, stage, share)

    for job, outcome in _in_workers(plan, last, 1, usual, told, crew, alone=True):
        if isinstance(outcome, Death):
            log.warning("the process that measured clip %r ended again (%s): a failure row", job[1].id, outcome)
            outcome = _lost(plan, job[1], outcome, _STAGES.get(stages.get(job[1].id, "decode"), "metric"))
        yield job[0], outcome


def measures_here(workers: int, n: int, *, isolate: bool, crew: Crew | None) -> bool:
    """Whether n clips are measured in this process."""
    return crew is None and not (isolate and interpreter()) and not (workers > 1 and n > 1)


def _here(
    tools: MeasuringTools, journal: Journal, jobs: Iterable[Job], progress: Progress
) -> Iterator[tuple[int, Outcome]]:
    for place, pair in jobs:
        journal.mark(place)
        try:
            outcome = measure_pair(tools, pair, progress)
        finally:
            journal.unmark(place)
        yield place, outcome


def _in_workers(
    plan: Plan,
    jobs: list[Job],
    workers: int,
    threads: int,
    progress: Progress,
    crew: Crew | None,
    *,
    alone: bool = False,
) -> Iterator[tuple[Job, Outcome | Death]]:
    setup = (plan.settings, plan.tools.metrics, plan.tools.real)
    if crew is not None:
        return crew(setup, jobs, alone, progress)
    return measure_all(f"{__name__}:measuring", setup, jobs, workers, threads, plan.tools, progress)


def measuring(settings: Settings, metrics: tuple[str, ...], real: bool) -> Callable[[Job, Progress], Outcome]:
    """What a worker does with a clip."""
    from_environment()
    tools = open_tools(settings, metrics, real=real)

    def work(job: Job, progress: Progress) -> Outcome:
        last = 0.0

        def seldom(item: str, stage: str, share: float) -> None:
            nonlocal last
            now = time.monotonic()
            if share == 0.0 or stage.startswith(SPENT) or now - last > _EVERY:
                last = now
                progress(item, stage, share)

        began = time.monotonic()
        outcome = measure_pair(tools, job[1], seldom)
        log.debug("measured clip %r in %.1f s", outcome.id, time.monotonic() - began)
        return outcome

    return work


def digesting() -> Callable[[PairPaths, Progress], str]:
    """What a worker does to name the content of a real video whose pair ended its process."""

    def digest(pair: PairPaths, progress: Progress) -> str:
        with LocalFiles() as files:
            return real_digest(pair, files)

    return digest


def _lost(plan: Plan, pair: PairPaths, death: Death, stage: str) -> Outcome:
    """The outcome of a clip that ends its process."""
    message = (
        f"the process that measured this clip ended ({death}), again when the clip was tried by itself; "
        "look whether the videos open elsewhere, and how much memory is free"
    )
    outcome = _failed(plan, pair, stage, "WorkerDied", message)
    try:
        for _, digest in do_all(f"{__name__}:digesting", (), [pair], 1, silent):
            if isinstance(digest, str):
                outcome.digests = "", digest
    except LipsyncError:
        log.debug("the real video of %r cannot be opened either", pair.id)
    return outcome


def _failed(plan: Plan, pair: PairPaths, stage: str, error: str, message: str) -> Outcome:
    values: dict[str, float | None] = {m: None for m in plan.tools.metrics if get_spec(m).pooling != "pooled"}
    row: dict[str, Any] = {"id": pair.id, "stage": stage, "metric": None, "error": error, "message": message}
    gen, gt = (None if path is None else str(path) for path in (pair.gen, pair.gt))
    return Outcome(id=pair.id, gen=gen, gt=gt, values=values, failures=[row])


def with_absolute_paths(outcome: Outcome) -> Outcome:
    """The outcome with absolute paths of its files: a job that goes on may have another working folder."""
    found = changed({"clips": [{"gen": outcome.gen, "gt": outcome.gt, "details": outcome.details}]}, absolute)["clips"]
    return replace(outcome, **found[0])


def _keep(plan: Plan, journal: Journal, place: int, outcome: Outcome, check: Callable[[], None]) -> None:
    """Write one clip into the journal; what cannot be written is a failure row of the clip."""
    check()
    outcome = with_absolute_paths(outcome)
    try:
        journal.write(place, outcome)
    except (TypeError, ValueError) as error:
        message = f"what a metric returned for this clip cannot be written: {error}"
        failed = _failed(plan, plan.pairs[place], "metric", type(error).__name__, message)
        journal.write(place, replace(failed, digests=outcome.digests, n_frames=outcome.n_frames))
    except OSError as error:
        raise OutputError(
            f"{journal.folder}: cannot be written ({error.strerror or error}); free space and go on with --resume"
        ) from error
