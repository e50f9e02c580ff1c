"""A second video written beside the first: the crops of `dub --crops`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Full, Queue
from typing import Any

from lipsync_eval.media import write_video
from lipsync_eval.types import Frame


class _GivenUp(Exception):
    """The first video will not be finished, so the second must not be either."""


class SideVideo:
    """A second video written beside the first, by a thread of its own; at most 32 frames wait.

    As the first video it is written whole or not at all: what was at `path` stays when the `with` block ends with an error.
    """

    def __init__(self, path: Path, **settings: Any) -> None:
        """`settings`: of `write_video`."""
        self.path, self.settings = path, settings
        self._queue: Queue[Frame | None] = Queue(32)
        self._error: BaseException | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._write, daemon=True)

    def put(self, frame: Frame) -> None:
        """Hand over a frame.

        Raises:
            LipsyncError: the writer failed before.
        """
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(frame, timeout=0.5)
                return
            except Full:
                continue

    def __enter__(self) -> SideVideo:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._given_up = error is not None
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=0.5)
                break
            except Full:
                continue
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _frames(self) -> Iterator[Frame]:
        while (frame := self._queue.get()) is not None:
            yield frame
        if self._given_up:
            raise _GivenUp

    def _write(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_video(self.path, self._frames(), **self.settings)
        except BaseException as error:
            self._error = error
