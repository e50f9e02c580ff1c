"""A kill at any moment leaves a run that --resume finishes, and two jobs never mix (`benchmarks/kill_runs.py` does it 100 times)."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest
from support.kills import KINDS, at_once, command, difference, killed, killed_shards, make_clips

from lipsync_eval.results.journal import Journal


@pytest.mark.slow
def test_random_kills(tmp_path: Path) -> None:
    root, dice = make_clips(tmp_path, 12), random.Random(7)
    began = time.monotonic()
    subprocess.run(command(root, root / "whole"), check=True, capture_output=True)
    seconds = time.monotonic() - began
    for i, kind in enumerate(KINDS * 2):
        trial = killed(root, root / f"run{i}", kind, seconds, 1 + i % 2, root / "whole", dice)
        assert not trial.problem, (kind, trial)


@pytest.mark.slow
def test_random_kills_of_a_shard_and_of_the_merge(tmp_path: Path) -> None:
    root, dice = make_clips(tmp_path, 12), random.Random(3)
    subprocess.run(command(root, root / "whole"), check=True, capture_output=True)
    for i in range(3):
        trial = killed_shards(root, root / f"run{i}", 1.5, root / "whole", dice)
        assert not trial.problem, trial


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--overwrite",)])
def test_many_at_once_into_one_folder(more: tuple[str, ...], tmp_path: Path) -> None:
    methods = ("A", "B", "C", "D")
    root = make_clips(tmp_path, 6, methods)
    codes, data, said = at_once(root, root / "out", methods, *more)
    assert set(codes) == {0, 2} if not more else set(codes) <= {0, 2} and 0 in codes, said
    assert len({Path(c["gen"]).parent for c in data["clips"]}) == 1, "clips of two methods in one results.json"
    assert data["data"]["gen"] == str(Path(data["clips"][0]["gen"]).parent)


@pytest.mark.parametrize("gone", ["plan", "plan and half", "nothing"])
def test_a_kill_while_the_journal_is_deleted(gone: str, tmp_path: Path) -> None:
    """results.json stands; whatever is left of the journal is cleared away, and the run is complete."""
    root, out = make_clips(tmp_path, 3), tmp_path / "out"
    subprocess.run(command(root, root / "whole"), check=True, capture_output=True)
    subprocess.run(command(root, out), check=True, capture_output=True)
    import json

    run = json.loads((out / "results.json").read_text("utf-8"))["run"]
    journal = Journal(out)
    journal.begin(run["plan"], afresh=True)
    (journal.folder / "plan.json").write_text(json.dumps({"run": run["id"], "plan": run["plan"]}))
    for place in range(3):
        (journal.folder / f"{place:06d}.json").write_text("{}")
    if gone != "nothing":
        (journal.folder / "plan.json").unlink()
    if gone == "plan and half":
        (journal.folder / "000001.json").unlink()
    (out / ".results.json.x1y2.tmp").write_text("half")
    done = subprocess.run(command(root, out, "--resume"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not difference(out, root / "whole")
