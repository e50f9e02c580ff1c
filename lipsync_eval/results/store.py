"""A run's folder: who may write into it, and its files results.json, clips.csv and frames.npz.

Every file is written whole or not at all; results.json comes last and says that the run is whole.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lipsync_eval.errors import OutputError
from lipsync_eval.files import write_text
from lipsync_eval.locks import Held, Lock, Owner
from lipsync_eval.results.frames import FRAMES, load_frames, write_frames
from lipsync_eval.results.journal import JOURNAL, Journal
from lipsync_eval.results.schema import CLIPS, RESULTS, Result

__all__ = ["CLIPS", "FRAMES", "at_work", "load_frames", "refuse_others", "run_folder", "sweep", "write_run"]

_SHARD: Final = re.compile(r"\.lock-[0-9]+of[0-9]+")
_PATIENCE: Final = 5.0
"""Seconds that a shard waits for a job that may only look at the folder."""
_TORN: Final = re.compile(r"\.(results\.json|clips\.csv|frames\.npz)\..*\.tmp")
_LEFT: Final = re.compile(rf"\.{{1,2}}lock.*|{_TORN.pattern}")


@contextlib.contextmanager
def run_folder(folder: Path, *, resume: bool, overwrite: bool, shard: str = "") -> Iterator[Lock]:
    """Own `folder` for the time of a run: it is made, locked, and looked at.

    Args:
        resume, overwrite: what to do with a run that is there. With `overwrite` nothing is removed here: `Journal.begin`
            with afresh=True is what replaces it.
        shard: '2of8' where several jobs share the folder and each goes on with what is there; '' is the whole run.

    Raises:
        OutputError: not a folder, not writable, another job works on it, or it holds another run and neither --resume nor
            --overwrite was given.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"--out {folder}: that is a file; name a folder")
    _refuse_foreign(folder, resume)
    lock = Lock(folder / (f".lock-{shard}" if shard else ".lock"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Held as error:
        raise OutputError(
            f"--out {folder}: another job writes there: {error}; wait for it, or name another folder"
        ) from error
    except OSError as error:
        raise OutputError(
            f"--out {folder}: cannot be written ({error.strerror or error}); name another folder or free space"
        ) from error
    with lock:
        used = _ours(folder)
        if used and not (resume or overwrite or shard):
            raise OutputError(
                f"--out {folder}: holds a run already ({', '.join(used)}); continue it with --resume, replace it with --overwrite, or name another folder"
            )
        yield lock


def at_work(folder: Path) -> dict[str, Owner]:
    """Who works on shards in a folder: '2of8' -> the process."""
    locks = {p.name.removeprefix(".lock-"): Lock(p) for p in folder.glob(".lock-*of*") if _SHARD.fullmatch(p.name)}
    return {shard: owner for shard, lock in sorted(locks.items()) if (owner := lock.holder()) is not None}


def refuse_others(folder: Path, shard: str = "") -> None:
    """Make sure that a whole run (or a merge) and the shards of one exclude each other.

    Args:
        folder: one whose lock the caller holds already (`run_folder`), so that of two that look at each other at least one
            sees the other.
        shard: the caller's, as in `run_folder`; '' is the whole run.

    Raises:
        OutputError: another such job works there.
    """
    patience = time.monotonic() + _PATIENCE
    while True:
        whole = Lock(folder / ".lock").holder() if shard else None
        others = {"the whole run": whole} if whole else {} if shard else at_work(folder)
        if not others:
            return
        if not shard or time.monotonic() > patience:
            said = ", ".join(f"{name} ({owner})" for name, owner in others.items())
            raise OutputError(f"--out {folder}: other jobs write there: {said}; wait for them, or name another folder")
        time.sleep(0.1)


def _ours(folder: Path) -> list[str]:
    return [name for name in (RESULTS, CLIPS, FRAMES, JOURNAL) if (folder / name).exists()]


def _refuse_foreign(folder: Path, resume: bool) -> None:
    """A folder with somebody's own files is not written into. What a killed run can leave behind is not foreign."""
    if not folder.is_dir() or resume or _ours(folder):
        return
    foreign = sorted(p.name for p in folder.iterdir() if not _LEFT.fullmatch(p.name))
    if foreign:
        raise OutputError(
            f"--out {folder}: is not empty and holds no run ({', '.join(foreign[:5])}); name an empty or a new folder"
        )


def sweep(folder: Path, *, results: bool) -> None:
    """Remove what a killed run left half written and, with `results`, the files of the run before this one."""
    for path in folder.iterdir():
        if _TORN.fullmatch(path.name) or (results and path.name in (RESULTS, CLIPS, FRAMES)):
            with contextlib.suppress(OSError):
                path.unlink()


def write_run(folder: Path, result: Result, journal: Journal) -> None:
    """Write frames.npz, clips.csv and, last, results.json; then drop the journal."""
    ids = [clip.id for clip in result.clips]
    write_frames(folder / FRAMES, ids, (journal.frames(place) for place in range(len(ids))))
    write_text(folder / CLIPS, result.to_csv(folder))
    write_text(folder / RESULTS, result.to_json(folder))
    journal.remove()
