"""A clip that ends the process which measures it is a failure row; what fails after the measuring loses no clip."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import plugin
from support.clips import write
from support.videos import stamped

SCRIPT = str(Path(sys.executable).parent / "lipsync-eval")


def clips(root: Path, names: tuple[str, ...]) -> tuple[str, str]:
    for side, shift in (("gt", 0), ("gen", 1)):
        for name in names:
            write(root / side / f"{name}.mkv", [np.roll(stamped(i), shift, 1) for i in range(4)])
    return str(root / "gen"), str(root / "gt")


def run(root: Path, *more: str, metrics: str = "psnr,odd") -> tuple[int, str, dict[str, Any]]:
    line = [SCRIPT, "score", str(root / "gen"), str(root / "gt"), "--protocol", "raw", "--metrics", metrics]
    done = subprocess.run(
        [*line, "--out", str(root / "run"), "--no-cache", *more], capture_output=True, text=True, env=plugin.install(root / "site")
    )  # fmt: skip
    assert "Traceback" not in done.stderr or "odd_metric.py" in done.stderr, done.stderr
    return done.returncode, done.stderr, json.loads((root / "run" / "results.json").read_text("utf-8"))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_clip_that_kills_its_process_is_a_failure_row(workers: str, tmp_path: Path) -> None:
    names = ("a", "exit", "kill", "once", "segv", "z")
    clips(tmp_path, names)
    code, said, data = run(tmp_path, "--workers", workers)
    assert code == 3, said
    values = {c["id"]: c["values"] for c in data["clips"]}
    assert list(values) == list(names), "every clip asked for is there"
    for name in ("a", "once", "z"):
        assert values[name]["psnr"] is not None and values[name]["odd"] == 4.0, (
            "one retry by itself is enough for 'once'"
        )
    failed = {f["id"]: f for f in data["failures"]}
    assert set(failed) == {"exit", "kill", "segv"}
    for name, how in (("exit", "exit code 0"), ("kill", "SIGKILL"), ("segv", "SIGSEGV")):
        row = failed[name]
        assert (row["metric"], row["error"], row["stage"]) == (None, "WorkerDied", "metric") and how in row["message"]
        assert values[name] == {"psnr": None, "odd": None}
    assert {s["metric"]: s["n_scored"] for s in data["scores"]} == {"psnr": 3, "odd": 3}
    assert "tried once more" in said and not (tmp_path / "run" / "journal").exists()


def test_workers_do_not_move_the_failure_rows_or_the_digests(tmp_path: Path) -> None:
    clips(tmp_path, ("a", "segv"))
    found = []
    for workers in ("1", "2"):
        _, _, data = run(tmp_path, "--workers", workers, "--overwrite")
        found.append({key: data[key] for key in ("scores", "clips", "failures", "data")})
    assert found[0] == found[1]
    assert found[0]["data"]["gt_digest"], "runs are compared by the real videos, also by those whose pair failed"


def test_called_from_python_the_run_goes_on_after_the_crash(tmp_path: Path) -> None:
    """With one worker a clip is measured in the calling process, and takes it away: --resume knows which clip it was."""
    gen, gt = clips(tmp_path, ("a", "kill", "z"))
    code = f"from lipsync_eval import Settings, score; score({gen!r}, {gt!r}, metrics='odd', settings=Settings(protocol='raw', cache_dir=None), out={str(tmp_path / 'run')!r}, resume=True)"
    env = plugin.install(tmp_path / "site")
    first = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
    assert first.returncode == -9 and not (tmp_path / "run" / "results.json").exists()
    second = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    data = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert [c["values"]["odd"] for c in data["clips"]] == [4.0, None, 4.0]
    assert [f["id"] for f in data["failures"]] == ["kill"]


@pytest.mark.parametrize("metric", ["pool_raises", "pool_nan"])
def test_a_metric_that_cannot_be_pooled_loses_nothing_else(metric: str, tmp_path: Path) -> None:
    clips(tmp_path, ("a", "b"))
    code, said, data = run(tmp_path, metrics=f"psnr,{metric}")
    assert code == 3, said
    scores = {s["metric"]: s for s in data["scores"]}
    assert scores["psnr"]["n_scored"] == 2 and scores["psnr"]["value"] is not None
    assert (
        scores[metric]["value"] is None and scores[metric]["n_scored"] == 0 and "n:0of2" in scores[metric]["signature"]
    )
    assert [(f["id"], f["metric"]) for f in data["failures"]] == [("a", metric), ("b", metric)]


def test_what_json_cannot_hold_fails_the_clip_and_not_the_run(tmp_path: Path) -> None:
    clips(tmp_path, ("a", "unwritable"))
    code, _, data = run(tmp_path)
    assert code == 3 and [c["values"]["psnr"] is None for c in data["clips"]] == [False, True]
    assert data["failures"][0]["id"] == "unwritable" and "int64" in data["failures"][0]["message"]
