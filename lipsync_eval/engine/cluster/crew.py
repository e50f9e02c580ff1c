"""The client's side of a run by Dask: jobs out, results in as they come, whatever happens to workers and scheduler."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from distributed import Client, Future
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from lipsync_eval.engine.cluster import remote
from lipsync_eval.engine.workers import Death
from lipsync_eval.errors import LipsyncError, UsageError
from lipsync_eval.progress import Progress
from lipsync_eval.version import __version__

log = logging.getLogger("lipsync_eval")
_POLL: Final = 2.0
_LOST: Final = 120.0
"""Seconds that a scheduler which is gone may take to come back."""
_LEAST_OUT: Final = 64
_OUT_PER_THREAD: Final = 4
"""Jobs that are handed to the scheduler ahead of the workers, so that one that joins late finds some."""
_TELL_AFTER: Final = 30.0
"""Seconds without any worker after which the user is told."""


class SchedulerLost(LipsyncError):
    """The scheduler does not answer any more."""


def do_all(
    client: Client,
    target: str,
    setup: tuple[Any, ...],
    jobs: Sequence[Any],
    report: Progress,
    *,
    files: Callable[[Any], list[remote.File]],
    device: str,
    at_once: int | None = None,
    threads: int | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Do jobs on the workers of a scheduler: `workers.do_all` over many machines.

    Dask itself gives the jobs of a worker that dies to others. Jobs that a scheduler forgot, since it was started again,
    are handed out again.

    Args:
        client: connected.
        target, setup, jobs, report: as in `workers.do_all`.
        files: the files that a job reads, as (absolute path, size).
        device: Settings.device.
        at_once: jobs under way at a time; None: as many as there are threads.
        threads: of each measuring process; None: as the environment of the Dask worker says.

    Yields:
        (job, result), or (job, Death) where its process died, or several Dask workers did with this job.

    Raises:
        SchedulerLost: the scheduler is gone and does not come back.
        whatever the work raised.
    """
    run = secrets.token_hex(6)
    work = remote.Work(run, __version__, target, setup, device, os.getcwd(), threads)  # noqa: PTH109
    inbox: queue.Queue[Any] = queue.Queue()
    out: dict[str, tuple[Future, int]] = {}
    left, tries = list(range(len(jobs) - 1, -1, -1)), [0] * len(jobs)
    room = _Room(client, at_once)

    def hand_out() -> None:
        while left and len(out) < room.size():
            i = left.pop()
            tries[i] += 1
            key = f"lipsync-eval-{run}-{i}-{tries[i]}"
            future = client.submit(remote.do, work, jobs[i], files(jobs[i]), key=key, pure=False)
            out[key] = future, i
            future.add_done_callback(inbox.put)

    client.subscribe_topic(remote.topic(run), lambda event: inbox.put(event[1]))
    try:
        hand_out()
        while out:
            try:
                message = inbox.get(timeout=_POLL)
            except queue.Empty:
                room.look(bool(out))
                if client.status != "running":
                    _wait_for(client)
                    left += sorted((i for _, i in out.values()), reverse=True)
                    out.clear()
                hand_out()
                continue
            if isinstance(message, (tuple, list)):
                report(*message)
                continue
            if message.key not in out:
                continue
            future, i = out.pop(message.key)
            result = _result(future)
            if result is None:
                _wait_for(client)
                left.append(i)
                hand_out()
            else:
                hand_out()
                for told in result.told:
                    report(*told)
                yield jobs[i], result.result
    finally:
        with contextlib.suppress(Exception):
            client.cancel([future for future, _ in out.values()])
            client.unsubscribe_topic(remote.topic(run))
            if client.status == "running":
                client.run(remote.close, run, on_error="ignore")


class _Room:
    """How many jobs may be handed out."""

    def __init__(self, client: Client, at_once: int | None) -> None:
        self.client, self.at_once, self.threads = client, at_once, 0
        self.none_since: float | None = None
        self.look(False)

    def look(self, waiting: bool) -> None:
        """Count the threads of all workers."""
        with contextlib.suppress(Exception):  # the scheduler may be gone; the main loop finds out
            self.threads = sum(self.client.nthreads().values())
        now = time.monotonic()
        if self.threads or not waiting:
            self.none_since = None
        elif self.none_since is None:
            self.none_since = now
        elif now - self.none_since > _TELL_AFTER:
            log.warning("the scheduler has no worker: waiting for one")
            self.none_since = now + 10 * _TELL_AFTER

    def size(self) -> int:
        return self.at_once or max(_LEAST_OUT, _OUT_PER_THREAD * self.threads)


def _result(future: Future) -> remote.Done | None:
    """What a future that is done gave; None where it was lost with its scheduler."""
    if future.status in ("cancelled", "lost"):
        return None
    try:
        found: remote.Done = future.result(timeout=_LOST)
        return found
    except KilledWorker:
        return remote.Done(Death(-9), ())
    except (CommClosedError, TimeoutError):
        if future.status == "error":  # the work's own
            raise
        return None  # the scheduler went while it handed the result over
    except ModuleNotFoundError as error:
        raise UsageError(f"a worker cannot import {error.name}: install lipsync-eval where the workers run") from error
    except Exception as error:
        if type(error).__name__ in ("CancelledError", "FutureCancelledError", "FuturesCancelledError"):
            return None
        raise


def _wait_for(client: Client) -> None:
    """Wait until a scheduler that is gone is back."""
    until = time.monotonic() + _LOST
    while client.status != "running":
        if client.status == "closed" or time.monotonic() > until:
            raise SchedulerLost(
                "the scheduler does not answer any more; finished clips are kept: start it again and go on with --resume"
            )
        time.sleep(0.5)
