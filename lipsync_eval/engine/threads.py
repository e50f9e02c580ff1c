"""How many threads the libraries of a measuring process use: the BLAS of NumPy and SciPy, OpenMP, OpenCV and torch.

Left alone each of them takes all cores, in every process: N workers on a machine with N cores then run N x N threads.
They read their variables when they are loaded, so a number of threads is a matter of a process's environment. It moves no
number beyond a metric's tolerance, and is in no signature.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from lipsync_eval.device import pick
from lipsync_eval.engine.worker_count import free_cores
from lipsync_eval.faces.backends import choose
from lipsync_eval.metrics.registry import uses_networks

if TYPE_CHECKING:
    from lipsync_eval.engine.tools import MeasuringTools

_OWN: Final = "OMP_NUM_THREADS"
_VARIABLES: Final = (
    _OWN, "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)  # fmt: skip
"""torch takes the first; OpenCV the last."""


def variables(threads: int) -> dict[str, str]:
    """Environment of a process whose libraries use so many threads each."""
    return {name: str(threads) for name in _VARIABLES}


def usual(asked: int | None, tools: MeasuringTools | None = None) -> int:
    """Threads of each measuring process.

    Args:
        asked: a user's wish; None: OMP_NUM_THREADS where it is set, else 1, but all cores where networks run on the CPU.
            Not by the number of workers: torch's last digits depend on its threads, and --workers changes no digit.
        tools: of the run; None: nothing is known of networks.
    """
    if asked is not None:
        return asked
    own = os.environ.get(_OWN, "").partition(",")[0].strip()
    if own.isdecimal() and int(own) > 0:
        return int(own)
    return free_cores() if tools is not None and _networks_on_cpu(tools) else 1


@contextmanager
def within(threads: int | None, tools: MeasuringTools | None = None) -> Iterator[None]:
    """Let OpenCV and torch use so many threads in this process for a while; None: leave them as they are.

    torch is loaded for it where networks of `tools` will need it. A BLAS that is loaded keeps what it has: its variable must be set before NumPy is imported.
    """
    if threads is None:
        yield
        return
    import cv2

    if tools is not None and uses_networks(tools.metrics):
        import torch as _  # noqa: F401
    torch = sys.modules.get("torch")
    before = cv2.getNumThreads(), torch.get_num_threads() if torch else 0
    cv2.setNumThreads(threads)
    if torch:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        if torch:
            torch.set_num_threads(before[1])


def _networks_on_cpu(tools: MeasuringTools) -> bool:
    """Whether this run's networks, where it has any, run on the CPU."""
    settings = tools.settings
    faces = choose(settings.landmarks, settings.detector, None)
    networks = uses_networks(tools.metrics) or faces.landmarks.on_device or faces.detector.on_device
    return networks and pick(settings.device).type == "cpu"
