"""Measure all clips of a plan, here or in worker processes, keeping each finished clip in the journal."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from lipsync_eval.engine.pair import measure_pair
from lipsync_eval.engine.plan import Plan
from lipsync_eval.engine.tools import MeasuringTools, open_tools
from lipsync_eval.errors import LipsyncError, OutputError
from lipsync_eval.media.pairs import PairPaths
from lipsync_eval.progress import Progress, silent
from lipsync_eval.results.store import Journal, Outcome
from lipsync_eval.types import Settings

_EVERY = 0.2


class WorkerDied(LipsyncError):
    """A worker process was killed (out of memory, for instance)."""


def run_clips(plan: Plan, journal: Journal, *, workers: int = 1, progress: Progress = silent) -> None:
    """Measure every clip that the journal does not have yet.

    The numbers do not depend on `workers`: every clip is measured by the same code, and put together in plan order.

    Raises:
        UsageError: the run cannot go on (e.g. a refused checkpoint).
        OutputError: the journal cannot be written (full disk).
        WorkerDied: a worker was killed; finished clips are in the journal.
    """
    progress("", "total", len(plan.pairs))
    done = journal.done()
    todo = [(place, pair) for place, pair in enumerate(plan.pairs) if place not in done]
    for place in sorted(done & set(range(len(plan.pairs)))):
        progress(plan.pairs[place].id, "done", 1.0)
    outcomes = (
        _here(plan.tools, todo, progress) if workers == 1 or len(todo) <= 1 else _workers(plan, todo, workers, progress)
    )
    for place, outcome in outcomes:
        try:
            journal.write(place, outcome)
        except OSError as error:
            raise OutputError(
                f"{journal.folder}: cannot be written ({error.strerror or error}); free space and go on with --resume"
            ) from error
        progress(outcome.id, "done", 1.0)


def _here(
    tools: MeasuringTools, todo: Iterable[tuple[int, PairPaths]], progress: Progress
) -> Iterator[tuple[int, Outcome]]:
    for place, pair in todo:
        yield place, measure_pair(tools, pair, progress)


def _workers(
    plan: Plan, todo: list[tuple[int, PairPaths]], workers: int, progress: Progress
) -> Iterator[tuple[int, Outcome]]:
    context = multiprocessing.get_context("spawn")
    events = context.SimpleQueue()
    start = (os.getpid(), plan.settings, plan.tools.metrics, events)
    pool = ProcessPoolExecutor(min(workers, len(todo)), mp_context=context, initializer=_initialise, initargs=start)
    try:
        waiting: dict[Future[Outcome], int] = {pool.submit(_work, pair): place for place, pair in todo}
        while waiting:
            finished, _ = wait(waiting, timeout=_EVERY, return_when=FIRST_COMPLETED)
            while not events.empty():
                progress(*events.get())
            for future in finished:
                yield waiting.pop(future), future.result()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise WorkerDied(
            "a worker process was killed (out of memory?); finished clips are kept: go on with --resume and fewer --workers"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()


_tools: MeasuringTools | None = None
_events: Any = None


def _initialise(parent: int, settings: Settings, metrics: tuple[str, ...], events: Any) -> None:
    """Set a worker up: its own tools, deaf to Ctrl-C (the parent handles it), gone when the parent is."""
    global _tools, _events
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    _tools, _events = open_tools(settings, metrics), events


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _work(pair: PairPaths) -> Outcome:
    if _tools is None:
        raise WorkerDied("the worker was not initialised")
    last = 0.0

    def progress(item: str, stage: str, share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if share == 0.0 or now - last > _EVERY:
            last = now
            _events.put((item, stage, share))

    return measure_pair(_tools, pair, progress)
