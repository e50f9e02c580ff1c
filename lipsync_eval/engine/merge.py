"""Shards put together: the journals of all of them, read as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.engine.build_result import build_result
from lipsync_eval.engine.kept_plan import KeptPlan, read_plan
from lipsync_eval.engine.score import checkout_commit, finished_run
from lipsync_eval.engine.score_shard import JOB, SHARD
from lipsync_eval.engine.shards import Shard, split
from lipsync_eval.errors import OutputError, UsageError
from lipsync_eval.results.journal import Arrays, Journal, Outcome
from lipsync_eval.results.schema import RESULTS, Result, RunInfo, load_result
from lipsync_eval.results.store import at_work, refuse_others, run_folder, sweep, write_run
from lipsync_eval.version import __version__

_NAMED = 8
"""Clips that a message names."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The journal of one folder."""

    folder: Path
    journal: Journal
    plan: KeptPlan
    notes: Mapping[str, dict[str, Any]]


class _Joined(Journal):
    """Several journals of one plan, to read: each clip from the first that has it."""

    def __init__(self, sources: Sequence[_Source], out: Path, ids: Sequence[str]) -> None:
        super().__init__(out)
        self.run = sources[0].journal.run
        self.of: dict[int, Journal] = {}
        self.twice: list[tuple[int, Journal]] = []
        for source in sources:
            for place in sorted(source.journal.done(ids)):
                if self.of.setdefault(place, source.journal) is not source.journal:
                    self.twice.append((place, source.journal))

    def read(self, place: int, name: str, arrays: bool = True) -> Outcome:
        return self.of[place].read(place, name, arrays)

    def states(self, place: int, metric: str) -> Arrays:
        return self.of[place].states(place, metric)

    def frames(self, place: int) -> Iterator[tuple[str, NDArray[np.generic]]]:
        return self.of[place].frames(place)


def merge(
    runs: Sequence[str | Path] | str | Path,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    command: Sequence[str] | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> Result:
    """Put the shards of a run together: what `lipsync-eval merge` runs.

    The result has the same scores, clips and failures as the run that was never divided, and so have clips.csv and
    frames.npz the same bytes. Neither videos nor weights are read; statistics of real videos (--fid-stats, --fvd-stats)
    are, or are written, at the path that the first of `runs` was given.

    Args:
        runs: folders that `score_shard` wrote.
        out: folder of the result, one of `runs` or another; None: the first of `runs`.
        overwrite: replace the finished run that `out` holds.
        command: what to record as the command line.
        warn: told about things that the user should know.

    Raises:
        UsageError: shards are missing (all are named) or still at work, the folders are of several plans, a clip was
            measured twice on unlike videos, statistics of real videos that the shards read are not here. Nothing is written.
    """
    folders = [Path(run) for run in ([runs] if isinstance(runs, (str, Path)) else runs)]
    if not folders:
        raise UsageError("merge needs the folders of the shards; give at least one")
    target = Path(out) if out is not None else folders[0]
    line = list(command) if command is not None else ["lipsync_eval.merge", *map(str, folders)]
    inside = any(_same(folder, target) for folder in folders)
    for folder in [target] if inside else folders:  # before the lock, which would make the folder
        if not Journal(folder).folder.is_dir() and not (inside and (folder / RESULTS).exists()):
            raise _no_shard(folder)
    with run_folder(target, resume=inside, overwrite=overwrite or _torn(target)) as lock:
        refuse_others(target)
        if inside and (done := _complete(target)):
            warn(f"{target}: is complete already; nothing to do")
            return done
        sources = [_source(folder) for folder in folders]
        plan = _one_plan(sources)
        ids = [pair.id for pair in plan.pairs]
        joined = _Joined(sources, target, ids)
        _refuse_missing(sources, plan, joined)
        _refuse_unlike(plan, joined)
        plan.check_stats()
        result = build_result(
            plan, joined, _run_info(sources, plan, line, joined.run), _environment(sources), plan.resample
        )
        result = result.with_frames(target.absolute())
        lock.check()
        try:
            sweep(target, results=True)
            write_run(target, result, joined)
        except OSError as error:
            raise OutputError(f"{target}: cannot be written ({error.strerror or error}); free space") from error
    return result


def _same(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve()


def _torn(target: Path) -> bool:
    """Whether a merge that was killed left its first files, which the next one replaces."""
    return target.is_dir() and not (target / RESULTS).exists() and not Journal(target).folder.exists()


def _complete(target: Path) -> Result | None:
    """The finished run in the folder, where all shards were put together already."""
    journal = Journal(target)
    if not (target / RESULTS).exists():
        return None
    if not journal.under_way():
        return load_result(target)
    if not journal.open() or (note := journal.note(JOB)) is None:
        return None
    return finished_run(target, journal, read_plan(note, journal.folder / f"{JOB}.json").fingerprint())


def _source(folder: Path) -> _Source:
    journal = Journal(folder)
    note = journal.note(JOB) if journal.open() else None
    if note is None:
        raise _no_shard(folder)
    return _Source(folder, journal, read_plan(note, journal.folder / f"{JOB}.json"), journal.notes(SHARD))


def _no_shard(folder: Path) -> UsageError:
    return UsageError(
        f"{folder}: holds no shard; expected a folder that `lipsync-eval score GEN GT --shard 1/N --out {folder}` wrote"
    )


def _one_plan(sources: Sequence[_Source]) -> KeptPlan:
    """The plan that all sources share."""
    first = sources[0]
    for other in sources[1:]:
        if other.plan.same != first.plan.same:
            raise UsageError(
                f"{first.folder} and {other.folder} are of two plans: {_differences(first.plan, other.plan)}"
            )
    return first.plan


def _differences(a: KeptPlan, b: KeptPlan) -> str:
    found = []
    if [p.id for p in a.pairs] != [p.id for p in b.pairs]:
        found.append(f"their clips ({len(a.pairs)} and {len(b.pairs)})")
    if a.signatures != b.signatures:
        unlike = sorted(m for m in {*a.signatures, *b.signatures} if a.signatures.get(m) != b.signatures.get(m))
        found.append(f"the signatures of {', '.join(unlike)}")
    if a.settings.seed != b.settings.seed:
        found.append("--seed")
    if a.resample != b.resample:
        found.append("--resample")
    return f"they differ in {', '.join(found) or 'the sizes of their video files'}; measure all shards with one command"


def _refuse_missing(sources: Sequence[_Source], plan: KeptPlan, joined: _Joined) -> None:
    missing = [place for place in range(len(plan.pairs)) if place not in joined.of]
    if not missing:
        return
    shards = {Shard.parse(str(note.get("shard"))) for source in sources for note in source.notes.values()}
    lines = []
    for of in sorted({shard.of for shard in shards}):
        lost = [
            (Shard(of, number), n)
            for number, share in enumerate(split(plan.lengths, of), 1)
            if (n := len(set(share) & set(missing)))
        ]
        lines.append(", ".join(f"{s} ({n} clips{'' if s in shards else ', never started'})" for s, n in lost))
    busy = [f"{name.replace('of', '/')} ({who})" for source in sources for name, who in at_work(source.folder).items()]
    names = [plan.pairs[place].id for place in missing]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    raise UsageError(
        f"{len(missing)} of {len(plan.pairs)} clips are not measured yet, nothing was written. "
        f"Missing shards: {'; or '.join(lines)}. Clips: {', '.join(names[:_NAMED])}{more}. "
        + (f"Still at work: {', '.join(busy)}. " if busy else "")
        + "Start the missing shards again with the same command (they go on where they were), then merge"
    )


def _refuse_unlike(plan: KeptPlan, joined: _Joined) -> None:
    """A clip that was measured in two folders must have been the same clip."""
    for place, journal in joined.twice:
        name = plan.pairs[place].id
        a, b = joined.read(place, name, arrays=False), journal.read(place, name, arrays=False)
        if a.digests != b.digests and "" not in (*a.digests, *b.digests):
            raise UsageError(
                f"clip {name!r} was measured on other videos in {joined.of[place].folder.parent} than in "
                f"{journal.folder.parent}; measure all shards on the same videos"
            )


def _run_info(sources: Sequence[_Source], plan: KeptPlan, command: list[str], run: str) -> RunInfo:
    commit, dirty = checkout_commit()
    notes = [note for source in sources for note in source.notes.values()]
    seconds = sum(float(n) for note in notes if isinstance(n := note.get("seconds"), (int, float)))
    return RunInfo(
        name=plan.name,
        command=command,
        version=__version__,
        commit=commit,
        dirty=dirty,
        seed=plan.settings.seed,
        started=min(str(note.get("started")) for note in notes),
        seconds=round(seconds, 2),
        plan=plan.fingerprint(),
        id=run,
    )


def _environment(sources: Sequence[_Source]) -> dict[str, Any]:
    """Of the shards; a list of what there was where they differ."""
    found: dict[str, list[Any]] = {}
    notes = [note for source in sources for note in source.notes.values()]
    for note in notes:
        said = note.get("environment")
        for key, value in (said if isinstance(said, dict) else {}).items():
            if value not in found.setdefault(str(key), []):
                found[str(key)].append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()} | {"shards": len(notes)}
