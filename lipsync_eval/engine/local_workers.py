"""Measuring processes of this machine: how many, with how many threads, and with networks of their own or shared ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from lipsync_eval.engine.threads import usual, variables
from lipsync_eval.engine.tools import MeasuringTools
from lipsync_eval.engine.worker_count import Workers, count_workers, network_processes
from lipsync_eval.engine.workers import do_all

Job = TypeVar("Job")


def processes_and_threads(
    workers: Workers, threads: int | None, tools: MeasuringTools, n_clips: int
) -> tuple[int, int | None]:
    """Measuring processes, and threads of each as `threads.usual` takes them.

    Where 'auto' gives several processes, each has one thread, also where networks run on the CPU.

    Raises:
        UsageError: as count_workers.
    """
    processes = count_workers(workers, tools, n_clips)
    return processes, usual(None) if workers == "auto" and processes > 1 and threads is None else threads


def measure_all(
    target: str,
    setup: tuple[Any, ...],
    jobs: Sequence[Job],
    workers: int,
    threads: int,
    tools: MeasuringTools,
    report: Callable[..., None],
) -> Iterator[tuple[Job, Any]]:
    """`workers.do_all` in processes with so many threads each, which share the networks of a GPU."""
    with network_processes(min(workers, len(jobs)), tools) as networks:

        def env() -> dict[str, str]:
            return {**variables(threads), **networks.environment()}

        yield from do_all(target, setup, jobs, workers, report, env)
