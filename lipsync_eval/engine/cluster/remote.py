"""What a Dask worker does with a clip: it hands the clip to a measuring process of its own.

The measuring process is the one that `--workers` uses (`engine/workers.py`). It opens the weights once, sees one GPU, and a
clip that crashes it does not take the Dask worker away. A Dask worker with several threads has as many of them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from distributed import get_worker

from lipsync_eval.engine.gpus import claim
from lipsync_eval.engine.threads import variables
from lipsync_eval.engine.workers import SteadyWorker
from lipsync_eval.errors import UsageError
from lipsync_eval.locks import Lock
from lipsync_eval.progress import SPENT
from lipsync_eval.version import __version__

_IDLE: Final = 300.0
"""Seconds after which a measuring process without work is ended."""
_EVERY: Final = 1.0
"""Seconds between two reports of one clip's progress: each is a message to the scheduler, and one to the client."""
_LOOKS: Final = 5
"""Times that a file is looked for: a network folder may show it late."""

File = tuple[str, int]
"""An absolute path and the size that the client saw."""


@dataclass(frozen=True, slots=True)
class Work:
    """What all jobs of a run have in common. It travels to the workers."""

    run: str
    """Id of this run alone."""
    version: str
    target: str
    """As in workers.do_all."""
    setup: tuple[Any, ...]
    device: str
    cwd: str
    """The client's working folder: paths may be relative to it."""
    threads: int | None = None
    """Of each measuring process; None: as the environment of the Dask worker says."""


@dataclass(frozen=True, slots=True)
class Done:
    """What comes back from a worker: one message a clip, where it was not long under way."""

    result: Any
    """What the work gave, or the Death of its process."""
    told: tuple[tuple[str, str, float], ...]
    """Progress that was not sent before: the last stage, and how long the parts took."""


class _Seat:
    """A measuring process and the GPU that it has."""

    def __init__(self, work: Work) -> None:
        extra, self.gpu = claim(work.device)
        threads = {} if work.threads is None else variables(work.threads)
        cwd = work.cwd if os.path.isdir(work.cwd) else None  # noqa: PTH112
        self.worker = SteadyWorker(work.target, work.setup, env={**os.environ, **threads, **extra}, cwd=cwd)
        self.since = time.monotonic()

    def close(self) -> None:
        self.worker.close()
        if isinstance(self.gpu, Lock):
            self.gpu.release()


_free: dict[str, list[_Seat]] = {}
_lock = threading.Lock()
_sweeper: threading.Timer | None = None
"""The one that waits for the next look at `_free`."""


def do(work: Work, job: Any, files: Sequence[File]) -> Done:
    """Do one job in a measuring process of this machine; runs as a Dask task.

    Raises:
        UsageError: this worker has another version of lipsync-eval, or does not see the files.
    """
    here = socket.gethostname()
    if work.version != __version__:
        raise UsageError(
            f"the worker on {here} has lipsync-eval {__version__}, the run {work.version}; install one version everywhere"
        )
    for path, size in files:
        _look(path, size, here)
    seat, tell = _take(work), _Teller(work.run)
    try:
        found = seat.worker.do(job, tell)
    except UsageError as error:
        seat.close()
        raise UsageError(f"on the worker {here}: {error}") from None
    except BaseException:
        seat.close()
        raise
    _put_back(work, seat)
    return Done(found, tell.unsent())


def close(run: str) -> None:
    """End the measuring processes of a run that have nothing to do."""
    with _lock:
        seats = _free.pop(run, [])
    for seat in seats:
        seat.close()


def _look(path: str, size: int, here: str) -> None:
    for last in (False,) * (_LOOKS - 1) + (True,):
        try:
            found = Path(path).stat().st_size
        except OSError:
            found = None
        if found == size:
            return
        if not last:
            time.sleep(1.0)
    what = "does not see" if found is None else "sees another file at"
    raise UsageError(
        f"the worker on {here} {what} {path}; inputs, and outputs of generators, must lie on a disk that all workers share, at the same path"
    )


def _take(work: Work) -> _Seat:
    with _lock:
        seats = _free.get(work.run)
        if seats:
            return seats.pop()
    return _Seat(work)


def _put_back(work: Work, seat: _Seat) -> None:
    global _sweeper
    seat.since = time.monotonic()
    with _lock:
        _free.setdefault(work.run, []).append(seat)
        if _sweeper is None:
            _sweeper = _after(_IDLE)


def _after(seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, _sweep)
    timer.daemon = True
    timer.start()
    return timer


def _sweep() -> None:
    """End the measuring processes that had no work for long, and look again when the next may be due."""
    global _sweeper
    now = time.monotonic()
    with _lock:
        old = [(run, seat) for run, seats in _free.items() for seat in seats if now - seat.since >= _IDLE - 1]
        for run, seat in old:
            _free[run].remove(seat)
        left = [seat.since for seats in _free.values() for seat in seats]
        _sweeper = _after(min(left) + _IDLE - now) if left else None
    for _, seat in old:
        seat.close()


class _Teller:
    """Progress of one clip for the client, by an event of the scheduler once a second; the rest goes with the result."""

    def __init__(self, run: str) -> None:
        self._run, self._last = run, time.monotonic()
        self._stage: tuple[str, str, float] | None = None
        self._spent: list[tuple[str, str, float]] = []

    def __call__(self, item: str, stage: str, share: float) -> None:
        if stage.startswith(SPENT):
            self._spent.append((item, stage, share))
            return
        self._stage = item, stage, share
        if (now := time.monotonic()) - self._last >= _EVERY:
            self._last = now
            with contextlib.suppress(Exception):  # what is not told moves no number
                get_worker().log_event(topic(self._run), self._stage)

    def unsent(self) -> tuple[tuple[str, str, float], ...]:
        """The last stage, and the seconds of the parts."""
        return (*(() if self._stage is None else (self._stage,)), *self._spent)


def topic(run: str) -> str:
    """Where a run's progress is told."""
    return f"lipsync-eval-{run}"
