"""What a watch is asked for, and whether it can begin."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from lipsync_eval.device import require
from lipsync_eval.engine.plan import make_plan
from lipsync_eval.engine.worker_count import Workers
from lipsync_eval.errors import OtherRun, OutputError
from lipsync_eval.files import sha256, write_text
from lipsync_eval.results.csv_text import csv_text
from lipsync_eval.results.history import HISTORY, History, load_history, order_key
from lipsync_eval.results.signature import short_hash
from lipsync_eval.types import Settings

if TYPE_CHECKING:
    from lipsync_eval.baselines.manifest import ManifestEntry

SIGNATURES: Final = "the signatures of the metrics"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is watched, and how a checkpoint is dubbed and scored."""

    checkpoints: Path
    out: Path
    command: str
    """The text of --run."""
    manifest: Path
    metrics: str
    settings: Settings
    patterns: Sequence[str]
    order: Literal["name", "mtime"] = "name"
    settle: float = 5.0
    """Seconds for which a checkpoint must not change before it counts as complete."""
    timeout: float = 86400.0
    """Seconds that the command may take for one checkpoint."""
    workers: Workers = 1
    threads: int | None = None
    """As in engine.score."""
    skip_missing: bool = False
    drop_videos: bool = False
    """Remove a checkpoint's videos once they are scored."""
    isolate: bool = False
    """As in engine.score."""


def refuse_foreign(out: Path) -> None:
    """A folder with somebody's own files is not written into."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"--out {out}: that is a file; name a folder")
    if not out.is_dir() or (out / HISTORY).exists():
        return
    left = re.compile(r"\.{1,2}lock.*|\.plan\.csv|\..*\.tmp")
    if foreign := sorted(p.name for p in out.iterdir() if not left.fullmatch(p.name)):
        raise OutputError(
            f"--out {out}: is not empty and holds no {HISTORY} ({', '.join(foreign[:5])}); name a new folder"
        )


def plan_of(asked: Asked, entries: Sequence[ManifestEntry], tell: Callable[[str], None]) -> tuple[str, dict[str, Any]]:
    """The metrics that every checkpoint is scored by, and what a resumed watch compares.

    The real videos stand in for the dubbed ones, so a wrong name, missing weights or a missing video ends the watch before
    it begins.
    """
    out = asked.out.resolve()
    table = out / ".plan.csv"
    rows = [("id", "gen", "gt"), *((e.id, str(e.real.resolve()), str(e.real.resolve())) for e in entries)]
    write_text(table, csv_text(rows))
    try:
        require(asked.settings.device)
        plan = make_plan(out, out, asked.metrics, asked.settings, pairs_csv=table, skip_missing=asked.skip_missing)
    finally:
        table.unlink(missing_ok=True)
    for text in plan.warnings:
        tell(f"warning: {text}")
    found = plan.fingerprint()
    return ",".join(plan.metrics), {
        "the manifest": sha256(asked.manifest),
        SIGNATURES: found["signatures"],
        "the real videos": found["pairs"],
        "--seed": found["seed"],
    }


def begin(asked: Asked, plan: Mapping[str, Any]) -> History:
    """The history to go on with: what OUT holds, or a new one.

    Raises:
        OtherRun: it is of another command, folder, manifest, or of values that were measured otherwise.
        ParseError: it cannot be read.
    """
    new = History(
        checkpoints=str(asked.checkpoints.resolve()), order=asked.order, command=asked.command,
        manifest=str(asked.manifest.resolve()), plan=dict(plan), rows=[],
    )  # fmt: skip
    if not (asked.out / HISTORY).exists():
        return new
    old = load_history(asked.out / HISTORY)
    same = {"--run": old.command == new.command, "the folder": old.checkpoints == new.checkpoints}
    same |= {what: old.plan.get(what) == plan[what] for what in plan if what != SIGNATURES}
    same[SIGNATURES] = not _unlike(old.plan.get(SIGNATURES), plan[SIGNATURES])
    if unlike := [what for what, alike in same.items() if not alike]:
        raise OtherRun(
            f"--out {asked.out}: holds a history that was made otherwise ({', '.join(unlike)}); one curve must be measured "
            "one way: name another folder"
        )
    return new.model_copy(update={"rows": sorted(old.rows, key=lambda row: order_key(new.order, row))})


def _unlike(old: Any, new: list[str]) -> bool:
    """Whether two lists of signatures say other metrics, or another way to measure one."""
    if not isinstance(old, list) or len(old) != len(new):
        return True
    return any(short_hash(str(a)) != short_hash(b) for a, b in zip(old, new, strict=True))
