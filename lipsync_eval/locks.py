"""Who works on a folder: a lock file with its owner's name and a heartbeat.

A lock is a small file that only one process can create (`files.create`). It says who made it: machine, process, when the
process started, and a token. A thread of the owner touches it every few seconds. Nothing hangs on `flock`, which network
folders and containers do not share.

A lock whose owner is gone is *stale* and is taken over:

- On the same machine (one boot, one process namespace) the process table decides, at once: no such process, a process
  that started at another time (the number was given away again), or a zombie.
- From anywhere else the heartbeat decides: no sign of life for `STALE` seconds. Both times are read from the file system
  of the folder, so that two clocks that differ do not matter.

Of several that find one stale lock, one takes it over: each must first create a file named for the dead owner's token.
An owner that was stopped for so long that its lock was taken over learns it from `check`, before its next write.

Several jobs share a folder by locks of unlike names: `.lock` is the whole run; shards of one plan take `.lock-2of8` and
so on (one lock a shard) and a common journal, in which the shards' places do not meet.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import subprocess
import tempfile
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lipsync_eval.errors import OutputError
from lipsync_eval.files import create, parse_json

BEAT: Final = 10.0
"""Seconds between two signs of life."""
STALE: Final = 120.0
"""Seconds without a sign of life after which an owner on another machine counts as gone."""
_GRACE: Final = 1.0
"""Seconds that a killed process may take to leave."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock."""

    token: str
    """Of this holding of the lock; no two are alike."""
    host: str
    machine: str
    """One boot of one machine and one process namespace; '' where the system does not tell."""
    pid: int
    started: str
    """When the process started, in the system's own words; '' where it does not tell."""

    @classmethod
    def me(cls) -> Owner:
        """This process, with a new token."""
        pid = os.getpid()
        return cls(secrets.token_hex(8), platform.node(), _machine(), pid, _started(pid))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Held(OutputError):
    """Another process holds the lock."""


class Lock:
    """A lock file. Use as a context manager, or `acquire` and `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.owner: Owner | None = None
        """This process, while it holds the lock."""
        self._stop = threading.Event()

    def acquire(self, *, wait: bool = False) -> None:
        """Take the lock.

        Args:
            wait: wait for as long as another process holds it, instead of raising.

        Raises:
            Held: another process holds it; the message names that process.
            OSError: the folder cannot be written.
        """
        me = Owner.me()
        data = json.dumps(asdict(me)).encode()
        patience = time.monotonic() + _GRACE
        while not self._try(me, data):
            found = self._read()
            if found is None or self._gone(found):
                continue
            if not wait and time.monotonic() > patience:
                raise Held(f"{found}{self._silence(found)}")
            time.sleep(0.1)
        self.owner = me
        for pattern in (f".{self.path.name}.*.tmp", f"{self.path.name}.*.claim"):
            for left in self.path.parent.glob(pattern):  # by a process that was killed while it tried
                with contextlib.suppress(OSError):
                    left.unlink()
        self._stop = threading.Event()
        threading.Thread(target=self._beat, args=(self._stop,), daemon=True, name="lock-heartbeat").start()

    def check(self) -> None:
        """Make sure that the lock is still ours.

        Raises:
            Held: it was taken over, since this process gave no sign of life for long.
        """
        if self.owner is None:
            return
        found = self._read()
        if found is None and create(self.path, json.dumps(asdict(self.owner)).encode()):
            return  # somebody removed the file by hand
        found = self._read()
        if found is not None and found.token != self.owner.token:
            raise Held(
                f"{self.path.parent}: is the work of {found} by now, since this job gave no sign of life for long; this job ends"
            )

    def holder(self) -> Owner | None:
        """Who holds the lock now; None where nobody does, or its owner is gone. The lock stays as it is."""
        found = self._read()
        return None if found is None or self._gone(found) else found

    def release(self) -> None:
        """Give the lock back; does nothing when it is not held, or was taken over."""
        self._stop.set()
        owner, self.owner = self.owner, None
        found = self._read() if owner is not None else None
        if owner is not None and found is not None and found.token == owner.token:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def __enter__(self) -> Self:
        if self.owner is None:
            self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _try(self, me: Owner, data: bytes) -> bool:
        try:
            if create(self.path, data):
                return True
        except FileNotFoundError:  # its temporary file was swept away by another job, or the folder was
            if not self.path.parent.is_dir():
                raise
            return False
        found = self._read()
        if found is None or not self._gone(found):
            return False
        claim = self.path.with_name(f"{self.path.name}.{found.token[:32]}.claim")
        try:
            if not create(claim, data):
                if self._age(claim) > STALE:  # whoever claimed it died in the middle of the next three lines
                    claim.unlink(missing_ok=True)
                time.sleep(0.05)
                return False
        except FileNotFoundError:
            return False
        try:
            if self._read() != found:
                return False
            self.path.unlink(missing_ok=True)
            return create(self.path, data)
        finally:
            claim.unlink(missing_ok=True)

    def _read(self) -> Owner | None:
        """The owner that the file names; an unreadable file names nobody (and ages by its time of change)."""
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            text = ""
        try:
            raw = parse_json(text)
            owner = Owner(raw["token"], raw["host"], raw["machine"], raw["pid"], raw["started"])
            texts = (owner.token, owner.host, owner.machine, owner.started)
            if type(owner.pid) is int and all(type(t) is str for t in texts) and owner.token.isalnum():
                return owner
        except (ValueError, KeyError, TypeError):
            pass
        return Owner("unreadable", "an unknown machine", "", 0, "")

    def _gone(self, found: Owner) -> bool:
        here = found.machine != "" and found.machine == _machine()
        if here and not _runs(found.pid, found.started):
            return True
        if here and found.started:
            return False
        return self._age(self.path) > STALE

    def _age(self, path: Path) -> float:
        """Seconds since a file was touched, by the clock of its file system; 0 when it is gone."""
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{self.path.name}.", suffix=".tmp") as probe:
                now = os.fstat(probe.fileno()).st_mtime
            return now - path.stat().st_mtime
        except OSError:
            return 0.0

    def _silence(self, found: Owner) -> str:
        if found.machine and found.machine == _machine():
            return ""
        age = self._age(self.path)
        return f", which gave a sign of life {age:.0f} s ago (it counts as gone after {STALE:.0f} s)"

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT):
            with contextlib.suppress(OSError, Held):
                self.check()
                os.utime(self.path)


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{platform.node()} {uuid.getnode():x}" if os.name == "posix" else ""


def _started(pid: int) -> str:
    """When a process started; '' where the system does not tell or the process is gone."""
    fields = _stat(pid)
    if fields is not None:
        return fields[19]
    try:
        said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None


def _runs(pid: int, started: str) -> bool:
    if pid <= 0:
        return True
    fields = _stat(pid)
    if fields is not None:
        return fields[0] not in {"Z", "X"} and (not started or fields[19] == started)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return not started or _started(pid) == started
