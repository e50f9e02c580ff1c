"""Work for a worker process: to sleep."""

from __future__ import annotations

import time
from collections.abc import Callable


def sleeping() -> Callable[[float, object], float]:
    """A job is how long it takes (s)."""

    def work(job: float, report: object) -> float:
        time.sleep(job)
        return job

    return work
