"""Diagnose clips one after the other, each into a picture and a JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lipsync_eval.engine.diagnose.findings import findings
from lipsync_eval.engine.diagnose.look import look
from lipsync_eval.engine.diagnose.plot import draw
from lipsync_eval.engine.diagnose.report import as_json, as_text
from lipsync_eval.errors import ClipError, OutputError, UsageError
from lipsync_eval.files import write_text
from lipsync_eval.media.tree import find_clips, is_image_folder
from lipsync_eval.progress import Progress, silent
from lipsync_eval.types import Json, Settings

_LONGEST: Final = 100
"""Characters of a clip's name that its files keep."""


@dataclass(frozen=True, slots=True)
class Job:
    """One clip, and where its files go."""

    clip: Path
    picture: Path
    data: Path


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """What came of one clip."""

    job: Job
    data: dict[str, Json] | None
    """None for a clip that failed."""
    text: str
    """Sentences; the reason of a clip that failed."""


def plan(clips: Sequence[Path], out: Path, *, overwrite: bool) -> list[Job]:
    """The clips that are named, those of folders in the order of their names, and where their files go.

    Raises:
        UsageError: a path that there is not, or a folder without a clip.
        OutputError: OUT holds a file of one of these names and is not to be overwritten.
    """
    named: list[tuple[str, Path]] = []
    for path in clips:
        if not path.exists():
            raise UsageError(f"{path}: there is no such file or folder")
        if path.is_dir() and not is_image_folder(path):
            found = find_clips(path).clips
            if not found:
                raise UsageError(f"{path} holds no video; give videos, or folders of them")
            named += [(name.replace("/", "_"), p) for name, paths in sorted(found.items()) for p in paths]
        else:
            named.append((path.resolve().name if path.is_dir() else path.stem, path))
    if out.exists() and not out.is_dir():
        raise OutputError(f"--out {out}: is no folder; name another one")
    jobs, taken = [], set()
    for name, path in named:
        stem = base = name[:_LONGEST]
        k = 2
        while stem in taken:
            stem, k = f"{base}-{k}", k + 1
        taken.add(stem)
        jobs.append(Job(path, out / f"{stem}.png", out / f"{stem}.json"))
    there = [p for job in jobs for p in (job.picture, job.data) if p.exists()]
    if there and not overwrite:
        raise OutputError(
            f"{there[0]} is there already; name another folder with --out, or replace it with --overwrite"
        )
    return jobs


def diagnose(jobs: Sequence[Job], settings: Settings, event: Progress = silent) -> Iterator[Diagnosed]:
    """Look at each clip, write its picture and its JSON, and say what was found.

    Raises:
        UsageError: the landmark backend cannot run at all.
        OutputError: a file cannot be written.
    """
    event("", "total", len(jobs))
    for job in jobs:
        event(job.clip.name, "decode", 0.0)
        try:
            seen = look(job.clip, settings)
        except ClipError as error:
            yield Diagnosed(job, None, str(error))
            event(job.clip.name, "done", 1.0)
            continue
        found = findings(seen)
        data = as_json(seen, found)
        try:
            job.picture.parent.mkdir(parents=True, exist_ok=True)
            draw(seen, found, job.picture)
            write_text(job.data, json.dumps(data, indent=1) + "\n")
        except OSError as error:
            raise OutputError(f"--out {job.picture.parent}: cannot be written ({error.strerror or error})") from error
        yield Diagnosed(job, data, as_text(seen, found))
        event(job.clip.name, "done", 1.0)
