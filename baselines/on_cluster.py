"""Generators run by a Dask cluster: every worker dubs clips of the manifest in processes of its own, on its GPU.

Workers write their videos into OUT themselves, so OUT lies on a disk that all of them share, at the same path; so do the
manifest's files and each generator's repository and environment. That OUT is shared is checked before a worker's first clip.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from lipsync_eval.baselines.base import Adapter
from lipsync_eval.baselines.environments import Environment
from lipsync_eval.baselines.manifest import ManifestEntry
from lipsync_eval.baselines.runner import Asked, Crew, GeneratorOutcome, find_result, one
from lipsync_eval.engine.cluster.start import ClusterAsk, connected
from lipsync_eval.engine.workers import Death
from lipsync_eval.errors import UsageError
from lipsync_eval.progress import Progress

_LATE: Final = 10.0
"""Seconds that a network folder may take to show a new file."""


@dataclass(frozen=True, slots=True)
class ClusterRun:
    """A cluster that dubs and, by its address, scores."""

    crew: Crew
    scheduler: str
    """Its address, for `score`: all steps use one cluster."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One clip under one generator."""

    label: str
    """The generator's name in OUT."""
    environment: Environment
    entry: ManifestEntry


@contextmanager
def cluster_run(ask: ClusterAsk | None) -> Iterator[ClusterRun | None]:
    """The cluster that is asked for; None where none is.

    Raises:
        UsageError: it cannot be reached or started.
    """
    if ask is None:
        yield None
        return
    with connected(ask) as client:

        def crew(
            adapters: Sequence[tuple[Adapter, Environment]], entries: Sequence[ManifestEntry], asked: Asked,
            progress: Progress,
        ) -> list[GeneratorOutcome]:  # fmt: skip
            return _run_all(client, adapters, entries, asked, progress)

        yield ClusterRun(crew, str(client.scheduler.address))


def _run_all(
    client: Any,
    adapters: Sequence[tuple[Adapter, Environment]],
    entries: Sequence[ManifestEntry],
    asked: Asked,
    progress: Progress,
) -> list[GeneratorOutcome]:
    """All clips of all generators, in that order; a clip whose process ends is tried once more, by itself."""
    from lipsync_eval.engine.cluster.crew import do_all

    asked = replace(asked, out=asked.out.absolute())
    jobs = [_Job(adapter.record.name, env, _absolute(entry)) for adapter, env in adapters for entry in entries]
    device = "auto" if any(env.device == "cuda" for _, env in adapters) else "cpu"
    mark = asked.out / ".jobs" / f"shared-{secrets.token_hex(4)}"
    mark.write_text("Workers look for this file: OUT must lie on a disk that they share.\n", "ascii")

    def files(job: _Job) -> list[tuple[str, int]]:
        inputs = (job.entry.video, job.entry.audio, job.entry.reference)
        return [(str(path), path.stat().st_size) for path in (mark, *inputs) if path is not None and path.is_file()]

    found: dict[tuple[str, str], GeneratorOutcome] = {}
    try:
        for alone in (False, True):
            left = [job for job in jobs if (job.label, job.entry.id) not in found]
            how: dict[str, Any] = {"files": files, "device": device, "at_once": 1 if alone else None}
            for job, outcome in do_all(client, f"{__name__}:generating", (asked,), left, progress, **how):
                if not isinstance(outcome, Death):
                    _check_shared(asked, outcome)
                    found[job.label, job.entry.id] = outcome
                elif alone:
                    message = f"the process that ran this clip on a worker ended ({outcome}), and again by itself"
                    found[job.label, job.entry.id] = GeneratorOutcome(
                        job.entry.id, job.label, "", False, message, (), 0.0, 2
                    )
    finally:
        mark.unlink(missing_ok=True)
    return [found[job.label, job.entry.id] for job in jobs]


def generating(asked: Asked) -> Callable[[_Job, Progress], GeneratorOutcome]:
    """What a worker does with a clip."""
    from lipsync_eval.baselines import get_adapter

    def work(job: _Job, progress: Progress) -> GeneratorOutcome:
        name = job.environment.name
        adapter = get_adapter(name, {name: job.environment})
        adapter = replace(adapter, record=replace(adapter.record, name=job.label))
        return one(adapter, job.environment, job.entry, asked, progress)

    return work


def _absolute(entry: ManifestEntry) -> ManifestEntry:
    reference = None if entry.reference is None else entry.reference.absolute()
    return ManifestEntry(entry.id, entry.video.absolute(), entry.audio.absolute(), reference, entry.real.absolute())


def _check_shared(asked: Asked, outcome: GeneratorOutcome) -> None:
    """Make sure that a video which a worker wrote is here."""
    until = time.monotonic() + _LATE
    folder = asked.out / outcome.generator
    while outcome.ok and find_result(folder, outcome.id) is None:
        if time.monotonic() > until:
            raise UsageError(
                f"a worker says that it wrote {outcome.id!r} into {folder}, and it is not here; --out must lie on a disk that "
                "all workers share, at the same path"
            )
        time.sleep(0.2)
