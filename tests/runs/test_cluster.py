"""A run by Dask: equal to the run on one machine, whatever happens to workers and scheduler."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import plugin
from support.dask_processes import Dask, until
from support.kills import SCRIPT, command, make_clips

from lipsync_eval.media import open_clip, write_video

distributed = pytest.importorskip("distributed", reason="Dask is not installed (the extra `cluster`)")
pytestmark = pytest.mark.filterwarnings("default")  # Dask's own

MAIN = [sys.executable, "-m", "lipsync_eval"]


def equal(run: Path, whole: Path) -> None:
    one, other = (json.loads((folder / "results.json").read_text("utf-8")) for folder in (run, whole))
    for key in ("scores", "clips", "failures", "data"):
        assert one[key] == other[key], key
    for name in ("clips.csv", "frames.npz"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name


def here(line: list[str]) -> list[str]:
    """The command under this Python, which has Dask."""
    return [*MAIN, *line[1:]] if line[0] == SCRIPT else line


@pytest.fixture
def dask() -> Iterator[Dask]:
    found = Dask()
    yield found
    found.end()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_clips(tmp_path_factory.mktemp("clips"), 40)
    (root / "gt" / "c007.mkv").unlink()
    (root / "gen" / "videos" / "c008.mkv").write_bytes(b"no video")
    subprocess.run(here(command(root, root / "runs" / "whole")), capture_output=True)
    return root


def test_a_local_cluster(clips: Path) -> None:
    out = clips / "runs" / "local"
    line = [part for part in here(command(clips, out, "--cluster", "local:2")) if part != "--quiet"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert "40/40 clips in" in done.stderr, "progress as on one machine"
    equal(out, clips / "runs" / "whole")


def test_a_short_clip_is_one_message_and_leaves_no_thread() -> None:
    """What it is doing and how long the parts took come back with the result; 60 clips need no more threads than one."""
    from lipsync_eval.engine.cluster import remote
    from lipsync_eval.engine.cluster.crew import do_all
    from lipsync_eval.engine.cluster.start import ClusterAsk, connected

    told: list[tuple[str, str, float]] = []
    threads: list[int] = []
    ask = ClusterAsk.parse(None, "local:2")
    assert ask is not None
    with connected(ask) as client:
        work = ("support.telling:telling", (), list(range(60)), lambda *said: told.append(said))
        found = []
        for job, result in do_all(client, *work, files=lambda job: [], device="cpu"):
            assert job == result and told[-2:] == [(str(job), "metrics", 0.0), (str(job), "spent: psnr", 0.5)]
            found.append(job)
            threads.append(threading.active_count())
        events = [len(said) for topic, said in client.get_events().items() if topic.startswith("lipsync-eval")]
        assert not any(remote._free.values()), "the measuring processes end with the run"
    assert sorted(found) == list(range(60))
    assert sum(events) <= 4 and 120 <= len(told) <= 124, "a process that takes long to start may tell at once"
    assert threads[-1] <= threads[0] + 8, "a timer a clip would be 60"


def test_a_worker_is_killed_and_one_joins_late(clips: Path, dask: Dask) -> None:
    out = clips / "runs" / "killed"
    first, _ = dask.worker(), dask.worker()
    process = subprocess.Popen(
        here(command(clips, out, "--scheduler", dask.address)), stderr=subprocess.PIPE, text=True
    )
    until(out, 4, process)
    first.kill()
    dask.worker()
    _, said = process.communicate(timeout=240)
    assert process.returncode == 3, said
    equal(out, clips / "runs" / "whole")


def test_the_scheduler_is_killed_and_started_again(clips: Path, dask: Dask) -> None:
    out = clips / "runs" / "scheduler"
    dask.worker()
    process = subprocess.Popen(
        here(command(clips, out, "--scheduler", dask.address)), stderr=subprocess.PIPE, text=True
    )
    until(out, 4, process)
    dask.scheduler.kill()
    dask.scheduler.wait()
    dask.start_scheduler()
    dask.worker()
    try:
        _, said = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 3, said
    equal(out, clips / "runs" / "whole")


def test_a_result_that_the_scheduler_did_not_hand_over_is_asked_for_again() -> None:
    """It dies between "done" and the result: no bug, the job is handed out again. What the work itself raised stays."""
    from distributed.comm import CommClosedError

    from lipsync_eval.engine.cluster.crew import _result

    class Gone:
        def __init__(self, status: str, error: Exception) -> None:
            self.status, self.error = status, error

        def result(self, timeout: float) -> None:
            raise self.error

    for error in (CommClosedError("reset by peer"), TimeoutError()):
        assert _result(Gone("finished", error)) is None
        with pytest.raises(type(error)):
            _result(Gone("error", error))


def test_the_client_is_killed_and_goes_on(clips: Path, dask: Dask) -> None:
    out = clips / "runs" / "client"
    dask.worker()
    process = subprocess.Popen(
        here(command(clips, out, "--scheduler", dask.address)), stderr=subprocess.PIPE, text=True
    )
    until(out, 4, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = subprocess.run(
        here(command(clips, out, "--scheduler", dask.address, "--resume")), capture_output=True, text=True
    )
    assert done.returncode == 3, done.stderr
    equal(out, clips / "runs" / "whole")


def test_clips_that_kill_their_process(tmp_path: Path) -> None:
    """They are failure rows, as with --workers, and the Dask workers live on."""
    for name in ("a", "exit", "once", "segv", "z"):
        for side in ("gen/videos", "gt"):
            make_clips(tmp_path / "x", 1)
            (tmp_path / side).mkdir(parents=True, exist_ok=True)
            source = tmp_path / "x" / side / "c000.mkv"
            (tmp_path / side / f"{name}.mkv").write_bytes(source.read_bytes())
    env = plugin.install(tmp_path / "site")
    results = []
    for how in (("--workers", "2"), ("--cluster", "local:2")):
        (tmp_path / "site" / "once").unlink(missing_ok=True)
        line = here(command(tmp_path, tmp_path / "runs" / how[0], *how))
        line[line.index("--metrics") + 1] = "psnr,odd"
        done = subprocess.run(line, capture_output=True, text=True, env=env)
        assert done.returncode == 3, done.stderr
        results.append(json.loads((tmp_path / "runs" / how[0] / "results.json").read_text("utf-8")))
    assert [f["id"] for f in results[0]["failures"]] == ["exit", "segv"]
    for key in ("scores", "clips", "failures"):
        assert results[0][key] == results[1][key]


def test_a_worker_that_does_not_see_the_files(clips: Path, dask: Dask, tmp_path: Path) -> None:
    """It ends the run: a worker without the disk must not make every clip a failure row."""
    from lipsync_eval.engine.cluster import remote
    from lipsync_eval.errors import UsageError
    from lipsync_eval.version import __version__

    work = remote.Work("r", __version__, "m:f", (), "cpu", "/")
    for size, word in ((3, "does not see"), (None, "sees another file")):
        path = tmp_path / "clip.mkv"
        if size is None:
            path.write_bytes(b"12345")
        with pytest.raises(UsageError, match=word), pytest.MonkeyPatch.context() as patch:
            patch.setattr(remote, "_LOOKS", 1)
            remote.do(work, None, [(str(path), 3)])
    with pytest.raises(UsageError, match="install one version"):
        remote.do(remote.Work("r", "0.0.0", "m:f", (), "cpu", "/"), None, [])


def test_no_scheduler_there(clips: Path) -> None:
    from lipsync_eval.engine.cluster.start import ClusterAsk, connected
    from lipsync_eval.errors import UsageError

    ask = ClusterAsk(scheduler="tcp://127.0.0.1:1")
    distributed_timeout = time.monotonic()
    with pytest.raises(UsageError, match="no scheduler answers there"), connected(ask):
        pass
    assert time.monotonic() - distributed_timeout < 60


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Short cuts of real clips and the run over them on one machine, with faces and a protocol's crops."""
    if not (data := os.environ.get("LIPSYNC_EVAL_TEST_DATA")):
        pytest.skip("LIPSYNC_EVAL_TEST_DATA is not set: there are no real clips")
    root = tmp_path_factory.mktemp("real")
    names = ("hdtf_menendez", "hdtf_katiehill_headmotion", "lrs3_ted_headmotion", "vrt_face1", "vrt_face2")
    found = {path.stem: path for path in sorted((Path(data) / "clips").rglob("*.mp4"))}
    for i, name in enumerate([n for n in names if n in found] * 2):
        frames = np.stack(list(open_clip(found[name]).frames(8 * i, 8 * i + 5 + i)))
        for side, moved in (("gen", np.roll(frames, 2, 2)), ("gt", frames)):
            (root / side).mkdir(exist_ok=True)
            write_video(root / side / f"{name}-{i}.mkv", moved, codec="lossless")
    line = [
        *MAIN,
        "score",
        str(root / "gen"),
        str(root / "gt"),
        "--metrics",
        "psnr,ssim,lmd",
        "--no-cache",
        "--quiet",
        "--out",
    ]
    done = subprocess.run([*line, str(root / "runs" / "whole")], capture_output=True, text=True)
    assert done.returncode == 0 and "lmd" in done.stdout, done.stderr
    return root, line


@pytest.mark.slow
def test_real_clips_on_eight_shards_of_which_three_are_killed(real: tuple[Path, list[str]]) -> None:
    root, line = real
    out, dice = root / "runs" / "shards", random.Random(11)
    killed = dice.sample(range(1, 9), 3)
    for number in dice.sample(range(1, 9), 8):
        process = subprocess.Popen([*line, str(out), "--shard", f"{number}/8"], stdout=subprocess.DEVNULL)
        if number in killed:
            time.sleep(dice.uniform(0.2, 3))
            process.kill()
        assert process.wait() in (0, -9)
    merge = [*MAIN, "merge", str(out)]
    first = subprocess.run(merge, capture_output=True, text=True)
    assert first.returncode in (0, 2), first.stderr
    if first.returncode == 2:
        assert all(f"{n}/8" not in first.stderr for n in {*range(1, 9)} - {*killed}), first.stderr
        for number in killed:
            subprocess.run([*line, str(out), "--shard", f"{number}/8"], check=True, capture_output=True)
        subprocess.run(merge, check=True, capture_output=True)
    equal(out, root / "runs" / "whole")


@pytest.mark.slow
def test_real_clips_with_a_worker_killed_and_one_that_joins_late(real: tuple[Path, list[str]], dask: Dask) -> None:
    root, line = real
    out = root / "runs" / "dask"
    first = dask.worker()
    process = subprocess.Popen([*line, str(out), "--scheduler", dask.address], stderr=subprocess.PIPE, text=True)
    until(out, 2, process)
    first.kill()
    first.wait()
    dask.worker()
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    equal(out, root / "runs" / "whole")
