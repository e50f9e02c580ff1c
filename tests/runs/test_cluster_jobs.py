"""What --scheduler, --cluster and --cluster-options mean, and what batch systems and Kubernetes would be given."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.kills import command, make_clips

from lipsync_eval.engine import gpus
from lipsync_eval.engine.cluster.start import QUEUES, ClusterAsk, connected, job_script, kubernetes_spec
from lipsync_eval.errors import ParseError, UsageError


def test_what_is_asked(tmp_path: Path) -> None:
    (tmp_path / "o.toml").write_text('workers = 16\nqueue = "gpu"\n')
    ask = ClusterAsk.parse(None, "slurm", tmp_path / "o.toml")
    assert ask == ClusterAsk(kind="slurm", workers=16, options={"queue": "gpu"})
    assert ClusterAsk.parse(None, "slurm:4", tmp_path / "o.toml") == ClusterAsk(
        kind="slurm", workers=4, options={"queue": "gpu"}
    )
    assert ClusterAsk.parse(None, "ssh:a, b") == ClusterAsk(kind="ssh", hosts=("a", "b"))
    assert ClusterAsk.parse("tcp://h:1", None) == ClusterAsk(scheduler="tcp://h:1")
    assert ClusterAsk.parse(None, None) is None and (ClusterAsk.parse(None, "local") or ClusterAsk()).workers


@pytest.mark.parametrize(
    ("scheduler", "cluster", "options", "word"),
    [
        ("tcp://h:1", "local:2", None, "give one of them"),
        (None, None, {"queue": "x"}, "give --cluster too"),
        ("tcp://h:1", None, {"queue": "x"}, "goes with --cluster"),
        (None, "slrm:2", None, "Did you mean"),
        (None, "slurm", None, "how many workers"),
        (None, "local:0", None, "how many workers"),
        (None, "local:x", None, "how many workers"),
        (None, "pbs", {"workers": "8"}, "how many workers"),
        (None, "ssh:", None, "expected the hosts"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(scheduler: Any, cluster: Any, options: Any, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        ClusterAsk.parse(scheduler, cluster, options)


def test_options_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "o.toml").write_text("workers =")
    for name in ("o.toml", "none.toml"):
        with pytest.raises(ParseError, match=r"--cluster-options .*cannot be read as TOML"):
            ClusterAsk.parse(None, "slurm", tmp_path / name)


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'lipsync-eval\[cluster\]'"), connected(ClusterAsk(kind="local")):
        pass


SCRIPTS = {
    "slurm": (
        "#SBATCH -p gpu",
        "#SBATCH --cpus-per-task=2",
        "#SBATCH --mem=4G",
        "#SBATCH -t 01:00:00",
        "#SBATCH --gres=gpu:1",
    ),
    "pbs": ("#PBS -q gpu", "#PBS -l select=1:ncpus=2:ngpus=1:mem=4gb", "#PBS -l walltime=01:00:00"),
    "lsf": ("#BSUB -q gpu", "#BSUB -n 2", "#BSUB -M 4000", "#BSUB -W 01:00", "#BSUB -gpu num=1"),
    "sge": ("#$ -q gpu", "#$ -l gpu=1", "#$ -l h_rt=01:00:00"),
}
"""What stands in a job for a queue, memory, time and one GPU."""
OPTIONS: dict[str, dict[str, Any]] = {
    "slurm": {"job_extra_directives": ["--gres=gpu:1"]},
    "pbs": {"resource_spec": "select=1:ncpus=2:ngpus=1:mem=4gb"},
    "lsf": {"job_extra_directives": ["-gpu num=1"], "walltime": "01:00", "use_stdin": True, "lsf_units": "mb"},
    "sge": {"resource_spec": "gpu=1"},
}
"""How docs/scale.md asks for them."""
STUB = """#!{python}
# A batch system of this machine: submits by starting the job's script, and keeps it; cancels by ending it.
import os, pathlib, shutil, signal, subprocess, sys
folder, name = pathlib.Path({folder!r}), pathlib.Path(sys.argv[0]).name
if name in ("scancel", "qdel", "bkill"):
    for word in sys.argv[1:]:
        if word.isdecimal():
            (folder / f"{{word}}.cancelled").touch()
            try:
                os.killpg(int(word), signal.SIGKILL)
            except ProcessLookupError:
                pass
    sys.exit()
text = pathlib.Path(sys.argv[-1]).read_text() if len(sys.argv) > 1 else sys.stdin.read()
quiet = dict(stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
job = subprocess.Popen(["/bin/bash"], start_new_session=True, text=True, **quiet)
(folder / f"{{job.pid}}.sh").write_text(text)
job.stdin.write(text)
job.stdin.close()
print("Submitted batch job", job.pid)
"""


@pytest.mark.parametrize("kind", QUEUES)
# dask-jobqueue's own cluster, refused while it is made, has no name yet: what warns of it cannot be passed between processes
@pytest.mark.filterwarnings("default", "ignore:unclosed cluster:ResourceWarning")
def test_job_scripts(kind: str) -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed (the extra `cluster`)")
    options = {
        "queue": "gpu", "memory": "4GB", "cores": 2, "interface": "lo",
        "walltime": "01:00:00", "scheduler_options": {"dashboard_address": ":0"}, **OPTIONS[kind],
    }  # fmt: skip
    script = job_script(ClusterAsk(kind=kind, workers=3, options=options))
    for line in SCRIPTS[kind]:
        assert line in script, script
    assert "dask_worker tcp://" in script and "--nthreads 2" in script
    with pytest.raises(UsageError, match="look at --cluster-options"):
        job_script(ClusterAsk(kind=kind, workers=3, options={**options, "no_such_option": 1}))
    gc.collect()  # here, where its warning is expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", QUEUES)
def test_a_run_on_a_batch_system(kind: str, tmp_path: Path) -> None:
    """The commands sbatch, qsub and bsub are stubs that start the script which they are given: two jobs, and all are ended."""
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed (the extra `cluster`)")
    root, stubs = make_clips(tmp_path / "clips", 3), tmp_path / "bin"
    stubs.mkdir()
    for name in ("sbatch", "scancel", "qsub", "qdel", "bsub", "bkill"):
        (stubs / name).write_text(STUB.format(python=sys.executable, folder=str(tmp_path)))
        (stubs / name).chmod(0o755)
    settings = {"queue": "gpu", "memory": "4GB", "interface": "lo", "walltime": "01:00:00", **OPTIONS[kind]}
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    (tmp_path / "o.toml").write_text("\n".join([*lines, '[scheduler_options]\ndashboard_address = ":0"\n']))
    more = ("--cluster", f"{kind}:2", "--cluster-options", str(tmp_path / "o.toml"))
    line = [sys.executable, "-m", "lipsync_eval", *command(root, tmp_path / "run", *more)[1:]]
    env = {**os.environ, "PATH": f"{stubs}:{os.environ['PATH']}"}
    done = subprocess.run(line, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=300)
    jobs = {p.stem for p in tmp_path.glob("*.sh")}
    for job in jobs - {p.stem for p in tmp_path.glob("*.cancelled")}:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(job), signal.SIGKILL)
    assert done.returncode == 0, done.stderr
    assert len(jobs) == 2 and {p.stem for p in tmp_path.glob("*.cancelled")} == jobs
    result = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert result["data"]["n_pairs"] == 3 and not result["failures"]


@pytest.mark.filterwarnings("default")
def test_the_kubernetes_resource() -> None:
    pytest.importorskip("dask_kubernetes", reason="dask-kubernetes is not installed")
    options: dict[str, Any] = {
        "image": "me/lipsync-eval:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}, "namespace": "us",
        "volume_claims": {"/data": "videos"}, "worker_command": ["dask-worker", "--nthreads", "1"],
    }  # fmt: skip
    spec = kubernetes_spec(ClusterAsk(kind="k8s", workers=5, options=options))
    assert spec["kind"] == "DaskCluster" and spec["spec"]["worker"]["replicas"] == 5
    container = spec["spec"]["worker"]["spec"]["containers"][0]
    assert container["image"] == "me/lipsync-eval:1" and container["resources"] == options["resources"]
    assert container["args"][:3] == ["dask-worker", "--nthreads", "1"]
    assert container["volumeMounts"] == [{"name": "claim-0", "mountPath": "/data"}]
    pod = spec["spec"]["worker"]["spec"]
    assert pod["volumes"] == [{"name": "claim-0", "persistentVolumeClaim": {"claimName": "videos"}}]
    assert "namespace" not in json.dumps(spec)
    with pytest.raises(UsageError, match="look at --cluster-options"):
        kubernetes_spec(ClusterAsk(kind="k8s", workers=5, options={"volume_claims": "videos"}))
    with pytest.raises(UsageError, match="look at --cluster-options"):
        kubernetes_spec(ClusterAsk(kind="k8s", workers=5, options={"no_such_option": 1}))


def test_each_process_gets_a_gpu_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpus.VISIBLE, "3, GPU-ab,5")
    taken = [gpus.claim("auto", tmp_path / "locks") for _ in range(5)]
    assert [env[gpus.VISIBLE] for env, _ in taken] == ["3", "GPU-ab", "5", "3", "GPU-ab"]
    assert taken[1][1] is not None
    taken[1][1].release()
    env, lock = gpus.claim("cuda", tmp_path / "locks")
    assert env[gpus.VISIBLE] == "GPU-ab" and lock is not None
    lock.release()
    assert gpus.claim("cuda:1") == ({}, None) == gpus.claim("cpu")
    for given in ("2", "", "-1"):
        monkeypatch.setenv(gpus.VISIBLE, given)
        assert gpus.claim("auto") == ({}, None), "nothing to choose"
    for _, lock in taken:
        if lock is not None:
            lock.release()
