"""Copies of other people's repositories with the small changes that current versions of their dependencies need."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from lipsync_eval.baselines.base import Record
from lipsync_eval.errors import UsageError
from lipsync_eval.files import parse_json, write_text

_FACTS = "lipsync_eval_prepared.json"


def prepare(record: Record, source: Path, target: Path) -> list[str]:
    """Copy `source` to `target` (without .git) and apply record.patches; `source` stays as it is.

    Returns:
        one line per change.

    Raises:
        UsageError: nothing to patch, target exists, source is at another commit, or a text to replace is not there exactly
            once; then nothing is left at `target`.
    """
    if not record.patches:
        raise UsageError(f"{record.name} needs no changes: set repo to your checkout")
    if target.exists():
        raise UsageError(f"--to {target}: exists already; give a new folder")
    there = head(source)
    if there is not None and there != record.commit:
        raise UsageError(
            f"--from {source} is at {there[:12]}, the patches are for {record.commit[:12]}: git checkout {record.commit[:12]}"
        )
    try:
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        lines = [_apply(target, patch.file, patch.old, patch.new, patch.why) for patch in record.patches]
        write_text(target / _FACTS, json.dumps(prepared_facts(record), ensure_ascii=False, indent=1) + "\n")
    except (OSError, UnicodeDecodeError, UsageError) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise UsageError(f"{source} cannot be prepared: {error}") from error
    return [
        *lines,
        f"{target}: {record.title} at {record.commit[:12]} with {len(lines)} change{'s' * (len(lines) > 1)}",
    ]


def _apply(target: Path, file: str, old: str, new: str, why: str) -> str:
    path = target / file
    if not path.parent.resolve().is_relative_to(target.resolve()):
        raise UsageError(
            f"{file} lies behind a link out of the repository, which would be changed: prepare a plain checkout"
        )
    text = path.read_bytes().decode("utf-8")
    if (n := text.count(old)) != 1:
        raise UsageError(f"{file}: the text {old!r} is there {n} times, expected once; is it the right commit?")
    path.unlink()
    path.write_bytes(text.replace(old, new).encode("utf-8"))
    return f"{file}: {old}  ->  {new}  ({why})"


def prepared_facts(record: Record) -> dict[str, Any]:
    """What a prepared copy says about itself."""
    return {
        "name": record.name.replace("_gan", ""),
        "commit": record.commit,
        "patches": [[p.file, p.old, p.new] for p in record.patches],
    }


def read_prepared(repo: Path) -> dict[str, Any] | None:
    """What a copy made by `prepare` says about itself; None for any other folder."""
    try:
        data = parse_json((repo / _FACTS).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def why_no_cpu(record: Record, repo: Path) -> str:
    """Why this generator cannot run on a CPU from `repo`, and what to do; empty when it can."""
    if not record.gpu or (record.cpu_when_prepared and read_prepared(repo) == prepared_facts(record)):
        return ""
    instead = (
        f", or run it from the copy that `lipsync-eval baselines prepare {record.name}` makes"
        if record.cpu_when_prepared
        else ""
    )
    return f'its code cannot run without CUDA: set device = "cuda" under [{record.name}] in baselines.toml{instead}'


def head(repo: Path) -> str | None:
    """The commit that a checkout is at; None when it is no checkout of its own."""
    if not (repo / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(repo), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
