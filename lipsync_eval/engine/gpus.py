"""One GPU for each measuring process: which one is free on this machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from itertools import count
from pathlib import Path

from lipsync_eval.errors import OutputError
from lipsync_eval.locks import Held, Lock

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible() -> list[str]:
    """Names of the GPUs that a process started now may use: those of CUDA_VISIBLE_DEVICES, else all by number."""
    if (given := os.environ.get(VISIBLE)) is not None:
        return [name for part in given.split(",") if (name := part.strip()) and name != "-1"]
    try:
        said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(i) for i, line in enumerate(l for l in said.stdout.splitlines() if l.startswith("GPU "))]  # noqa: E741


def claim(device: str, folder: Path | None = None) -> tuple[dict[str, str], Lock | None]:
    """Take the GPU of this machine that has the fewest of this user's measuring processes.

    Args:
        device: Settings.device. Where it names a GPU or the CPU there is nothing to choose.
        folder: for the locks, one a GPU and process; None: in the system's folder for temporary files.

    Returns:
        what to add to the environment of the process, and the lock to release when it has ended.
    """
    names = visible() if device in ("auto", "cuda") else []
    if len(names) < 2:
        return {}, None
    folder = folder or Path(tempfile.gettempdir()) / f"lipsync-eval-gpus-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for row in count():
            for name in names:
                lock = Lock(folder / f"{''.join(c if c.isalnum() else '-' for c in name)}.{row}")
                with contextlib.suppress(Held):
                    if lock.holder() is None:
                        lock.acquire()
                        return {VISIBLE: name}, lock
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or error}); set TMPDIR to another folder"
        ) from error
    return {}, None
