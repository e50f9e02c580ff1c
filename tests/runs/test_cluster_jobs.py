"""What --scheduler, --cluster and --cluster-options mean, and what batch systems and Kubernetes would be given."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

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
    "slurm": ("#SBATCH -p gpu", "#SBATCH --cpus-per-task=2", "#SBATCH -t 01:00:00", "#SBATCH --gres=gpu:1"),
    "pbs": ("#PBS -q gpu", "#PBS -l select=1:ncpus=2", "#PBS -l walltime=01:00:00", "#PBS --gres=gpu:1"),
    "lsf": ("#BSUB -q gpu", "#BSUB -n 2", "#BSUB -W 01:00", "#BSUB --gres=gpu:1"),
    "sge": ("#$ -q gpu", "#$ -l h_rt=01:00:00", "#$ --gres=gpu:1"),
}


@pytest.mark.parametrize("kind", QUEUES)
# dask-jobqueue's own cluster, refused while it is made, has no name yet: what warns of it cannot be passed between processes
@pytest.mark.filterwarnings("default", "ignore:unclosed cluster:ResourceWarning")
def test_job_scripts(kind: str) -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed (the extra `cluster`)")
    options = {
        "queue": "gpu", "memory": "4GB", "cores": 2, "interface": "lo",
        "walltime": "01:00" if kind == "lsf" else "01:00:00", "job_extra_directives": ["--gres=gpu:1"],
        "scheduler_options": {"dashboard_address": ":0"}, **({"use_stdin": True} if kind == "lsf" else {}),
    }  # fmt: skip
    script = job_script(ClusterAsk(kind=kind, workers=3, options=options))
    for line in SCRIPTS[kind]:
        assert line in script, script
    assert "dask_worker tcp://" in script and "--nthreads 2" in script
    with pytest.raises(UsageError, match="look at --cluster-options"):
        job_script(ClusterAsk(kind=kind, workers=3, options={**options, "no_such_option": 1}))
    gc.collect()  # here, where its warning is expected


@pytest.mark.filterwarnings("default")
def test_the_kubernetes_resource() -> None:
    pytest.importorskip("dask_kubernetes", reason="dask-kubernetes is not installed")
    options = {"image": "me/lipsync-eval:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    spec = kubernetes_spec(ClusterAsk(kind="k8s", workers=5, options=options))
    assert spec["kind"] == "DaskCluster" and spec["spec"]["worker"]["replicas"] == 5
    container = spec["spec"]["worker"]["spec"]["containers"][0]
    assert container["image"] == "me/lipsync-eval:1" and container["resources"] == options["resources"]
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
