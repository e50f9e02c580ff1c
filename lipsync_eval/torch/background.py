"""Score folders of videos in a process of its own, while the training goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from lipsync_eval.engine.kept_plan import settings_data
from lipsync_eval.engine.threads import variables
from lipsync_eval.engine.worker_count import Workers
from lipsync_eval.errors import LipsyncError, UsageError
from lipsync_eval.results.schema import RESULTS, Result, load_result
from lipsync_eval.types import Settings

Log = Callable[[Mapping[str, float], int], None]
"""(metric id with a prefix -> value, step): for example `lambda values, step: run.log(values, step=step)`."""


class BackgroundScore:
    """A validation beside a training loop: `start` returns at once, `poll` gives what is ready and logs it.

    A child process scores one folder at a time; further ones wait. A validation that fails never stops the training: see
    `failed`.
    """

    def __init__(
        self,
        gt: Path | str,
        *,
        out: Path | str,
        metrics: str = "core",
        settings: Settings | None = None,
        workers: Workers = 1,
        threads: int | None = None,
        log: Log | None = None,
        prefix: str = "lipsync/",
    ) -> None:
        """Nothing is started yet.

        Args:
            gt: folder of the real videos.
            out: folder for one run a step (`out/step-00001000`).
            metrics: as `score` takes them.
            settings: how to measure; None: Settings(device='cpu'), so that the training keeps its GPU.
            workers: measuring processes of the child, or "auto".
            threads: of the libraries of each, as in `score`; None: as the environment says, else all cores.
            log: called by `poll` and `close` with every finished step's values.
            prefix: of the names given to `log`.
        """
        self.gt, self.out, self.metrics, self.workers = Path(gt), Path(out), metrics, workers
        self.threads = threads
        self.settings = settings or Settings(device="cpu")
        self.log, self.prefix = log, prefix
        self.failed: dict[int, str] = {}
        """Step -> what its child said, for those that wrote no result."""
        self._waiting: list[tuple[int, Path]] = []
        self._running: tuple[int, subprocess.Popen[bytes], IO[bytes]] | None = None

    def start(self, gen: Path | str, step: int) -> None:
        """Score a folder of generated videos; returns at once.

        Raises:
            UsageError: the folder is not there.
        """
        if not Path(gen).exists():
            raise UsageError(f"{gen}: there is no such folder of generated videos")
        self._waiting.append((step, Path(gen)))
        self._next()

    def poll(self) -> dict[int, Result]:
        """What was finished since the last call, by step; never waits."""
        done: dict[int, Result] = {}
        while self._running is not None and self._running[1].poll() is not None:
            step, child, words = self._running
            self._running = None
            words.seek(0)
            said = words.read().decode("utf-8", "replace").strip()
            words.close()
            try:
                if child.returncode not in (0, 3):
                    raise UsageError(said or f"the process ended with {child.returncode}")
                done[step] = load_result(self._folder(step) / RESULTS)
            except (LipsyncError, OSError) as error:
                self.failed[step] = str(error)
            self._next()
        for step, result in done.items():
            if self.log is not None:
                self.log(self.values(result), step)
        return done

    def close(self) -> dict[int, Result]:
        """Wait for all that was started; what was finished since the last `poll`."""
        done: dict[int, Result] = {}
        while self._running is not None:
            self._running[1].wait()
            done.update(self.poll())
        return done

    def values(self, result: Result) -> dict[str, float]:
        """What `log` is given: every metric that has a value, with the prefix."""
        return {f"{self.prefix}{s.metric}": s.value for s in result.scores if s.value is not None}

    def _next(self) -> None:
        if self._running is not None or not self._waiting:
            return
        step, gen = self._waiting.pop(0)
        asked = {
            "gen": gen, "gt": self.gt, "out": self._folder(step), "metrics": self.metrics, "workers": self.workers, "threads": self.threads,
            "settings": settings_data(self.settings), "name": f"step {step}",
        }  # fmt: skip
        command = [sys.executable, "-m", "lipsync_eval.torch.child", json.dumps(asked, default=str)]
        env = None if self.threads is None else {**os.environ, **variables(self.threads)}
        words = tempfile.TemporaryFile()  # noqa: SIM115  # a pipe that nobody reads could fill and stop the child
        self._running = step, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=words, env=env), words

    def _folder(self, step: int) -> Path:
        return self.out / f"step-{step:08d}"
