"""Worker processes by themselves."""

from __future__ import annotations

import time
from pathlib import Path

from lipsync_eval.engine.workers import do_all


def test_workers_that_find_nothing_left_to_do_are_no_failure() -> None:
    """Four of five workers are done at one moment while the last still works; they leave, and nothing is called dead."""
    now = time.time()
    jobs = [now + 6.0, *[now + 4.0] * 4]
    found = list(do_all("support.sleeper:sleeping", (), jobs, len(jobs), lambda *said: None))
    assert sorted(result for _, result in found) == sorted(jobs)


def test_the_next_job_is_under_way_while_a_result_is_taken(tmp_path: Path) -> None:
    """The caller writes to a disk, which takes its time: the worker does not wait for it."""
    jobs = [str(tmp_path / name) for name in "abc"]
    given = do_all("support.telling:touching", (), jobs, 1, lambda *said: None)
    for job, following in zip(jobs, [*jobs[1:], None], strict=True):
        assert next(given) == (job, job)
        until = time.monotonic() + 60
        while following and not Path(following).exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert not following or Path(following).exists()
