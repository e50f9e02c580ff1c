"""Run a command that may crash, hang, flood its log, eat memory or leave children behind; when this returns, nothing of it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LOG_BYTES = 5_000_000
_SUPERVISOR = Path(__file__).with_name("supervisor.py")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int | None
    """Exit code; negative: the signal that killed it; None when it was stopped."""
    stopped: str | None
    """Why it was stopped: 'time limit of 60 s', 'memory limit of 4 GB'; None when it ended by itself."""
    seconds: float
    tail: str
    """The last lines of its output."""
    left_behind: int
    """Processes that outlived it and were ended."""


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    timeout: float,
    memory_gb: float | None = None,
    scratch: Path | None = None,
) -> Ended:
    """Run a command under a supervisor (supervisor.py), output to `log` (the first and the last LOG_BYTES / 2 are kept).

    The supervisor ends everything that the command started, whatever session it moved to, when the command ends, when a
    limit is passed, and when this process dies, even by SIGKILL; then the folder `scratch` is removed too.

    Raises:
        OSError: it cannot be started, or the log cannot be written.
    """
    began = time.monotonic()
    keeper = _Log(log)
    supervisor = subprocess.Popen(
        [sys.executable, "-I", str(_SUPERVISOR)],
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    if supervisor.stdin is None or supervisor.stdout is None or supervisor.stderr is None:
        raise OSError("no pipe to the supervisor")
    reader = threading.Thread(target=keeper.read, args=(supervisor.stderr,), daemon=True)
    reader.start()
    order = {
        "command": list(command),
        "cwd": str(cwd),
        "timeout": timeout,
        "memory": None if memory_gb is None else memory_gb * 1e9,
        "scratch": scratch and str(scratch),
    }
    try:
        supervisor.stdin.write(json.dumps(order).encode() + b"\n")
        supervisor.stdin.flush()
        answer = supervisor.stdout.readline()
    finally:
        supervisor.stdin.close()
        supervisor.wait()
        reader.join()
        supervisor.stdout.close()
        supervisor.stderr.close()
        keeper.close()
    if not answer:
        raise OSError(f"the supervisor of {command[0]} was itself killed (signal or memory)")
    found = json.loads(answer)
    if "error" in found:
        raise OSError(found["error"])
    return Ended(found["code"], found["stopped"], time.monotonic() - began, keeper.tail(), found["left_behind"])


class _Log:
    """Keeps the beginning of an output on disk and its end in memory."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("wb")
        self.room = LOG_BYTES // 2
        self.end = bytearray()
        self.dropped = 0

    def read(self, stream: IO[bytes]) -> None:
        """Keep the first and the last part of a stream until it ends."""
        while block := os.read(stream.fileno(), 1 << 16):
            head, rest = block[: self.room], block[self.room :]
            self.file.write(head)
            self.file.flush()
            self.room -= len(head)
            self.end += rest
            if (extra := len(self.end) - LOG_BYTES // 2) > LOG_BYTES // 4:
                self.dropped += extra
                del self.end[:extra]

    def close(self) -> None:
        """Write the last part, and how much was left out before it."""
        if self.dropped:
            self.file.write(f"\n... {self.dropped} bytes left out ...\n".encode())
        self.file.write(bytes(self.end))
        self.file.close()

    def tail(self) -> str:
        """The last 15 lines, printable."""
        data = bytes(self.end[-4000:])
        if not data:
            with Path(self.file.name).open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - 4000))
                data = file.read()
        lines = data.decode("utf-8", "replace").replace("\r", "\n").splitlines()[-15:]
        return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in lines if line.strip())
