"""Who owns a folder: one of many, never two, and a dead owner is known for dead on this machine and on others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lipsync_eval import locks
from lipsync_eval.errors import OutputError
from lipsync_eval.locks import Held, Lock, Owner
from lipsync_eval.results.store import run_folder


def written(path: Path, owner: Owner, silent: float = 0.0) -> None:
    """A lock of that owner, whose last sign of life is so many seconds ago."""
    path.write_text(json.dumps(asdict(owner)))
    os.utime(path, (time.time() - silent,) * 2)


def test_one_owner_until_it_is_released(tmp_path: Path) -> None:
    with Lock(tmp_path / ".lock") as first:
        with pytest.raises(Held, match=f"process {os.getpid()} on "):
            Lock(tmp_path / ".lock").acquire()
        first.check()
        with Lock(tmp_path / ".lock-2of8"):
            pass
    assert not list(tmp_path.iterdir())
    with Lock(tmp_path / ".lock"):
        pass


def test_a_dead_owner_on_this_machine_is_known_at_once(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    dead = replace(Owner.me(), pid=process.pid)
    written(tmp_path / ".lock", dead)
    time.sleep(0.2)  # a zombie until it is waited for
    with Lock(tmp_path / ".lock"):
        process.wait()


def test_a_process_number_that_was_given_away_again_is_no_owner(tmp_path: Path) -> None:
    written(tmp_path / ".lock", replace(Owner.me(), started="1"))
    with Lock(tmp_path / ".lock"):
        pass


@pytest.mark.parametrize(("silent", "gone"), [(5.0, False), (locks.STALE + 30, True)])
def test_an_owner_on_another_machine_is_judged_by_its_heartbeat(silent: float, gone: bool, tmp_path: Path) -> None:
    far = replace(Owner.me(), machine="another boot", host="node7", pid=1)
    written(tmp_path / ".lock", far, silent)
    if gone:
        with Lock(tmp_path / ".lock"):
            pass
    else:
        with pytest.raises(Held, match=r"node7, which gave a sign of life [456] s ago"):
            Lock(tmp_path / ".lock").acquire()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", json.dumps(asdict(replace(Owner.me(), token="../../x"))), '{"token": 3}', "\udcff", "[" * 100_000],
)
def test_a_damaged_lock_file_ages_like_any_other(text: str, tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Held):
        Lock(tmp_path / ".lock").acquire()
    os.utime(tmp_path / ".lock", (1, 1))
    with Lock(tmp_path / ".lock"):
        pass


def test_many_take_over_one_stale_lock_and_one_gets_it(tmp_path: Path) -> None:
    for _ in range(10):
        written(tmp_path / ".lock", replace(Owner.me(), machine="another boot"), locks.STALE + 30)
        got: list[Lock] = []

        def take(got: list[Lock] = got) -> None:
            lock = Lock(tmp_path / ".lock")
            try:
                lock.acquire()
            except Held:
                return
            got.append(lock)

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1
        got[0].release()
        assert not list(tmp_path.iterdir())


def test_an_owner_whose_lock_was_taken_over_stops(tmp_path: Path) -> None:
    with Lock(tmp_path / ".lock") as lock:
        written(tmp_path / ".lock", replace(Owner.me(), host="node7"))
        with pytest.raises(OutputError, match="by now"):
            lock.check()
    assert (tmp_path / ".lock").exists(), "the other's lock stays"


def test_a_lock_file_that_was_removed_by_hand_is_made_again(tmp_path: Path) -> None:
    with Lock(tmp_path / ".lock") as lock:
        (tmp_path / ".lock").unlink()
        lock.check()
        assert (tmp_path / ".lock").exists()


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network folders have none: an exclusive open takes their place."""

    def refuse(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    with Lock(tmp_path / ".lock"), pytest.raises(Held):
        Lock(tmp_path / ".lock").acquire()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_job_in_one_folder_is_refused_whatever_it_says(resume: bool, overwrite: bool, tmp_path: Path) -> None:
    with run_folder(tmp_path / "run", resume=False, overwrite=False):
        with (
            pytest.raises(OutputError, match="another job writes there: process"),
            run_folder(tmp_path / "run", resume=resume, overwrite=overwrite),
        ):
            pass
        with run_folder(tmp_path / "run", resume=False, overwrite=False, shard="2of8"):
            pass
