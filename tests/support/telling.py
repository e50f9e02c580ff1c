"""Work for a worker process: to say what it does, and to leave a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lipsync_eval.progress import SPENT


def telling() -> Callable[[int, Callable[..., None]], int]:
    """A job is a number; it goes through two stages at once."""

    def work(job: int, report: Callable[..., None]) -> int:
        for stage in ("decode", "metrics"):
            report(str(job), stage, 0.0)
        report(str(job), SPENT + "psnr", 0.5)
        return job

    return work


def touching() -> Callable[[str, Any], str]:
    """A job is a path, where an empty file is made."""

    def work(job: str, report: Any) -> str:
        Path(job).touch()
        return job

    return work
