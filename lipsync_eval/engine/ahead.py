"""Run an iterator one step ahead in a thread: decoding releases the interpreter lock, so it costs no time of ours."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def ahead(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Iterate `items` in a thread that is at most one item ahead; its errors are raised here, in order."""
    ready: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(kind: str, thing: T | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                ready.put((kind, thing), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # handed to the consumer, whatever it is
            put("error", error)

    def results() -> Iterator[T]:
        while True:
            kind, thing = ready.get()
            if kind == "end":
                return
            if isinstance(thing, BaseException):
                raise thing
            yield thing  # type: ignore[misc]

    thread = threading.Thread(target=work, daemon=True, name="decode-ahead")
    thread.start()
    try:
        yield results()
    finally:
        stopped.set()
        thread.join()
