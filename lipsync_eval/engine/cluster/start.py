"""From --scheduler and --cluster to a connected client."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from lipsync_eval.errors import UsageError
from lipsync_eval.files import read_toml
from lipsync_eval.options import hint

if TYPE_CHECKING:
    from distributed import Client

QUEUES: Final = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}
"""Batch systems -> their class in dask_jobqueue."""
KINDS: Final = ("local", *QUEUES, "ssh", "k8s")
_INSTALL: Final = "pip install 'lipsync-eval[cluster]'"
_EXTRA: Final = {"dask_jobqueue": "dask-jobqueue", "dask_kubernetes": "dask-kubernetes", "asyncssh": "asyncssh"}

_QUIET: Final = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.diagnostics.nvml": False,
}
"""What Dask watches in itself up to 100 times a second; on this machine that time belongs to the measuring processes."""


@dataclass(frozen=True, slots=True)
class ClusterAsk:
    """Which machines measure."""

    scheduler: str = ""
    """Address of a scheduler that runs already; '' where one is started."""
    kind: str = ""
    """local, slurm, pbs, lsf, sge, ssh or k8s."""
    workers: int | None = None
    hosts: tuple[str, ...] = ()
    """Of ssh; the scheduler runs on the first, workers on all."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the cluster's class."""

    @classmethod
    def parse(
        cls, scheduler: str | None, cluster: str | None, options: str | Path | Mapping[str, Any] | None = None
    ) -> Self | None:
        """What --scheduler, --cluster and --cluster-options say; None where nothing is said.

        Args:
            scheduler: 'tcp://host:8786'.
            cluster: 'local:4', 'slurm', 'slurm:8', 'ssh:host1,host2', 'k8s:8'...
            options: a TOML file, or what stands in it. `workers` is how many; all else goes to the cluster's class.

        Raises:
            UsageError: both or an unknown kind; options without a cluster; no number of workers.
            ParseError: the file cannot be read.
        """
        if not scheduler and not cluster:
            if options:
                raise UsageError("--cluster-options says how a cluster is started; give --cluster too")
            return None
        if scheduler and cluster:
            raise UsageError("--scheduler uses a scheduler that runs, --cluster starts one; give one of them")
        if scheduler:
            if options:
                raise UsageError(
                    "--cluster-options says how a cluster is started; it goes with --cluster, not --scheduler"
                )
            return cls(scheduler=scheduler)
        kind, _, rest = str(cluster).partition(":")
        if kind not in KINDS:
            raise UsageError(f"--cluster {cluster!r}: expected one of {', '.join(KINDS)}.{hint(kind, KINDS)}")
        given = dict(
            read_toml(Path(options), "--cluster-options") if isinstance(options, (str, Path)) else options or {}
        )
        workers = given.pop("workers", None)
        if kind == "ssh":
            hosts = tuple(h for h in (h.strip() for h in rest.split(",")) if h)
            if not hosts:
                raise UsageError("--cluster ssh: expected the hosts, such as ssh:node1,node2")
            return cls(kind=kind, hosts=hosts, options=given)
        if rest:
            workers = int(rest) if rest.isascii() and rest.isdecimal() else 0
        elif workers is None and kind == "local":
            workers = os.cpu_count() or 1
        if type(workers) is not int or workers < 1:
            raise UsageError(
                f"--cluster {cluster}: expected how many workers, as {kind}:8 or as `workers = 8` in --cluster-options"
            )
        return cls(kind=kind, workers=workers, options=given)


def job_script(ask: ClusterAsk) -> str:
    """What one worker's job on SLURM, PBS, LSF or SGE looks like, without submitting it.

    Raises:
        UsageError: not a batch system, an option that its class does not take, or it is not installed.
    """
    if ask.kind not in QUEUES:
        raise UsageError(f"{ask.kind or 'a scheduler'} has no job script; one of {', '.join(QUEUES)} has")
    cluster = _made(QUEUES[ask.kind], "dask_jobqueue", ask)
    try:
        return str(cluster.job_script())
    finally:
        cluster.close()


def kubernetes_spec(ask: ClusterAsk) -> dict[str, Any]:
    """The DaskCluster resource that is created on Kubernetes.

    Options are those of `make_cluster_spec` (image, resources, env, worker_command...), `namespace`, and `volume_claims`: path
    in the workers -> name of a PersistentVolumeClaim.

    Raises:
        UsageError: an option that it does not take, or dask-kubernetes is not installed.
    """
    operator = _imported("dask_kubernetes.operator")
    options = {"name": "lipsync-eval", **ask.options}
    options.pop("namespace", None)  # says where the resource is created, not what it is
    try:
        claims = sorted((str(path), str(claim)) for path, claim in options.pop("volume_claims", {}).items())
        spec = dict(operator.make_cluster_spec(n_workers=ask.workers, **options))
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"--cluster k8s: {error}; look at --cluster-options") from error
    pod = spec["spec"]["worker"]["spec"]
    for i, (path, claim) in enumerate(claims):
        pod.setdefault("volumes", []).append({"name": f"claim-{i}", "persistentVolumeClaim": {"claimName": claim}})
        for container in pod["containers"]:
            container.setdefault("volumeMounts", []).append({"name": f"claim-{i}", "mountPath": path})
    return spec


@contextmanager
def connected(ask: ClusterAsk) -> Iterator[Client]:
    """A client of the cluster; what was started here is stopped afterwards, a scheduler of others goes on.

    Raises:
        UsageError: Dask is not installed, nobody answers at the address, or the cluster cannot be started.
    """
    distributed = _imported("distributed")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said by the run itself
    cluster = None
    try:
        if ask.scheduler:
            client = distributed.Client(ask.scheduler, timeout=20, set_as_default=False)
        else:
            cluster = _started(ask, distributed)
            client = distributed.Client(cluster, timeout=60, set_as_default=False)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        if cluster is not None:
            cluster.close()
        what = f"--scheduler {ask.scheduler}: no scheduler answers there" if ask.scheduler else f"--cluster {ask.kind}"
        raise UsageError(f"{what} ({error})") from error
    try:
        yield client
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def _started(ask: ClusterAsk, distributed: Any) -> Any:
    if ask.kind == "local":
        return _local(ask, distributed)
    if ask.kind == "ssh":
        _imported("asyncssh")
        return distributed.SSHCluster([ask.hosts[0], *ask.hosts], **ask.options)
    if ask.kind == "k8s":
        place = {"namespace": ask.options["namespace"]} if "namespace" in ask.options else {}
        operator, spec = _imported("dask_kubernetes.operator"), kubernetes_spec(ask)
        return operator.KubeCluster(custom_cluster_spec=spec, quiet=True, **place)  # it would print to stdout
    cluster = _made(QUEUES[ask.kind], "dask_jobqueue", ask)
    cluster.scale(n=ask.workers)
    return cluster


def _local(ask: ClusterAsk, distributed: Any) -> Any:
    """Scheduler and workers in this process: each worker hands its clips to a process of its own (see remote.py)."""
    how: dict[str, Any] = {
        "processes": False,
        "threads_per_worker": 1,
        "dashboard_address": "127.0.0.1:0",
        "memory_limit": 0,
        "scheduler_kwargs": {"dashboard": "dashboard_address" in ask.options},
    }
    try:
        with _imported("dask").config.set(_QUIET):
            return distributed.LocalCluster(n_workers=ask.workers, **{**how, **ask.options})
    except TypeError as error:
        raise UsageError(f"--cluster local: {error}; look at --cluster-options") from error


def _made(name: str, module: str, ask: ClusterAsk) -> Any:
    try:
        return getattr(_imported(module), name)(**{"cores": 1, "processes": 1, **ask.options})
    except (TypeError, ValueError) as error:
        raise UsageError(f"--cluster {ask.kind}: {error}; look at --cluster-options") from error


def _imported(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = _EXTRA.get((error.name or "").partition(".")[0])
        line = f"pip install {package}" if package else _INSTALL
        raise UsageError(f"a run on a cluster needs the Python package {error.name}: {line}") from error
