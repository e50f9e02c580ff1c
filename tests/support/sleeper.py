"""Work for a worker process: to sleep."""

from __future__ import annotations

import time
from collections.abc import Callable


def sleeping() -> Callable[[float, object], float]:
    """A job is the time (s since the epoch) at which it is done."""

    def work(job: float, report: object) -> float:
        time.sleep(max(0.0, job - time.time()))
        return job

    return work
