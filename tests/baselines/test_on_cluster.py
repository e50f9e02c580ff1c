"""Generators on a Dask cluster: the same videos, states and tables as on one machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.generators import runs_of, toy_folder, toys_alive

from lipsync_eval.errors import UsageError

pytest.importorskip("distributed", reason="Dask is not installed (the extra `cluster`)")
pytestmark = pytest.mark.filterwarnings("default")  # Dask's own

ENTRY = [sys.executable, "-P", "-m", "lipsync_eval"]
LOCAL = ("--cluster", "local:2")
KILLER = """
import os, signal
parent = open(f"/proc/{os.getppid()}/stat").read().rpartition(")")[2].split()[1]
os.kill(int(parent), signal.SIGKILL)
"""


def line(paths: dict[str, Path], *words: str) -> subprocess.CompletedProcess[str]:
    shared = ("--data", str(paths["data"]), "--config", str(paths["config"]))
    return subprocess.run([*ENTRY, *words, *shared], capture_output=True, text=True)


def made(folder: Path) -> dict[str, bytes]:
    """Videos, audio files and states (without the time that they took)."""
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file() and ".logs" not in p.parts}
    states = {n: json.loads(p.read_text()) | {"seconds": 0} for n, p in found.items() if p.suffix == ".json"}
    return {n: str(states[n]).encode() if n in states else p.read_bytes() for n, p in found.items()}


def test_as_on_one_machine(tmp_path: Path) -> None:
    paths = toy_folder(tmp_path, {"good": {}, "silent": {}, "only_a": {}, "blur": {}}, names=("a", "b", "c"))
    run = ("baselines", "run", "good", "silent", "only_a", "--enhance", "blur")
    here = line(paths, *run, "--out", str(tmp_path / "here"))
    ran = sorted(runs_of(paths["side"]))
    paths["side"].unlink()
    there = line(paths, *run, "--out", str(tmp_path / "there"), *LOCAL)
    assert here.returncode == there.returncode == 3, there.stderr
    assert sorted(runs_of(paths["side"])) == ran and toys_alive(paths["side"]) == []
    assert made(tmp_path / "here") == made(tmp_path / "there")
    assert "good: a: done" in there.stderr and "14 of 16 videos" in there.stdout.replace("there are", "")
    again = line(paths, *run, "--out", str(tmp_path / "there"))
    assert again.returncode == 3 and sorted(runs_of(paths["side"])) == ran, (
        "what is done is not run again, here or there"
    )


def test_compare_on_one_cluster(tmp_path: Path) -> None:
    paths = toy_folder(tmp_path, {"good": {}, "blur": {}}, names=("a", "b"))
    how = (
        "compare",
        "--methods",
        "good,blur",
        "--metrics",
        "psnr,ssim",
        "--protocol",
        "raw",
        "--no-cache",
        "--no-report",
    )
    here = line(paths, *how, "--out", str(tmp_path / "here"))
    there = line(paths, *how, "--out", str(tmp_path / "there"), *LOCAL)
    assert here.returncode == there.returncode == 0, there.stderr
    assert here.stdout == there.stdout
    for name in ("good", "blur"):
        one, two = (json.loads((tmp_path / w / "runs" / name / "results.json").read_text()) for w in ("here", "there"))
        assert one["scores"] == two["scores"] and one["data"]["digest"] == two["data"]["digest"]


def test_a_clip_that_ends_its_process(tmp_path: Path) -> None:
    paths = toy_folder(tmp_path, {"good": {}, "killer": {}})
    (tmp_path / "killer.py").write_text(KILLER)
    config = paths["config"].read_text()
    paths["config"].write_text(config.replace('"toy.py", "{job}", "killer"', '"killer.py", "{job}", "killer"'))
    done = line(paths, "baselines", "run", "killer", "good", "--out", str(tmp_path / "gen"), *LOCAL)
    assert done.returncode == 3, done.stderr
    assert "failed: killer: a: the process that ran this clip on a worker ended (SIGKILL" in done.stderr
    assert (tmp_path / "gen" / "good" / "a.mp4").is_file() and not list((tmp_path / "gen" / ".jobs").glob("shared-*"))


def test_a_disk_that_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker looks for a file that the command made in OUT; the command looks for what a worker says it wrote."""
    from lipsync_eval.baselines import on_cluster
    from lipsync_eval.baselines.runner import Asked, GeneratorOutcome
    from lipsync_eval.engine.cluster import remote
    from lipsync_eval.version import __version__

    monkeypatch.setattr(on_cluster, "_LATE", 0.0)
    outcome = GeneratorOutcome("a", "good", "k", True, "", (), 1.0, 1)
    with pytest.raises(UsageError, match="must lie on a disk that all workers share"):
        on_cluster._check_shared(Asked(tmp_path, "first", 1, False), outcome)
    monkeypatch.setattr(remote, "_LOOKS", 1)
    work = remote.Work("r", __version__, "m:f", (), "cpu", "/")
    with pytest.raises(UsageError, match=r"does not see .*shared-1.*outputs of generators"):
        remote.do(work, None, [(str(tmp_path / ".jobs" / "shared-1"), 3)])


def test_what_is_wrong_is_said_before_a_cluster_is_started(tmp_path: Path) -> None:
    paths = toy_folder(tmp_path, {"good": {}})
    both = line(paths, "baselines", "run", "good", "--out", str(tmp_path / "gen"), *LOCAL, "--scheduler", "tcp://h:1")
    assert both.returncode == 2 and "give one of them" in both.stderr
    unknown = line(paths, "baselines", "run", "nobody", "--out", str(tmp_path / "gen"), "--scheduler", "tcp://h:1")
    assert unknown.returncode == 2 and "nobody" in unknown.stderr and "scheduler" not in unknown.stderr
