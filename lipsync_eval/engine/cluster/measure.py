"""Clips measured by a Dask cluster: the crew that `run_clips` is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lipsync_eval.engine.cluster.start import ClusterAsk, connected
from lipsync_eval.engine.run import Crew, Job, measuring
from lipsync_eval.files import is_file
from lipsync_eval.metrics.registry import uses_networks
from lipsync_eval.progress import Progress
from lipsync_eval.results.paths import absolute

_TARGET = f"{measuring.__module__}:{measuring.__name__}"


@contextmanager
def crew_of(ask: ClusterAsk | None, threads: int | None = None) -> Iterator[Crew | None]:
    """What measures on the cluster that is asked for; None where none is. `threads`: of each measuring process; None: one,
    with networks what the Dask worker's environment says.

    Raises:
        UsageError: it cannot be reached or started.
    """
    if ask is None:
        yield None
        return
    with connected(ask) as client:
        from lipsync_eval.engine.cluster.crew import do_all

        def crew(setup: tuple[Any, ...], jobs: list[Job], alone: bool, progress: Progress) -> Iterator[tuple[Job, Any]]:
            how = {"files": files_of, "device": setup[0].device, "at_once": 1 if alone else None}
            each = 1 if threads is None and not uses_networks(setup[1]) else threads
            return do_all(client, _TARGET, setup, jobs, progress, threads=each, **how)

        yield crew


def files_of(job: Job) -> list[tuple[str, int]]:
    """The files of a clip that the client sees, as absolute path and size; a worker must see the same."""
    pair = job[1]
    paths = [path for path in (pair.gen, pair.gt, pair.audio, pair.gt_audio) if isinstance(path, Path)]
    return [(absolute(str(path)), path.stat().st_size) for path in paths if is_file(path)]
