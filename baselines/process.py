"""Run a command that may crash, hang, flood its log, eat memory or leave children behind; when this returns, nothing of it runs."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LOG_BYTES = 5_000_000
_MARK = "LIPSYNC_EVAL_JOB_MARK"
_POLL = 0.1
_GRACE = 3.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int | None
    """Exit code; None when it was stopped."""
    stopped: str | None
    """Why it was stopped: 'time limit of 60 s', 'memory limit of 4 GB'; None when it ended by itself."""
    seconds: float
    tail: str
    """The last lines of its output."""
    left_behind: int
    """Processes that outlived it and were ended."""


def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, timeout: float, memory_gb: float | None = None) -> Ended:
    """Run a command in a session of its own, output to `log` (the first and the last LOG_BYTES / 2 are kept).

    Every process that it starts carries a mark in its environment; those still there at the end are ended, whatever session
    they moved to (Linux; elsewhere the process group is ended).

    Raises:
        OSError: it cannot be started.
    """
    mark = secrets.token_hex(16)
    began = time.monotonic()
    process = subprocess.Popen(
        list(command), cwd=cwd, env={**os.environ, **env, _MARK: mark}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )
    keeper = _Log(log)
    reader = threading.Thread(target=keeper.read, args=(process.stdout,), daemon=True)
    reader.start()
    stopped = None
    try:
        while process.poll() is None and stopped is None:
            time.sleep(_POLL)
            if time.monotonic() - began > timeout:
                stopped = f"time limit of {timeout:g} s"
            elif memory_gb is not None and _resident(mark) > memory_gb * 1e9:
                stopped = f"memory limit of {memory_gb:g} GB"
    finally:
        left = _end_all(process, mark)
        process.wait()
        reader.join(timeout=_GRACE)
        keeper.close()
    return Ended(None if stopped else process.returncode, stopped, time.monotonic() - began, keeper.tail(), left if stopped is None else 0)


def _end_all(process: subprocess.Popen[bytes], mark: str) -> int:
    """End every marked process, first politely; returns how many outlived the command itself."""
    others = len([p for p in _marked(mark) if p != process.pid])
    for sign in (signal.SIGTERM, signal.SIGKILL):
        pids = _marked(mark) | ({process.pid} if process.poll() is None else set())
        if not pids:
            break
        for pid in pids:
            _kill(pid, sign)
        if process.poll() is None:
            _kill_group(process.pid, sign)
        until = time.monotonic() + _GRACE
        while time.monotonic() < until and (_marked(mark) or process.poll() is None):
            time.sleep(0.05)
    return others


def _kill(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except (ProcessLookupError, PermissionError):
        return


def _kill_group(pid: int, sign: signal.Signals) -> None:
    try:
        os.killpg(pid, sign)
    except (ProcessLookupError, PermissionError):
        return


def _marked(mark: str) -> set[int]:
    """Live processes (no zombies) whose environment carries the mark."""
    needle = f"{_MARK}={mark}".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if needle in (entry / "environ").read_bytes().split(b"\0") and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.add(int(entry.name))
        except (OSError, IndexError):
            continue
    return found


def _resident(mark: str) -> float:
    """Bytes of memory that all marked processes hold."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for pid in _marked(mark):
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        except (OSError, IndexError):
            continue
    return float(total)


class _Log:
    """Keeps the beginning of an output on disk and its end in memory."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("wb")
        self.room = LOG_BYTES // 2
        self.end = bytearray()
        self.dropped = 0
        self.lock = threading.Lock()

    def read(self, stream: IO[bytes]) -> None:
        while block := os.read(stream.fileno(), 1 << 16):
            with self.lock:
                if self.file.closed:
                    return
                head, rest = block[: self.room], block[self.room :]
                self.file.write(head)
                self.room -= len(head)
                self.end += rest
                if (extra := len(self.end) - LOG_BYTES // 2) > LOG_BYTES // 4:
                    self.dropped += extra
                    del self.end[:extra]

    def close(self) -> None:
        with self.lock:
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
