"""`--workers auto`: how many measuring processes this machine can feed, and where their networks run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

from lipsync_eval.engine.gpus import VISIBLE, visible
from lipsync_eval.engine.network_process import NetworkProcesses
from lipsync_eval.engine.tools import MeasuringTools
from lipsync_eval.errors import UsageError
from lipsync_eval.metrics.registry import uses_networks

Workers = int | Literal["auto"]

PROCESS: Final = 1.0
"""GiB that a measuring process takes at most without networks (docs/scale.md)."""
NETWORKS: Final = 3.0
"""GiB that it takes with networks of its own."""
WAITING: Final = 2
"""Measuring processes a core where they wait for networks on a GPU for about half of their time."""
_CGROUP: Final = Path("/sys/fs/cgroup")
_GIB: Final = 2**30


def count_workers(workers: Workers, tools: MeasuringTools, n_clips: int) -> int:
    """Measuring processes for a run.

    Args:
        workers: a number, which is taken as it is; 'auto': one a core, or two where they wait for networks on a GPU (a core is
            left to each process with networks); as many as free memory holds, at most one a clip.
        tools: of the run.
        n_clips: that are measured.

    Raises:
        UsageError: not a number of 1 or more, nor 'auto'.
    """
    if workers == "auto":
        gpus = len(network_places(tools))
        cores = max(1, free_cores() - gpus) * (WAITING if gpus else 1)
        each = NETWORKS if uses_networks(tools.metrics) and not gpus else PROCESS
        fitting = cores if (free := free_memory()) is None else int(free / each)
        return max(1, min(cores, fitting, n_clips))
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise UsageError(f"workers: expected a whole number of 1 or more, or 'auto'; got {workers!r}")
    return workers


def network_processes(workers: int, tools: MeasuringTools) -> NetworkProcesses:
    """Where the networks of `workers` measuring processes run: one process a GPU where they share GPUs, else none."""
    places = network_places(tools) if workers > 1 else []
    return NetworkProcesses([{VISIBLE: name} for name in places[:workers]])


def network_places(tools: MeasuringTools) -> list[str]:
    """The GPUs that networks of this run use, by name; none without networks, without CUDA, and with --device cpu."""
    device = tools.settings.device
    if device == "cpu" or not uses_networks(tools.metrics):
        return []
    names = visible()
    if not names or not _cuda():
        return []
    if device.startswith("cuda:"):
        number = device.removeprefix("cuda:")
        return names[int(number) : int(number) + 1] if number.isdecimal() else []
    return names


def free_cores() -> int:
    """Cores that this process may use: its affinity, and the share that a container gives it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    if quota.isdecimal() and period.strip().isdecimal() and int(period):
        cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def free_memory() -> float | None:
    """GiB of memory that are free, also within a container's limit; None where the system does not tell."""
    lines = (line.split() for line in _read(Path("/proc/meminfo")).splitlines())
    free = next((int(words[1]) * 1024 for words in lines if words[:1] == ["MemAvailable:"]), None)
    most, used = _read(_CGROUP / "memory.max").strip(), _read(_CGROUP / "memory.current").strip()
    if most.isdecimal() and used.isdecimal():
        within = max(0, int(most) - int(used))
        free = within if free is None else min(free, within)
    return None if free is None else free / _GIB


def _cuda() -> bool:
    """Whether this torch can use the GPUs."""
    import torch

    return torch.cuda.is_available()


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
