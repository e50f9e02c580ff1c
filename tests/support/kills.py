"""Runs that are killed at random, and many that start at once: what is left must be finished by --resume, equal to the byte."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_eval.media import write_video

SCRIPT = str(Path(sys.executable).parent / "lipsync-eval")
KINDS = ("worker", "parent", "group", "late")
"""What is killed, and when: `late` is the parent when nearly all clips are there, or after that."""


def make_clips(root: Path, n: int, methods: Sequence[str] = ("gen",)) -> Path:
    """root/gt and root/METHOD/videos with n clips of 3 frames each; the methods differ."""
    for i in range(n):
        base = np.random.default_rng(i).integers(0, 200, (3, 32, 32, 3), np.uint8)
        for k, side in enumerate(("gt", *(f"{m}/videos" for m in methods))):
            (root / side).mkdir(parents=True, exist_ok=True)
            write_video(root / side / f"c{i:03d}.mkv", base + np.uint8(4 * k), codec="lossless")
    return root


def command(root: Path, out: Path, *more: str, method: str = "gen") -> list[str]:
    """The command line of a run over such clips."""
    line = [
        SCRIPT,
        "score",
        str(root / method / "videos"),
        str(root / "gt"),
        "--protocol",
        "raw",
        "--metrics",
        "psnr,ssim",
    ]
    return [*line, "--no-cache", "--quiet", "--out", str(out), *more]


@dataclass
class Trial:
    """One killed run."""

    kind: str
    code: int
    """How the killed command ended."""
    kept: int
    """Clips in the journal afterwards; -1 where the journal was gone."""
    resumes: int
    problem: str
    """'' when all is as it should be."""


def killed(root: Path, out: Path, kind: str, seconds: float, workers: int, whole: Path, dice: random.Random) -> Trial:
    """Start a run, kill it within `seconds`, finish it with --resume, and compare it with the run `whole`."""
    process = subprocess.Popen(
        command(root, out, "--workers", str(workers)), start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    journal = out / "journal"
    total = len(list((root / "gt").iterdir()))
    if kind == "late":
        while process.poll() is None and _kept(journal) < total - 3 and not (out / "results.json").exists():
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 0.3))
    else:
        time.sleep(dice.uniform(0, seconds))
    if kind == "worker":
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        if children:
            _kill(int(dice.choice(children)))
    elif kind == "group":
        _kill(-process.pid)
    else:
        _kill(process.pid)
    error = process.communicate()[1]
    kept = _kept(journal) if journal.exists() else -1
    problem, resumes = "", 0
    if not (out / "results.json").exists() or journal.exists() or process.returncode != 0:
        resumes = 1
        again = subprocess.run(
            command(root, out, "--workers", str(workers), "--resume"), capture_output=True, text=True
        )
        if again.returncode != 0:
            problem = f"--resume ended with {again.returncode}: {again.stderr}"
    if kind == "worker" and process.returncode != 0:
        problem = problem or f"a killed worker ended the run with {process.returncode}: {error}"
    return Trial(kind, process.returncode, kept, resumes, problem or difference(out, whole))


def difference(out: Path, whole: Path) -> str:
    """What two finished runs differ in; '' for nothing."""
    names = sorted(p.name for p in out.iterdir())
    if names != ["clips.csv", "frames.npz", "results.json"]:
        return f"the folder holds {names}"
    for name in ("clips.csv", "frames.npz"):
        if (out / name).read_bytes() != (whole / name).read_bytes():
            return f"{name} differs"
    mine, theirs = (json.loads((folder / "results.json").read_text("utf-8")) for folder in (out, whole))
    return next((f"{key} differ" for key in ("scores", "clips", "failures", "data") if mine[key] != theirs[key]), "")


def at_once(root: Path, out: Path, methods: Sequence[str], *more: str) -> tuple[list[int], dict[str, Any], str]:
    """Start one run a method into one folder at the same time; gives exit codes, results.json and all error texts."""
    started = [
        subprocess.Popen(
            command(root, out, *more, method=m), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        for m in methods
    ]
    said = "".join(process.communicate()[1] for process in started)
    return [process.returncode for process in started], json.loads((out / "results.json").read_text("utf-8")), said


def _kept(journal: Path) -> int:
    return len(list(journal.glob("0*.json")))


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(-pid, signal.SIGKILL) if pid < 0 else os.kill(pid, signal.SIGKILL)


def killed_shards(root: Path, out: Path, seconds: float, whole: Path, dice: random.Random, shards: int = 3) -> Trial:
    """Measure all shards into one folder at once and kill one, finish it; merge, kill that too, and merge again.

    Compares with the run `whole`, which was never divided.
    """
    lines = [command(root, out, "--shard", f"{k}/{shards}") for k in range(1, shards + 1)]
    started = [subprocess.Popen(line, start_new_session=True, stderr=subprocess.PIPE, text=True) for line in lines]
    time.sleep(dice.uniform(0, seconds))
    _kill(-dice.choice(started).pid)
    told = [(process.communicate()[1], process.returncode) for process in started]
    problem = next(
        (f"a shard ended with {code}: {text}" for text, code in told if code not in (0, -signal.SIGKILL)), ""
    )
    merge = [SCRIPT, "merge", str(out), "--quiet"]
    for line, (_, code) in zip(lines, told, strict=True):
        if code and (again := subprocess.run(line, capture_output=True, text=True)).returncode:
            problem = problem or f"the killed shard ended with {again.returncode}: {again.stderr}"
    process = subprocess.Popen(merge, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (out / ".lock").exists():
        time.sleep(0.001)
    time.sleep(dice.uniform(0, 0.15))
    _kill(-process.pid)
    code = process.wait()
    again = subprocess.run(merge, capture_output=True, text=True)
    if again.returncode:
        problem = problem or f"the second merge ended with {again.returncode}: {again.stderr}"
    return Trial("shards", code, -1, int(code != 0), problem or difference(out, whole))
