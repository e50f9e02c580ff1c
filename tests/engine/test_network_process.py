"""Networks in a process of their own: the same answers, calls together, and what happens when it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Pipe
from pathlib import Path

import numpy as np
import pytest
from support.toy_network import toy

from lipsync_eval.engine.network_process import NetworkProcesses, _Asked, alike, answer
from lipsync_eval.engine.workers import Death, do_all
from lipsync_eval.errors import InputError
from lipsync_eval.networks import SHARED

MAKER = "support.toy_network:toy"


@pytest.fixture
def shared() -> Iterator[NetworkProcesses]:
    found = NetworkProcesses([{}])
    yield found
    found.close()


def rows(n: int, start: float = 0.0) -> np.ndarray:
    return np.arange(start, start + 3 * n, dtype=np.float32).reshape(n, 3)


def do(shared: NetworkProcesses, jobs: list, workers: int = 2, factor: float = 2.0) -> list:
    found = do_all("support.toy_network:using", (factor,), jobs, workers, lambda *said: None, env=shared.environment)
    return [(job, result) for job, result in found]


def test_answers_are_those_of_the_own_process(shared: NetworkProcesses) -> None:
    jobs = [("scale", (rows(n, n),), (("most", 100),)) for n in range(1, 9)]
    for (_, (array,), _), (_, found) in do(shared, jobs):
        np.testing.assert_array_equal(found, toy(2.0).scale(array, 100))


def test_all_measuring_processes_share_one(shared: NetworkProcesses) -> None:
    found = [result for _, result in do(shared, [("process", (), ())] * 6)]
    homes = {home for _, home in found}
    assert len(homes) == 1 and os.getpid() not in homes
    assert homes.isdisjoint(measuring for measuring, _ in found)


def test_calls_that_wait_are_computed_together() -> None:
    asked = []
    ends = []
    for n in (2, 3, 4):
        here, there = Pipe()
        ends.append(here)
        asked.append(_Asked(((MAKER, (2.0,)), "batch_size", (rows(n, n),), ()), there))
    asked.append(_Asked(((MAKER, (2.0,)), "total", (rows(2),), ()), there))
    asked.append(_Asked(((MAKER, (3.0,)), "batch_size", (rows(2),), ()), there))
    chosen = alike(asked)
    assert chosen == asked[:3]
    answer(chosen)
    for n, end in zip((2, 3, 4), ends, strict=True):
        kind, (same, size) = end.recv()
        assert kind == "done"
        np.testing.assert_array_equal(same, rows(n, n))
        assert size.tolist() == [9] * n
    assert alike(asked[3:]) == asked[3:4]


def test_a_batch_that_fails_is_tried_call_by_call() -> None:
    pairs = [Pipe() for _ in range(2)]
    asked = [
        _Asked(((MAKER, (2.0,)), "scale", (rows(n),), (("most", 3),)), there) for n, (_, there) in zip((3, 1), pairs)
    ]
    assert alike(asked) == asked
    answer(asked)
    for n, (here, _) in zip((3, 1), pairs):
        kind, found = here.recv()
        assert kind == "done" and len(found) == n


def test_errors_come_back_as_they_are(shared: NetworkProcesses) -> None:
    with pytest.raises(InputError, match="5 rows, 3 allowed"):
        do(shared, [("scale", (rows(5),), (("most", 3),))])
    with pytest.raises(InputError, match="no network of this kind"):
        do(shared, [("scale", (rows(1),), (("most", 3),))], factor=-1.0)


def test_when_it_ends_the_clip_is_lost_and_both_start_again(shared: NetworkProcesses) -> None:
    jobs = [("process", (), ()), ("end", (), ()), ("process", (), ())]
    found = do(shared, jobs, workers=1)
    assert isinstance(found[1][1], Death)
    (_, before), (_, after) = found[0][1], found[2][1]
    assert before != after


def test_it_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    code = (
        "from lipsync_eval.engine.network_process import NetworkProcesses\n"
        "from lipsync_eval.networks import SHARED\n"
        "p = NetworkProcesses([{}]); print(p.environment()[SHARED].partition(':')[2], p._running[0].process.pid, flush=True)\n"
        "import sys; sys.stdin.read(); p.close()\n"
    )
    for kill in (False, True):
        script = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)},
        )  # fmt: skip
        address, pid = script.stdout.readline().split()
        assert Path(address).parent.stat().st_mode & 0o077 == 0
        if kill:
            script.kill()
        script.communicate()
        deadline = time.monotonic() + 30
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not Path(f"/proc/{pid}").exists()
        assert kill or not Path(address).parent.exists()


def test_a_stranger_gets_no_answer(shared: NetworkProcesses) -> None:
    from multiprocessing import AuthenticationError
    from multiprocessing.connection import Client

    address = shared.environment()[SHARED].partition(":")[2]
    with pytest.raises((AuthenticationError, OSError, EOFError)):
        Client(address, family="AF_UNIX", authkey=b"x" * 32).recv()
    assert do(shared, [("total", (rows(2),), ())])[0][1][1] == rows(2).sum()
