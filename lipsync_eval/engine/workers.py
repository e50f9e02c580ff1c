"""Processes that do one job at a time, and what happens when one of them dies.

A worker is a fresh interpreter that talks to its parent over its own standard input and output. It never imports the
parent's `__main__`, so a script without `if __name__ == "__main__"`, a script read from standard input and a notebook can
use workers. It leaves when its input ends, that is with its parent, however the parent ended.

A job whose worker dies (a crash of a decoder, out of memory, `os._exit`) is told as a `Death`; the jobs of the other
workers are not touched by it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.spawn import get_executable
from pathlib import Path
from typing import IO, Any, TypeVar

from lipsync_eval.errors import LipsyncError

Job = TypeVar("Job")
Report = Callable[..., None]
Work = Callable[[Any, Report], Any]
"""work(job, report) -> result, in the worker"""

_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from lipsync_eval.engine.workers import serve; serve()"
)
_STARTS = 3
"""Workers in a row that may die before they are ready."""


class WorkerDied(LipsyncError):
    """Worker processes cannot be started, or end before they are ready."""


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended in the middle of a job."""

    code: int
    """Exit code, or minus the number of the signal."""

    def __str__(self) -> str:
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            name = signal.Signals(-self.code).name
        except ValueError:
            name = f"signal {-self.code}"
        return name + (", as when memory runs out" if name == "SIGKILL" else "")


def do_all(
    target: str,
    setup: tuple[Any, ...],
    jobs: Sequence[Job],
    workers: int,
    report: Callable[..., None],
    env: Callable[[], Mapping[str, str]] = dict,
) -> Iterator[tuple[Job, Any]]:
    """Do jobs in worker processes, in the order in which they finish.

    Args:
        target: 'module:function'; called in each worker as function(*setup), it gives the `Work` of that worker.
        setup: what `target` is called with. Setup, jobs and results travel as pickles between processes of one user.
        jobs: what `Work` is called with.
        workers: processes at a time, 1 or more.
        report: called here with whatever the work reported there.
        env: asked before each start of a worker for what is added to its environment.

    Yields:
        (job, result), or (job, Death) where the worker died.

    Raises:
        WorkerDied: workers die before they are ready.
        whatever the work raised; the other jobs are then given up.
    """
    inbox: queue.Queue[tuple[_Worker, tuple[Any, ...] | None]] = queue.Queue()
    left, failed_starts = list(reversed(jobs)), 0
    under_way: dict[_Worker, Job] = {}
    alive: set[_Worker] = set()
    stopped: set[_Worker] = set()
    try:
        for _ in range(min(workers, len(jobs))):
            alive.add(_Worker(inbox, target, setup, {**os.environ, **env()}))
        while left or under_way:
            worker, message = inbox.get()
            if message is None:
                alive.discard(worker)
                death = Death(worker.process.wait())
                worker.kill()
                if worker in stopped:  # there was nothing left for it: no failure
                    continue
                if worker in under_way:
                    yield under_way.pop(worker), death
                else:
                    failed_starts += 1
                    if failed_starts >= _STARTS:
                        raise WorkerDied(
                            f"worker processes end before they are ready ({death}); finished clips are kept: look at the messages above, then go on with --resume"
                        )
                if len(alive) < min(workers, len(left)):
                    alive.add(_Worker(inbox, target, setup, {**os.environ, **env()}))
                continue
            kind, *rest = message
            if kind == "report":
                report(*rest)
                continue
            if kind == "error":
                raise rest[0]
            failed_starts = 0
            done = [under_way.pop(worker)] if kind == "done" else []
            if left:  # before the caller, who may write to a disk, sees the result
                under_way[worker] = left.pop()
                worker.send(under_way[worker])
            else:
                stopped.add(worker)
                worker.stop()
            for job in done:
                yield job, rest[0]
    finally:
        for worker in alive:
            worker.kill()


def interpreter() -> str:
    """The Python that workers run under; '' where this process does not know its own (some embedded ones)."""
    if found := get_executable():
        return os.fsdecode(found)
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/exe").readlink())
    return ""


class _Worker:
    """The parent's end of one worker process."""

    def __init__(
        self,
        inbox: queue.Queue[tuple[_Worker, tuple[Any, ...] | None]],
        target: str,
        setup: Any,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> None:
        line = [interpreter(), "-c", _CODE, json.dumps(sys.path)]
        try:
            self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd=cwd)
        except OSError as error:
            raise WorkerDied(
                f"worker processes cannot be started ({error}); finished clips are kept: go on with --resume, or with --workers 1 from Python"
            ) from error
        self._pipes = pipes(self.process)
        self.listener = threading.Thread(target=self._listen, args=(inbox,), daemon=True, name="worker-listener")
        self.listener.start()
        self.send((target, setup))

    def send(self, thing: object) -> None:
        """Hand something over; a worker that has died says so by the end of its output."""
        with contextlib.suppress(OSError):
            _put(self._pipes[0], thing)

    def stop(self) -> None:
        """Let it leave."""
        with contextlib.suppress(OSError):
            self._pipes[0].close()

    def kill(self) -> None:
        """End it now, if it has not ended."""
        with contextlib.suppress(OSError):
            self.process.kill()
        self.listener.join()
        self.stop()
        self.process.wait()

    def _listen(self, inbox: queue.Queue[tuple[_Worker, tuple[Any, ...] | None]]) -> None:
        with self._pipes[1] as stream, contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
            while True:
                inbox.put((self, _get(stream)))
        inbox.put((self, None))


class SteadyWorker:
    """One worker for jobs that come one by one; it is started at the first and again after one that ended it."""

    def __init__(
        self, target: str, setup: tuple[Any, ...], env: Mapping[str, str] | None = None, cwd: str | None = None
    ) -> None:
        """`target` and `setup` as in `do_all`; `env` and `cwd` of the process, None: as here."""
        self._start = target, setup, env, cwd
        self._inbox: queue.Queue[tuple[_Worker, tuple[Any, ...] | None]] = queue.Queue()
        self._worker: _Worker | None = None

    def do(self, job: object, report: Report) -> Any:
        """The result of one job, or the Death of the process that did it.

        Raises:
            WorkerDied: the process ends before it is ready.
            whatever the work raised.
        """
        for _ in range(_STARTS):
            ready = self._worker is not None
            if self._worker is None:
                self._worker = _Worker(self._inbox, *self._start)
            else:
                self._worker.send(job)
            while True:
                kind, *rest = self._inbox.get()[1] or ("died",)
                if kind == "ready":
                    ready = True
                    self._worker.send(job)
                elif kind == "report":
                    report(*rest)
                elif kind == "done":
                    return rest[0]
                elif kind == "error":
                    self.close()
                    raise rest[0]
                else:
                    break
            death = Death(self._worker.process.wait())
            self.close()
            if ready:
                return death
        raise WorkerDied(f"worker processes end before they are ready ({death})")

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.kill()
        self._worker, self._inbox = None, queue.Queue()


def serve() -> None:
    """The worker's side: deaf to Ctrl-C (the parent handles it), gone when the parent is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a library prints must not get between the messages
    with contextlib.suppress(OSError):  # when memory runs out, the worker goes and not its parent
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")
    jobs: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_take, args=(source, jobs), daemon=True, name="parent-listener").start()
    try:
        name, setup = jobs.get()
        module, _, function = name.partition(":")
        work: Work = getattr(import_module(module), function)(*setup)
        _put(target, ("ready",))
        while True:
            _put(target, ("done", work(jobs.get(), lambda *said: _put(target, ("report", *said)))))
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            os._exit(1)
        _put(target, ("error", portable(error)))
    except Exception as error:
        _put(target, ("error", portable(error)))


def _take(source: IO[bytes], jobs: queue.Queue[Any]) -> None:
    with contextlib.suppress(OSError, EOFError):
        while True:
            jobs.put(_get(source))
    os._exit(0)


def portable(error: Exception) -> Exception:
    """The error itself where it survives the way to the parent, else its words."""
    try:
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301  (made in the line itself)
        if type(copy) is type(error):
            return error
    except Exception:  # noqa: S110  (any failure means the same)
        pass
    return LipsyncError(f"{type(error).__name__}: {error}")


def pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Standard input and output of a process that was started with both as pipes.

    Raises:
        WorkerDied: it was not.
    """
    if process.stdin is None or process.stdout is None:
        raise WorkerDied("a worker process was started without pipes to it")
    return process.stdin, process.stdout


def _put(stream: IO[bytes], thing: object) -> None:
    data = pickle.dumps(thing, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def _get(stream: IO[bytes]) -> Any:
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    (length,) = struct.unpack("<Q", head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)  # noqa: S301  (from a process that this one started, over a pipe of its own)
