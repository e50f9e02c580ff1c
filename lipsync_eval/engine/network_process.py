"""A process that has the networks of one GPU, for the measuring processes of a run.

Decoding, tracking and geometry fill the processor's cores; each of those processes would keep its own copy of every network
on the GPU and give it small batches. So they send their arrays here (`lipsync_eval.networks`), over a socket in a folder of
this user alone. While one batch is computed, calls pile up; those of the same method with rows of the same shape are put
together into the next one. The items of an `itemwise` method do not depend on each other, so this moves numbers by rounding alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, Final

import numpy as np

from lipsync_eval.engine.workers import WorkerDied, interpreter, pipes, portable
from lipsync_eval.networks import SHARED, Call, do_here, thing

MOST_BYTES: Final = 256 * 2**20
"""Of the arrays that are put together into one batch."""
COMPUTING: Final = 2
"""Threads that compute: while the GPU works for one, the other puts its batch together and brings it there."""
_CODE: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from lipsync_eval.engine.network_process import serve; serve(*sys.argv[2:])"
)


class NetworkProcesses:
    """One process a GPU; each is started when it is first needed, and again when it has ended."""

    def __init__(self, places: Sequence[Mapping[str, str]]) -> None:
        """Name the places.

        Args:
            places: for each process what its environment gets (`{'CUDA_VISIBLE_DEVICES': '0'}`).
        """
        self._places = [dict(place) for place in places]
        self._running: list[_Running | None] = [None] * len(places)
        self._turn = 0

    def environment(self) -> dict[str, str]:
        """What the environment of the next measuring process gets: the processes take turns.

        Raises:
            WorkerDied: a process with networks cannot be started.
        """
        if not self._places:
            return {}
        turn = self._turn % len(self._places)
        self._turn += 1
        held = self._running[turn]
        if held is None or not held.alive():
            if held is not None:
                held.close()
            held = self._running[turn] = _Running(self._places[turn])
        return {SHARED: held.place}

    def __enter__(self) -> NetworkProcesses:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for held in self._running:
            if held is not None:
                held.close()
        self._running = [None] * len(self._places)


class _Running:
    """The starter's end of one process."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lipsync-eval-"))  # of this user alone
        self.key, self.address = secrets.token_bytes(32), str(self.folder / "networks")
        self.place = f"{self.key.hex()}:{self.address}"
        line = [interpreter(), "-c", _CODE, json.dumps(sys.path), self.address]
        try:
            self.process = subprocess.Popen(
                line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **env}
            )
            source, target = pipes(self.process)
            with contextlib.suppress(OSError):
                source.write(self.key)
                source.flush()
            ready = target.read(1)
        except OSError as error:
            self._clear()
            raise WorkerDied(
                f"the process with the networks cannot be started ({error}); give --workers 1, or free memory"
            ) from error
        if not ready:
            code = self.process.wait()
            self.close()
            raise WorkerDied(
                f"the process with the networks ended before it was ready (exit code {code}): look at the messages above"
            )

    def alive(self) -> bool:
        """Whether it answers: one that is about to end has not ended yet."""
        try:
            with Client(self.address, family="AF_UNIX", authkey=self.key) as line:
                line.send(None)
                line.recv()
        except (OSError, EOFError):
            return False
        return True

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()
        for stream in pipes(self.process):
            with contextlib.suppress(OSError):
                stream.close()
        self._clear()

    def _clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(eq=False, slots=True)
class _Asked:
    """A call and who waits for it."""

    call: Call
    line: Connection

    @property
    def size(self) -> int:
        """Bytes of its arrays."""
        return sum(getattr(array, "nbytes", 0) for array in self.call[2])

    def tell(self, kind: str, found: Any) -> None:
        with contextlib.suppress(OSError):  # the measuring process has ended
            self.line.send((kind, found))


def serve(address: str) -> None:
    """The process itself: key on standard input, then one thread a measuring process and one that computes."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    key = source.read(32)
    asked: queue.Queue[_Asked] = queue.Queue()
    with Listener(address, family="AF_UNIX", authkey=key) as door:
        _thread(_leave_with, source)
        _thread(_accept, door, asked)
        target.write(b"1")
        target.flush()
        waiting = Waiting(asked)
        for _ in range(COMPUTING - 1):
            _thread(compute, waiting)
        compute(waiting)


class Waiting:
    """The calls that came and are not answered yet, for several threads."""

    def __init__(self, asked: queue.Queue[_Asked]) -> None:
        self._asked, self._turn = asked, threading.Lock()
        self._calls: list[_Asked] = []

    def take(self) -> list[_Asked]:
        """The calls of the next batch; waits for the first."""
        with self._turn:
            if not self._calls:
                self._calls.append(self._asked.get())
            with contextlib.suppress(queue.Empty):
                while True:
                    self._calls.append(self._asked.get_nowait())
            chosen = alike(self._calls)
            self._calls = [one for one in self._calls if one not in chosen]
            return chosen


def compute(waiting: Waiting) -> None:
    """Answer calls for ever, together where that is possible."""
    while True:
        answer(waiting.take())


def alike(waiting: Sequence[_Asked]) -> list[_Asked]:
    """The call that waits longest, with those that can be computed in one batch with it."""
    first, *rest = waiting
    if (kind := _kind(first.call)) is None:
        return [first]
    chosen, size = [first], first.size
    for one in rest:
        if _kind(one.call) == kind and size + one.size <= MOST_BYTES:
            chosen.append(one)
            size += one.size
    return chosen


def answer(chosen: Sequence[_Asked]) -> None:
    """Compute calls in one batch and tell each its part; where the batch fails, each by itself."""
    try:
        calls = [one.call for one in chosen]
        found = [do_here(calls[0])] if len(calls) == 1 else list(_together(calls))
    except Exception as error:
        if len(chosen) == 1:
            chosen[0].tell("error", portable(error))
            return
        for one in chosen:
            answer([one])
        return
    for one, part in zip(chosen, found, strict=True):
        one.tell("done", part)


def _kind(call: Call) -> Any:
    """What calls of one batch have in common; None where the call stays by itself."""
    made, method, arrays, given = call
    if not arrays or any(not isinstance(array, np.ndarray) or not array.ndim for array in arrays):
        return None
    try:
        if not getattr(getattr(type(thing(made)), method), "itemwise", False):
            return None
    except Exception:  # the call itself will tell
        return None
    return made, method, tuple((array.dtype.str, array.shape[1:]) for array in arrays), given


def _together(calls: Sequence[Call]) -> Iterator[Any]:
    made, method, _, given = calls[0]
    arrays = tuple(np.concatenate(parts) for parts in zip(*(call[2] for call in calls), strict=True))
    found = do_here((made, method, arrays, given))
    stops = np.cumsum([len(call[2][0]) for call in calls]).tolist()
    for start, stop in zip([0, *stops], stops, strict=False):
        yield tuple(part[start:stop] for part in found) if isinstance(found, tuple) else found[start:stop]


def _accept(door: Listener, asked: queue.Queue[_Asked]) -> None:
    from multiprocessing import AuthenticationError

    while True:
        try:
            line = door.accept()
        except (AuthenticationError, EOFError, ConnectionError):
            continue  # not one of ours, or gone again
        _thread(_listen, line, asked)


def _listen(line: Connection, asked: queue.Queue[_Asked]) -> None:
    with contextlib.suppress(OSError, EOFError):
        while True:
            if (call := line.recv()) is None:  # somebody asks whether this process lives
                line.send(None)
            else:
                asked.put(_Asked(call, line))


def _leave_with(source: Any) -> None:
    source.read()
    os._exit(0)


def _thread(target: Any, *args: Any) -> None:
    threading.Thread(target=target, args=args, daemon=True, name=target.__name__).start()
