"""`--threads`: how many threads each measuring process has."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import pytest
import torch

from lipsync_eval import Settings, score
from lipsync_eval.cli import run as cli
from lipsync_eval.demo import make_demo
from lipsync_eval.engine.threads import usual, variables, within
from lipsync_eval.engine.tools import MeasuringTools, open_tools
from lipsync_eval.engine.workers import do_all
from lipsync_eval.errors import UsageError


@pytest.mark.parametrize("threads", [1, 3])
def test_a_worker_has_the_threads_that_it_is_told(threads: int) -> None:
    (_, found), *_ = do_all(
        "support.thread_counts:counting", (), [0], 1, lambda *said: None, lambda: variables(threads)
    )
    assert (found["opencv"], found["openmp"]) == (threads, threads)
    assert found["torch"] in (threads, min(threads, os.cpu_count() or 1))  # it takes no more than there are cores
    if threads == 1:
        assert found["begun"] == 0, "a library has started threads of its own"


def tools(metric: str, **how: str) -> MeasuringTools:
    return open_tools(Settings(cache_dir=None, device="cpu", **how), (metric,))


def test_the_number_where_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("lipsync_eval.engine.threads.free_cores", lambda: 8)
    assert usual(None) == usual(None, tools("psnr")) == usual(None, tools("lmd"), 2) == 1
    assert [usual(None, tools("fid"), workers) for workers in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert usual(None, tools("lpips")) == 8
    assert usual(5, tools("fid"), 4) == usual(5, tools("psnr")) == usual(5) == 5


@pytest.mark.parametrize(("text", "expected"), [("3", 3), ("4,2", 4), ("0", 8), ("many", 8), ("", 8), ("-2", 8)])
def test_a_number_in_the_environment_is_the_users(text: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipsync_eval.engine.threads.free_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert usual(None, tools("fid")) == expected and usual(2, tools("fid")) == 2


def test_this_process_gets_its_own_threads_back() -> None:
    before = cv2.getNumThreads(), torch.get_num_threads()
    with pytest.raises(UsageError), within(2):
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (2, 2)
        raise UsageError("a run that ends early")
    assert (cv2.getNumThreads(), torch.get_num_threads()) == before
    with within(None):
        assert (cv2.getNumThreads(), torch.get_num_threads()) == before


def test_threads_stand_in_the_result_and_move_no_byte_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    make_demo(tmp_path / "demo")
    sides = [str(tmp_path / "demo" / side) for side in ("gen", "gt")]
    line = ["score", *sides, "--metrics", "psnr,ssim,ms_ssim", "--protocol", "raw", "--no-cache", "--quiet"]
    found = {}
    for name, more in (("plain", []), ("three", ["--threads", "3"]), ("two", ["--workers", "2"])):
        out = tmp_path / name
        assert cli([*line, "--out", str(out), *more]) in (0, 3)
        data = json.loads((out / "results.json").read_text("utf-8"))
        found[name] = data["environment"]["threads"]
        assert (out / "clips.csv").read_bytes() == (tmp_path / "plain" / "clips.csv").read_bytes()
    assert found["plain"] in (1, torch.get_num_threads()) and found["three"] == 3 and found["two"] == 1
    run = score(*sides, metrics="psnr", settings=Settings(protocol="raw", cache_dir=None), threads=2)
    assert run.environment["threads"] == 2
    assert cli([*line, "--out", str(tmp_path / "none"), "--threads", "0"]) == 2
    assert "--threads" in capsys.readouterr().err
