"""One share of a run, measured into a folder that `merge` reads: what `lipsync-eval score --shard 2/8` runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lipsync_eval.device import require
from lipsync_eval.engine.kept_plan import kept
from lipsync_eval.engine.local_workers import processes_and_threads
from lipsync_eval.engine.plan import Plan
from lipsync_eval.engine.run import run_clips
from lipsync_eval.engine.score import environment, fingerprint, finished_run, planned, usual_name
from lipsync_eval.engine.shards import Shard, lengths_of, split
from lipsync_eval.engine.worker_count import Workers
from lipsync_eval.errors import OutputError
from lipsync_eval.progress import Progress, silent
from lipsync_eval.results.journal import Journal
from lipsync_eval.results.rows import Resample
from lipsync_eval.results.schema import RESULTS
from lipsync_eval.results.store import refuse_others, run_folder
from lipsync_eval.types import Settings
from lipsync_eval.urls import Place, place

JOB = "job"
"""The note that holds the plan."""
SHARD = "shard-"
"""Notes that begin so tell of one shard each."""


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What became of one shard."""

    shard: str
    """'2/8'."""
    folder: Path
    ids: tuple[str, ...]
    """Its clips; there is none where there are more shards than clips."""
    failed: tuple[str, ...]
    """Those of its clips with a failure row."""

    def __str__(self) -> str:
        failed = f", {len(self.failed)} with failures" if self.failed else ""
        return f"shard {self.shard}: {len(self.ids)} clips measured{failed}; put together with: lipsync-eval merge {self.folder}"


def score_shard(
    gen: str | Place,
    gt: str | Place | None,
    shard: str,
    *,
    out: str | Path,
    metrics: str | Sequence[str] = "core",
    settings: Settings | None = None,
    pairs: str | Path | None = None,
    workers: Workers = 1,
    threads: int | None = None,
    skip_missing: bool = False,
    name: str | None = None,
    resample: Resample = "clip",
    isolate: bool = False,
    command: Sequence[str] | None = None,
    event: Progress = silent,
    warn: Callable[[str], None] = lambda text: None,
) -> ShardReport:
    """Measure one share of a run; `merge` makes the result of all shares.

    The shares can be measured in any order, on any machines, into one folder or several, and again: a share that was
    killed goes on where it was.

    The arguments that are not listed are those of `score`; they are the same in every shard.

    Args:
        shard: 'NUMBER/OF', from 1: '2/8'.
        out: the folder, its own or one that the shards share.

    Returns:
        what was measured. Long and short clips are spread evenly by the duration in their headers.

    Raises:
        UsageError: nothing was done; also where `out` holds work of another plan.
    """
    mine = Shard.parse(shard)
    if settings is not None:
        require(settings.device)
    plan = planned(gen, gt, metrics, settings, pairs, skip_missing, resample, Path(out))
    for text in plan.warnings:
        warn(text)
    processes, threads = processes_and_threads(workers, threads, plan.tools, -(-len(plan.pairs) // mine.of))
    folder, journal = Path(out), Journal(Path(out))
    stamp = fingerprint(plan, resample)
    began, started = time.monotonic(), datetime.now(UTC)
    with run_folder(folder, resume=False, overwrite=False, shard=mine.name) as lock:
        refuse_others(folder, mine.name)
        if (folder / RESULTS).exists() and (done := finished_run(folder, journal, stamp)):
            warn(f"{folder}: is complete already; nothing to do")
            places = split(lengths_of(plan.pairs), mine.of)[mine.number - 1]
            ids = tuple(plan.pairs[place].id for place in places)
            return ShardReport(str(mine), folder, ids, _among(ids, {row.id for row in done.failures}))
        try:
            journal.begin(stamp)
            lengths = _lengths(plan, journal)
            journal.keep_note(JOB, kept(plan, name or usual_name(plan.gen), resample, lengths, stamp))
            note = {
                "shard": str(mine),
                "finished": False,
                "started": started.isoformat(timespec="seconds"),
                "seconds": 0.0,
                "command": list(command) if command is not None else ["lipsync_eval.score_shard", *(str(place(p)) for p in (gen, gt) if p), shard],
                "environment": environment(plan, processes, threads, isolate=isolate),
            }  # fmt: skip
            journal.keep_note(SHARD + mine.name, note)
        except OSError as error:
            raise OutputError(f"--out {folder}: cannot be written ({error.strerror or error}); free space") from error
        places = split(lengths, mine.of)[mine.number - 1]
        how: dict[str, Any] = {"workers": processes, "threads": threads, "isolate": isolate}
        run_clips(plan, journal, **how, progress=event, check=lock.check, places=places)
        note |= {"finished": True, "seconds": round(time.monotonic() - began, 2)}
        journal.keep_note(SHARD + mine.name, note)
        outcomes = [journal.read(place, plan.pairs[place].id, arrays=False) for place in places]
    failed = {o.id for o in outcomes if o.failures or plan.missing}
    ids = tuple(o.id for o in outcomes)
    return ShardReport(str(mine), folder, ids, _among(ids, failed))


def _lengths(plan: Plan, journal: Journal) -> list[int]:
    """Of the clips: as another shard found them in this journal, else from the headers."""
    there = journal.note(JOB)
    found = None if there is None else there.get("lengths")
    if isinstance(found, list) and len(found) == len(plan.pairs) and all(type(n) is int and n >= 0 for n in found):
        return found
    return lengths_of(plan.pairs)


def _among(ids: Sequence[str], failed: set[str]) -> tuple[str, ...]:
    return tuple(i for i in ids if i in failed)
