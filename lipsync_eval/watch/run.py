"""Watch a folder: dub and score every new checkpoint, and keep the history.

A kill at any moment loses at most the dubbing under way. history.json has a row of a checkpoint before work on it begins,
so the next watch takes it up: it dubs anew, or goes on with the scoring, which has a journal of its own.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lipsync_eval.engine.score import score
from lipsync_eval.errors import LipsyncError, OtherRun, OutputError, UsageError
from lipsync_eval.locks import Held, Lock
from lipsync_eval.progress import Progress, silent
from lipsync_eval.results.history import HISTORY, RUN, TABLE, HistoryRow, order_key, save_history
from lipsync_eval.results.names import printable
from lipsync_eval.results.schema import Result
from lipsync_eval.watch.begin import Asked, begin, plan_of, refuse_foreign
from lipsync_eval.watch.checkpoints import Checkpoint, Settling, check_patterns, digest, find, look
from lipsync_eval.watch.command import fill_command, parse_command

LOG: Final = "dub.log"
VIDEOS: Final = "videos"
PAIRS: Final = "pairs.csv"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
Tell = Callable[[str], None]
Scoring = Callable[[], AbstractContextManager[Progress]]


def _silently() -> AbstractContextManager[Progress]:
    return nullcontext(silent)


def watch(
    asked: Asked,
    *,
    once: bool = False,
    interval: float = 30.0,
    again_failed: bool = False,
    done: Callable[[HistoryRow], None] = lambda row: None,
    tell: Tell = lambda text: None,
    scoring: Scoring = _silently,
) -> list[HistoryRow]:
    """Score every checkpoint of a folder that the history does not hold yet.

    Args:
        asked: what and how.
        once: score what is there and return; else go on for ever.
        interval: seconds between two looks at the folder.
        again_failed: take up checkpoints that failed before.
        done: called with every row that was finished.
        tell: told what is being done.
        scoring: called for every scoring; gives a context whose value is told its progress.

    Returns:
        the rows that were finished by this call, in order of work.

    Raises:
        UsageError: nothing can be watched as asked: the command, the manifest, the metrics, missing weights.
        OtherRun: the history in `out` is of another command, manifest, folder or other metrics.
        OutputError: another process watches into `out`, or it cannot be written. What was done is kept.
    """
    if not asked.checkpoints.is_dir():
        raise UsageError(f"{asked.checkpoints}: is no folder; name the folder that the training saves checkpoints into")
    check_patterns(asked.checkpoints, asked.patterns)
    parse_command(asked.command)
    out = asked.out
    refuse_foreign(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with Lock(out / ".lock") as lock:
            return _Watch(asked, lock, done, tell, scoring).run(once, interval, again_failed)
    except Held as error:
        raise OutputError(f"--out {out}: another job watches into it: {error}; name another folder") from error
    except OSError as error:
        raise OutputError(
            f"--out {out}: cannot be written ({error.strerror or error}); free space, then start again"
        ) from error


class _Watch:
    def __init__(
        self, asked: Asked, lock: Lock, done: Callable[[HistoryRow], None], tell: Tell, scoring: Scoring
    ) -> None:
        from lipsync_eval.baselines.manifest import read_manifest

        self.asked, self.lock, self.done, self.tell, self.scoring = asked, lock, done, tell, scoring
        self.out = asked.out.resolve()
        self.folder = asked.checkpoints.resolve()
        self.entries = read_manifest(asked.manifest)
        self.metrics, plan = plan_of(asked, self.entries, tell)
        self.history = begin(asked, plan)
        self.rows: list[HistoryRow] = []
        self.settling = Settling(asked.settle)
        self._same: set[Checkpoint] = set()
        """Checkpoints whose content is in the history under another time of change."""

    def run(self, once: bool, interval: float, again_failed: bool) -> list[HistoryRow]:
        if not self._kept():
            self._write()
        for row in self.history.rows:
            if not row.finished or (again_failed and row.status == "failed"):
                self._take_up(row)
        if once:
            self._look()
            time.sleep(self.asked.settle)
        while True:
            ready = self._look()
            for one in ready[:1]:  # then look again: what is to come next may have changed
                self._work(one)
            if ready:
                continue
            if once:
                for one in self.settling.moving():
                    self.tell(f"{printable(one.name)}: is still being written; left for the next watch")
                break
            time.sleep(interval)
        if once and not self.history.rows:
            raise UsageError(
                f"{self.folder}: holds no complete checkpoint that --pattern {' or '.join(self.asked.patterns)} matches"
            )
        return self.rows

    def _look(self) -> list[Checkpoint]:
        """New complete checkpoints, in order."""
        found = find(self.folder, self.asked.patterns, self.out)
        known = {(row.checkpoint, row.size, row.mtime_ns) for row in self.history.rows}
        new = [
            one
            for one in self.settling.settled(found, time.monotonic())
            if (one.name, one.size, one.mtime_ns) not in known and one not in self._same
        ]
        return sorted(new, key=lambda one: order_key(self.asked.order, _row(one, "", 1)))

    def _work(self, one: Checkpoint) -> None:
        try:
            content = digest(one)
        except OSError as error:
            self._same.add(one)
            self.tell(f"{printable(one.name)}: cannot be read ({error.strerror or error}); left out")
            return
        if any(row.checkpoint == one.name and row.sha256 == content for row in self.history.rows):
            self._same.add(one)
            return
        number = 1 + max((int(row.folder.partition("/")[2].partition("-")[0]) for row in self.history.rows), default=0)
        self._keep(_row(one, content, number))
        self._dub(self._current, one)

    def _take_up(self, row: HistoryRow) -> None:
        """Go on with a row that a kill left, or try one again that failed."""
        if row.status == "scoring":
            self._keep(row)
            self._score(row)
            return
        one = look(self.folder, row.checkpoint)
        if one is not None and (one.size, one.mtime_ns) == (row.size, row.mtime_ns):
            self._keep(row.model_copy(update={"status": "dubbing", "reason": ""}))
            self._dub(self._current, one)
            return
        what = "is not there any more" if one is None else "was written again"
        if row.status == "failed":
            self.tell(f"{printable(row.checkpoint)}: {what}; its row stays as it is")
            return
        self._keep(row)
        self._end(status="failed", reason=f"{what}, so it could not be dubbed to its end")

    def _dub(self, row: HistoryRow, one: Checkpoint) -> None:
        from lipsync_eval.baselines.process import run as run_process
        from lipsync_eval.baselines.runner import find_result

        folder = self.out / row.folder
        videos = folder / VIDEOS
        for old in (videos, folder / RUN):
            shutil.rmtree(old, ignore_errors=True)
        videos.mkdir(parents=True)
        self.tell(f"{printable(one.name)}: dubbing {len(self.entries)} clips")
        values = {"checkpoint": one.path, "data": self.asked.manifest.absolute(), "out": videos}
        line = fill_command(parse_command(self.asked.command), values)
        try:
            ended = run_process(line, cwd=Path.cwd(), env={}, log=folder / LOG, timeout=self.asked.timeout)
        except OSError as error:
            self._end(status="failed", reason=f"the command cannot be started: {error}")
            return
        self.lock.check()
        now, seconds = look(self.folder, one.name), round(ended.seconds, 3)
        said = ended.tail.splitlines()[-1:] or ["it printed nothing"]
        if ended.stopped or ended.code:
            how = ended.stopped or f"exit code {ended.code}"
            self._end(status="failed", reason=f"the command failed ({how}): {said[0]}", dub_seconds=seconds)
        elif now is not None and now != one:
            self._end(status="failed", reason="was written again while it was dubbed", dub_seconds=seconds)
        elif not any(find_result(videos, entry.id) for entry in self.entries):
            reason = f"the command made no video: expected {{out}}/{self.entries[0].id}.mp4 and so on; see {LOG}"
            self._end(status="failed", reason=reason, dub_seconds=seconds)
        else:
            self._keep(row.model_copy(update={"status": "scoring", "dub_seconds": seconds}))
            self._score(self._current)

    def _score(self, row: HistoryRow) -> None:
        from lipsync_eval.baselines.generation import write_pairs

        self.tell(f"{printable(row.checkpoint)}: scoring")
        folder = self.out / row.folder
        write_pairs(VIDEOS, self.entries, folder, folder / PAIRS)
        try:
            try:
                result = self._measure(row, resume=True)
            except OtherRun:  # by another release, or with other videos
                result = self._measure(row, resume=False)
        except (OutputError, Held):
            raise
        except LipsyncError as error:
            self._end(status="failed", reason=f"cannot be scored: {error}")
            return
        scores = [s.model_copy(update={"notes": [], "details": {}}) for s in result.scores]
        self._end(status="scored", scores=scores, n_failures=len(result.failures))
        if self.asked.drop_videos:  # a kill before this line leaves them; one after it finds the row finished
            shutil.rmtree(folder / VIDEOS, ignore_errors=True)

    def _measure(self, row: HistoryRow, *, resume: bool) -> Result:
        folder = self.out / row.folder
        with self.scoring() as event:
            return score(
                folder / VIDEOS,
                folder / VIDEOS,
                metrics=self.metrics,
                settings=self.asked.settings,
                out=folder / RUN,
                pairs=folder / PAIRS,
                workers=self.asked.workers,
                threads=self.asked.threads,
                skip_missing=self.asked.skip_missing,
                name=row.checkpoint,
                resume=resume,
                overwrite=not resume,
                isolate=self.asked.isolate,
                command=["lipsync-eval", "watch", str(self.folder), "--run", self.asked.command],
                event=event,
            )

    def _end(self, **found: Any) -> None:
        """Finish the current row."""
        if "reason" in found:
            found["reason"] = printable(" ".join(str(found["reason"]).split()))
        self._keep(self._current.model_copy(update=found))
        self.rows.append(self._current)
        self.done(self._current)

    def _keep(self, row: HistoryRow) -> None:
        self._current = row
        self.history = self.history.with_row(row)
        self._write()

    def _kept(self) -> bool:
        """Whether the files in OUT are those of the history; a kill can leave a table or a plot of before."""
        from lipsync_eval.reports import history_plot

        files = [self.out / name for name in (HISTORY, TABLE, f"{history_plot.STEM}.png", f"{history_plot.STEM}.pdf")]
        if not all(file.is_file() for file in files) or files[0].read_text("utf-8") != self.history.to_json():
            return False
        times = [file.stat().st_mtime_ns for file in files]
        return times == sorted(times)

    def _write(self) -> None:
        from lipsync_eval.reports import history_plot

        self.lock.check()
        save_history(self.history, self.out)
        if all(row.finished for row in self.history.rows):
            history_plot.write(self.history, self.out)


def _row(one: Checkpoint, content: str, number: int) -> HistoryRow:
    name = _UNSAFE.sub("_", one.name)[:60] or "_"
    return HistoryRow(
        checkpoint=one.name, sha256=content, size=one.size, mtime_ns=one.mtime_ns,
        folder=f"checkpoints/{number:04d}-{name}", status="dubbing", started=datetime.now(UTC).isoformat(),
    )  # fmt: skip
