"""Worker processes by themselves."""

from __future__ import annotations

import time

from lipsync_eval.engine.workers import do_all


def test_workers_that_find_nothing_left_to_do_are_no_failure() -> None:
    """Four of five workers are done at one moment while the last still works; they leave, and nothing is called dead."""
    now = time.time()
    jobs = [now + 6.0, *[now + 4.0] * 4]
    found = list(do_all("support.sleeper:sleeping", (), jobs, len(jobs), lambda *said: None))
    assert sorted(result for _, result in found) == sorted(jobs)
