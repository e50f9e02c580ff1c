"""Run an iterator one step ahead in a thread: decoding releases the interpreter lock, so it costs no time of ours."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Made(Generic[T]):
    item: T


@dataclass(frozen=True, slots=True)
class _Ended:
    error: BaseException | None


@contextmanager
def prefetch(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Iterate `items` in a thread that is at most one item ahead; its errors are raised here, in order."""
    ready: queue.Queue[_Made[T] | _Ended] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(what: _Made[T] | _Ended) -> bool:
        while not stopped.is_set():
            try:
                ready.put(what, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(_Made(item)):
                    return
            put(_Ended(None))
        except BaseException as error:  # handed to the consumer, whatever it is
            put(_Ended(error))

    def results() -> Iterator[T]:
        while isinstance(what := ready.get(), _Made):
            yield what.item
        if what.error is not None:
            raise what.error

    thread = threading.Thread(target=work, daemon=True, name="prefetch")
    thread.start()
    try:
        yield results()
    finally:
        stopped.set()
        thread.join()
