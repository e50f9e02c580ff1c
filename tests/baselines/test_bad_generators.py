"""Generators that misbehave: each is stopped or reported with its reason, the others finish, no process is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.generators import runs_of, toy_folder, toys_alive
from support.waiting import until

from lipsync_eval.cli import run
from lipsync_eval.locks import Lock

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc")


def _run(paths: dict[str, Path], *names: str, more: tuple[str, ...] = ()) -> int:
    return run(
        [
            "baselines",
            "run",
            *names,
            "--data",
            str(paths["data"]),
            "--out",
            str(paths["root"] / "gen"),
            "--config",
            str(paths["config"]),
            "--quiet",
            *more,
        ]
    )


def _outcome(root: Path, name: str, clip: str = "a") -> dict[str, object]:
    found: dict[str, object] = json.loads((root / "gen" / ".jobs" / name / f"{clip}.json").read_text())
    return found


@linux
def test_each_is_named_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    modes: dict[str, dict[str, object]] = {
        "crash": {},
        "segv": {},
        "nothing": {},
        "empty": {},
        "half": {},
        "cuda": {},
        "hang": {"timeout": 2},
        "memory": {"memory_gb": 0.3, "timeout": 60},
        "good": {},
    }
    paths = toy_folder(tmp_path, modes)
    assert _run(paths, *modes) == 3
    reasons = {
        "crash": "ZeroDivisionError",
        "segv": "killed by signal 11",
        "nothing": "ended well but wrote no output.mp4",
        "empty": "wrote no output.mp4",
        "half": "cannot be used",
        "cuda": "Found no NVIDIA driver",
        "hang": "stopped: time limit of 2 s",
        "memory": "stopped: memory limit of 0.3 GB",
    }
    for name, reason in reasons.items():
        found = _outcome(tmp_path, name)
        assert found["ok"] is False
        assert reason in str(found["message"]), name
        assert not list((tmp_path / "gen" / name).iterdir()), name
    assert _outcome(tmp_path, "good")["ok"] is True
    assert (tmp_path / "gen" / "good" / "a.mp4").exists()
    assert toys_alive(paths["side"]) == []
    out = capsys.readouterr()
    assert "1 of 9 videos are there" in out.out
    assert "failed: hang: a: stopped: time limit of 2 s" in out.err


@linux
def test_children_that_outlive_it_are_ended(tmp_path: Path) -> None:
    paths = toy_folder(tmp_path, {"forks": {}})
    assert _run(paths, "forks") == 0
    assert toys_alive(paths["side"]) == []
    assert "left 2 processes behind, which were ended" in _outcome(tmp_path, "forks")["notes"]


def test_odd_results_are_kept_and_named(tmp_path: Path) -> None:
    paths = toy_folder(tmp_path, {"fps30": {}, "silent": {}}, n=24)
    assert _run(paths, "fps30", "silent") == 0
    fps = " ".join(map(str, _outcome(tmp_path, "fps30")["notes"]))  # type: ignore[call-overload]
    assert "30" in fps
    assert "25 fps" in fps
    assert "result is silent: the driving speech lies beside it and is scored" in _outcome(tmp_path, "silent")["notes"]  # type: ignore[operator]
    assert (tmp_path / "gen" / "silent" / "a.wav").stat().st_size > 24 * 640 * 2
    assert not (tmp_path / "gen" / "fps30" / "a.wav").exists()


def test_a_log_of_100_mb_is_bounded(tmp_path: Path) -> None:
    from lipsync_eval.baselines.process import LOG_BYTES

    paths = toy_folder(tmp_path, {"flood": {}})
    assert _run(paths, "flood") == 0
    log = tmp_path / "gen" / ".logs" / "flood" / "a.log"
    assert LOG_BYTES / 2 < log.stat().st_size < LOG_BYTES * 1.3
    text = log.read_text()
    assert text.startswith("first words\n")
    assert "last words" in text
    assert "bytes left out" in text


def test_failed_clips_are_not_run_again_unless_asked(tmp_path: Path) -> None:
    paths = toy_folder(tmp_path, {"crash": {"retries": 1}})
    assert [_run(paths, "crash"), _run(paths, "crash")] == [3, 3]
    assert runs_of(paths["side"]) == ["crash a"] * 2
    assert _outcome(tmp_path, "crash")["attempts"] == 2
    _run(paths, "crash", more=("--again-failed",))
    assert len(runs_of(paths["side"])) == 4


def test_a_changed_script_is_run_again(tmp_path: Path) -> None:
    paths = toy_folder(tmp_path, {"good": {}})
    assert [_run(paths, "good"), _run(paths, "good")] == [0, 0]
    assert len(runs_of(paths["side"])) == 1
    script = tmp_path / "toy.py"
    script.write_text(script.read_text() + "\n# another checkpoint\n")
    assert _run(paths, "good") == 0
    assert len(runs_of(paths["side"])) == 2


@linux
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_runner_leaves_nothing(tmp_path: Path, sign: signal.Signals) -> None:
    paths = toy_folder(tmp_path, {"wait": {}})
    line = [
        sys.executable,
        "-P",
        "-m",
        "lipsync_eval",
        "baselines",
        "run",
        "wait",
        "--data",
        str(paths["data"]),
        "--out",
        str(tmp_path / "gen"),
        "--config",
        str(paths["config"]),
    ]
    runner = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waiting = Path(f"{paths['side']}.waiting")
    until(lambda: waiting.exists() and waiting.read_text() != "", "the waiting generator")
    assert len(toys_alive(paths["side"])) >= 2
    os.kill(runner.pid, sign)
    code = runner.wait()
    assert code == (130 if sign == signal.SIGINT else -9)
    until(lambda: toys_alive(paths["side"]) == [], "the end of the generators")
    work = Path(waiting.read_text())
    until(lambda: not work.exists(), "the end of the temporary folder")


def test_two_jobs_of_one_generator_do_not_share_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = toy_folder(tmp_path, {"good": {}})
    state = tmp_path / "gen" / ".jobs" / "good"
    state.mkdir(parents=True)
    with Lock(state / ".lock"):
        assert _run(paths, "good") == 2
    assert "another job runs good there" in capsys.readouterr().err and not list(state.glob("*.json"))
    assert _run(paths, "good") == 0 and not (state / ".lock").exists()


def test_a_temporary_folder_with_a_dot_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    paths = toy_folder(tmp_path, {"good": {}})
    odd = tmp_path / "a.b"
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    assert _run(paths, "good") == 3
    assert "set TMPDIR" in str(_outcome(tmp_path, "good")["message"])


def test_the_log_can_be_read_while_the_generator_runs(tmp_path: Path) -> None:
    import threading

    from lipsync_eval.baselines.process import _Log

    read, write = os.pipe()
    log = _Log(tmp_path / "x.log")
    with os.fdopen(read, "rb") as stream:
        reader = threading.Thread(target=log.read, args=(stream,))
        reader.start()
        os.write(write, b"frame 1\n")
        until((tmp_path / "x.log").read_bytes, "the first line of the log")
        seen = (tmp_path / "x.log").read_bytes()
        os.close(write)
        reader.join()
    log.close()
    assert seen == b"frame 1\n"
