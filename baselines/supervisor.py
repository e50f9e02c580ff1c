"""The parent of one generator's processes: limits their time and memory, and ends all of them, however it or its caller ends.

Run as a script by process.py (standard library only). Standard input: one line of JSON, then silence; when it closes, the caller
is gone and everything is ended. Standard output: one line of JSON. The command's output goes to standard error.

Linux: orphans come back to this process (a child subreaper), so a daemon that left its session is still found among its
descendants. Elsewhere the command's process group is ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_POLL = 0.05
_GRACE = 2.0
_CALLER_GONE = "the run was ended"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def supervise(order: dict[str, object]) -> dict[str, object]:
    """Run order['command'] to its end or to a limit; nothing of it runs afterwards.

    Args:
        order: command (list of texts), cwd, timeout (s), memory (bytes or None), scratch (a folder that is removed when the caller dies, or None).

    Returns:
        {'code', 'stopped', 'left_behind'}, or {'error'} when it cannot be started.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        process = subprocess.Popen(
            order["command"],
            cwd=order["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=2,
            stderr=2,
            start_new_session=True,  # type: ignore[call-overload]
            preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )
    except (OSError, ValueError) as error:
        return {"error": str(error)}
    stopped = _watch(process, order)
    left = len(_descendants() - {process.pid}) if stopped is None else 0
    _end_all(process)
    if stopped == _CALLER_GONE and order["scratch"]:
        shutil.rmtree(str(order["scratch"]), ignore_errors=True)
    return {"code": None if stopped else process.returncode, "stopped": stopped, "left_behind": left}


def _watch(process: subprocess.Popen[bytes], order: dict[str, object]) -> str | None:
    """Why it must be stopped; None when it ended by itself."""
    until = time.monotonic() + float(order["timeout"])  # type: ignore[arg-type]
    memory = order["memory"]
    while process.poll() is None:
        if select.select([0], [], [], _POLL)[0] and not os.read(0, 1):
            return _CALLER_GONE
        if time.monotonic() > until:
            return f"time limit of {order['timeout']:g} s"
        if memory is not None and _resident(_descendants()) > memory:  # type: ignore[operator]
            return f"memory limit of {memory / 1e9:g} GB"  # type: ignore[operator]
    return None


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """End every descendant, first politely."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + _GRACE
        while time.monotonic() < until:
            _reap(process)
            there = _descendants() | ({process.pid} if process.poll() is None else set())
            if not there:
                return
            for pid in there:
                _kill(pid, sign)
            _kill_group(process.pid, sign)
            time.sleep(_POLL)


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Collect orphans that ended, so that no zombie is left; the command itself is Popen's."""
    process.poll()
    for pid in _children().get(os.getpid(), ()):
        if pid != process.pid:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        found.setdefault(parent, []).append(int(entry.name))
    return found


def _descendants() -> set[int]:
    children = _children()
    found: set[int] = set()
    todo = [os.getpid()]
    while todo:
        for pid in children.get(todo.pop(), ()):
            if pid not in found:
                found.add(pid)
                todo.append(pid)
    return {pid for pid in found if not _zombie(pid)}


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return True


def _resident(pids: set[int]) -> int:
    """Bytes of memory that they hold together."""
    page, total = os.sysconf("SC_PAGE_SIZE"), 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        except (OSError, IndexError):
            continue
    return total


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


def _line() -> bytes:
    """The first line of standard input, read without a buffer: what follows is watched by `select`."""
    line = b""
    while (byte := os.read(0, 1)) not in {b"", b"\n"}:
        line += byte
    return line


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(supervise(json.loads(_line()))) + "\n")
