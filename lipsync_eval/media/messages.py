"""What ffmpeg's libraries complain about while they read: damage that decoders hide is told nowhere else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_LOCK = threading.RLock()


@dataclass
class Messages:
    """Complaints of the level 'error' on this thread, in order."""

    entries: list[Any] = field(default_factory=list)
    """(level, component, text) as PyAV collects them."""

    def __len__(self) -> int:
        return len(self.entries)

    def first(self, start: int = 0) -> str:
        """'h264: error while decoding MB 3 5, bytestream 229'; empty where there is none."""
        if len(self.entries) <= start:
            return ""
        _, component, text = self.entries[start]
        return f"{component}: {' '.join(text.split())}"


@contextmanager
def listening() -> Iterator[Messages]:
    """Collect the complaints of the block. One thread listens at a time: PyAV's level of logging belongs to the process."""
    import av.logging

    with _LOCK:
        # Without a handler of its own Python would print what other threads cause in the meantime.
        logger = logging.getLogger("libav")
        silent = logging.NullHandler()
        level, skipped = av.logging.get_level(), av.logging.get_skip_repeated()
        logger.addHandler(silent)
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)
        try:
            with av.logging.Capture(local=True) as entries:
                yield Messages(entries)
        finally:
            av.logging.set_level(level)
            av.logging.set_skip_repeated(skipped)
            logger.removeHandler(silent)
