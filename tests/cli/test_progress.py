"""What a run says while it works: lines for a log, a log file, where time went."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clips import pair_folders

from lipsync_eval import logs
from lipsync_eval.cli import run as cli
from lipsync_eval.cli.tally import Tally, duration
from lipsync_eval.progress import SPENT


def clip(tally: Tally, name: str, **spent: float) -> bool:
    tally.event(name, "decode", 0.0)
    tally.event(name, "metrics", 0.5)
    for part, seconds in spent.items():
        tally.event(name, SPENT + part, seconds)
    return tally.event(name, "done", 1.0)


def test_speed_time_left_and_slowest_part() -> None:
    tally = Tally(100.0, every=2)
    tally.event("", "total", 6)
    assert not clip(tally, "a", psnr=3.0, lmd=1.0)
    assert clip(tally, "b", psnr=1.0, lmd=11.0)
    assert tally.line(130.0) == "2/6 clips, 4 clips/min, about 60 s left, slowest: lmd 75 %"
    for name in "cde":
        clip(tally, name)
    assert clip(tally, "f"), "the last clip has a line whatever N is"
    assert tally.line(160.0) == "6/6 clips in 60 s, 6 clips/min, slowest: lmd 75 %"
    lines = tally.profile(160.0).splitlines()
    assert [line.split() for line in lines[2:4]] == [["12.0", "75%", "2.00", "lmd"], ["4.0", "25%", "0.67", "psnr"]]


def test_clips_of_an_earlier_call_do_not_count_as_speed() -> None:
    tally = Tally(0.0)
    tally.event("", "total", 4)
    for name in ("a", "b"):
        tally.event(name, "done", 1.0)
    assert tally.speed(10.0) is None
    clip(tally, "c")
    assert tally.line(30.0) == "3/4 clips, 2 of them earlier, 2 clips/min, about 30 s left"


@pytest.mark.parametrize(("clips", "step"), [(1, 1), (50, 1), (51, 2), (200, 4), (10_000, 200)])
def test_a_run_of_any_length_has_about_50_lines(clips: int, step: int) -> None:
    tally = Tally(0.0)
    tally.event("", "total", clips)
    lines = sum(clip(tally, str(i)) for i in range(clips))
    assert tally.step == step
    assert lines <= 51


def test_durations() -> None:
    assert [duration(s) for s in (0, 45.4, 100, 3600, 12_000)] == ["0 s", "45 s", "2 min", "60 min", "3 h 20 min"]


def started(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "lipsync_eval", *more]
    return subprocess.run(line, capture_output=True, text=True, cwd=folder, env=dict(os.environ))


def test_a_log_keeps_lines_and_the_file_keeps_everything(tmp_path: Path) -> None:
    pair_folders(tmp_path, ("a", "b", "c"), n=5)
    (tmp_path / "gen" / "b.mkv").write_bytes(b"no video")
    line = ["score", "gen", "gt", "--metrics", "psnr", "--protocol", "raw", "--no-cache", "--out", "r"]
    done = started(tmp_path, *line, "--profile", "--log-file", "logs/run.log", "--progress-every", "2")
    assert done.returncode == 3
    told = [x for x in done.stderr.splitlines() if re.match(r"\d+/3 clips", x)]
    assert [x.split()[0] for x in told] == ["2/3", "3/3"]
    assert all("clips/min" in x and "\r" not in x and "\x1b" not in x for x in told)
    assert "where time went" in done.stderr and re.search(r"\d+%\s+\d+\.\d\d  psnr", done.stderr)
    text = (tmp_path / "logs" / "run.log").read_text("utf-8")
    for word in (
        "lipsync-eval score gen gt",
        "3/3 clips in",
        "where time went",
        "failed: b: decode",
        "results: r/results.json",
    ):
        assert word in text, word
    assert "where time went" not in done.stdout


def test_messages_of_worker_processes_are_in_the_file(tmp_path: Path) -> None:
    pair_folders(tmp_path, ("a", "b"), n=5)
    line = ["--log-level", "debug", "--log-file", "run.log", "score", "gen", "gt", "--metrics", "psnr", "--no-cache"]
    assert started(tmp_path, *line, "--protocol", "raw", "--workers", "2").returncode == 0
    text = (tmp_path / "run.log").read_text("utf-8")
    measured = re.findall(r"DEBUG \[(\d+)\] measured clip '(\w)'", text)
    own = re.findall(r"INFO \[(\d+)\] lipsync-eval ", text)
    assert sorted(clip for _, clip in measured) == ["a", "b"]
    assert len(own) == 1 and own[0] not in {process for process, _ in measured}, "workers write for themselves"


@pytest.fixture
def _no_handlers_left() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logs.configure()
    logs.reset()
    logging.getLogger().setLevel(level)


@pytest.mark.usefixtures("_no_handlers_left")
def test_a_level_and_a_file_for_any_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["--log-file", str(tmp_path / "x.log"), "table", str(tmp_path / "nothing")]) == 2
    assert "ERROR" in (tmp_path / "x.log").read_text() and "nothing" in (tmp_path / "x.log").read_text()
    assert capsys.readouterr().err.count("nothing") == 1, "the terminal hears it once"
    (tmp_path / "folder").mkdir()
    assert cli(["--log-file", str(tmp_path / "x.log" / "y.log"), "list", "metrics"]) == 2
    assert "--log-file" in capsys.readouterr().err
    assert cli(["--log-level", "loud", "list", "metrics"]) == 2
