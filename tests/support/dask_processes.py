"""A Dask scheduler and workers as processes of their own, and how far a run is; for tests and benchmarks."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path


class Dask:
    """A scheduler and workers as processes of their own."""

    def __init__(self, env: dict[str, str] | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address, self.env = f"tcp://127.0.0.1:{self.port}", env
        self.processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.start_scheduler()

    def _start(self, *line: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", *line], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.env,
            start_new_session=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        place = ("--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        return self._start("distributed.cli.dask_scheduler", *place)

    def worker(self) -> subprocess.Popen[bytes]:
        more = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0")
        return self._start("distributed.cli.dask_worker", self.address, *more)

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def kept(out: Path) -> int:
    """Clips in the journal."""
    return len(list((out / "journal").glob("0*.json")))


def until(out: Path, n: int, process: subprocess.Popen[str] | subprocess.Popen[bytes], seconds: float = 120.0) -> None:
    """Wait until the journal holds n clips, the process has ended, or the time is over."""
    last = time.monotonic() + seconds
    while kept(out) < n and process.poll() is None and time.monotonic() < last:
        time.sleep(0.02)
