"""Files by URL, through fsspec: what a server says of them, what lies in a folder, and a copy for the time of one clip."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from lipsync_eval.errors import MediaError, OutputError, PairingError, UsageError
from lipsync_eval.locks import Lock
from lipsync_eval.media.tree import MAX_ENTRIES
from lipsync_eval.urls import SCHEMES, Place, Url, without_secrets

MOST_BYTES: Final = 8 << 30
"""Largest file that is fetched."""
PAUSES: Final = (1.0, 4.0)
"""Seconds between tries; one try more than pauses."""
_AT_ONCE: Final = 16
"""Questions to servers at a time, before the run."""
_SILENCE: Final = 60.0
"""Seconds without a byte after which a try has failed."""
_MARKS: Final = ("ETag", "etag", "LastModified", "Last-Modified", "updated", "created")
"""Words of file systems for what changes with the content."""
T = TypeVar("T")


class _Final(Exception):
    """Why another try is of no use."""


def check_urls(places: Iterable[Place | None]) -> None:
    """Make sure that the packages are here which these addresses need.

    Raises:
        UsageError: one is not installed; says how to get it.
    """
    for scheme in sorted({place.scheme for place in places if isinstance(place, Url)}):
        need = SCHEMES[scheme]
        for package in ("fsspec", need.package):
            if package and importlib.util.find_spec(package) is None:
                raise UsageError(f"videos at {scheme}:// need the Python package {package}: {need.install}")


def told(urls: Iterable[Url]) -> dict[Url, Url | None]:
    """Ask servers for size and time of change.

    Returns:
        for each address the same with what was told; None where there is no such file (or nobody may read it).

    Raises:
        UsageError: a package is missing, or there are addresses and no server answers about any of them.
    """
    wanted = list(dict.fromkeys(urls))
    check_urls(wanted)
    if not wanted:
        return {}
    with ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), thread_name_prefix="url") as threads:
        found = list(threads.map(_asked, wanted))
    errors = [error for error in found if isinstance(error, MediaError)]
    if len(errors) == len(wanted):
        raise UsageError(f"{errors[0]}; none of the {len(wanted)} addresses can be read, nothing was done")
    return {url: url if isinstance(f, MediaError) else f for url, f in zip(wanted, found, strict=True)}


def listed(root: Url) -> list[tuple[str, Url]]:
    """All files below a folder: (relative path, address), sorted.

    Raises:
        PairingError: the folder cannot be listed, or holds more than MAX_ENTRIES files.
    """
    check_urls([root])
    if not SCHEMES[root.scheme].lists:
        raise PairingError(
            f"{root} is no video by its suffix, and a folder of {root.scheme}:// cannot be listed; name the videos in a table: "
            "--pairs FILE.csv"
        )

    def ask() -> list[tuple[str, Url]]:
        system = _system(root)
        start = str(system._strip_protocol(root.address)).rstrip("/")
        found: list[tuple[str, Url]] = []
        for path, facts in system.find(start, detail=True).items():
            name = path[len(start) :].lstrip("/")
            if not name or "\0" in name or os.pardir in name.split("/"):
                continue  # no name of a file; keys of a bucket may hold anything
            found.append((name, _with_facts(root.below(name), facts)))
            if len(found) > MAX_ENTRIES:
                raise PairingError(f"{root} holds more than {MAX_ENTRIES} files; give the folder of the videos alone")
        return sorted(found, key=lambda each: each[0])

    try:
        return _tried(root, ask)
    except MediaError as error:
        raise PairingError(str(error)) from error


class LocalFiles:
    """The files of one clip on this machine, as a context manager.

    A path is itself. A file by URL is fetched when it is first asked for, under its own name, into a temporary folder that
    goes with the context. What a killed process left there is removed by the next one (see `_folder`).
    """

    def __init__(self) -> None:
        self._here: dict[Url, Path | MediaError] = {}
        self._folder: Path | None = None
        self._lock: Lock | None = None

    def of(self, place: Place) -> Path:
        """Where the file is on this machine.

        Raises:
            UsageError: a Python package that the address needs is missing here.
            MediaError: it cannot be fetched (several tries), or is larger than MOST_BYTES.
        """
        if isinstance(place, Path):
            return place
        found = self._here.get(place)
        if found is None:
            check_urls([place])
            target = Path(tempfile.mkdtemp(dir=self._make())) / _file_name(place)
            try:
                _tried(place, lambda: _fetch(place, target))
                found = target
            except MediaError as error:
                found = error
            self._here[place] = found
        if isinstance(found, MediaError):  # also when it is asked for again: the answer stays the same for this clip
            raise found
        return found

    def original(self, text: str) -> str:
        """The text with the temporary paths in it replaced by the addresses that they stand for."""
        for url, found in self._here.items():
            if isinstance(found, Path):
                text = text.replace(str(found), str(url))
        return text

    @property
    def used(self) -> bool:
        """Whether anything was fetched."""
        return bool(self._here)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.release()

    def _make(self) -> Path:
        if self._folder is None:
            try:
                root = _root()
                _sweep(root)
                name = secrets.token_hex(8)
                self._lock = Lock(root / f"{name}.lock")
                self._lock.acquire()
                self._folder = root / name
                self._folder.mkdir(mode=0o700)
            except OSError as error:
                raise MediaError(
                    f"no temporary folder for files by URL: {error}; set TMPDIR to a folder with space"
                ) from error
        return self._folder


def _root() -> Path:
    """This user's own folder below the system's for temporary files."""
    root = Path(tempfile.gettempdir()) / f"lipsync-eval-urls-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    found = root.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or root.is_symlink():
        raise OutputError(f"{root}: belongs to somebody else or is open to others; remove it, or set TMPDIR")
    return root


def _sweep(root: Path) -> None:
    """Remove what killed processes left: a folder whose lock nobody holds."""
    for file in root.glob("*.lock"):
        lock = Lock(file)
        if lock.holder() is None:
            shutil.rmtree(file.with_suffix(""), ignore_errors=True)
            with contextlib.suppress(OSError):
                file.unlink()


def _file_name(url: Url) -> str:
    """The file's own name, where a file can be called so: messages and notes have it."""
    name = url.name
    usable = name not in (".", "..", "") and "/" not in name and "\0" not in name and len(os.fsencode(name)) <= 200
    return name if usable else f"file{url.suffix[:10] if url.suffix.isascii() and '/' not in url.suffix else ''}"


def _system(url: Url) -> Any:
    """fsspec's file system for an address."""
    import fsspec

    logging.getLogger("fsspec").setLevel(logging.ERROR)
    if not SCHEMES[url.scheme].web:
        return fsspec.filesystem(url.scheme)
    import aiohttp

    patience = aiohttp.ClientTimeout(total=None, sock_connect=_SILENCE / 2, sock_read=_SILENCE)
    return fsspec.filesystem(url.scheme, encoded=True, client_kwargs={"timeout": patience})


def _fetch(url: Url, target: Path) -> None:
    from fsspec.callbacks import Callback

    too_large = _Final(f"is larger than {MOST_BYTES} bytes, the most that is fetched")

    class Counting(Callback):  # type: ignore[misc]
        came = 0

        def set_size(self, size: int | None) -> None:
            if size is not None and size > MOST_BYTES:
                raise too_large

        def relative_update(self, inc: int = 1) -> None:
            self.came += inc
            if self.came > MOST_BYTES:
                raise too_large

    if url.size is not None and url.size > MOST_BYTES:
        raise too_large
    _system(url).get_file(url.address, str(target), callback=Counting())


def _asked(url: Url) -> Url | MediaError | None:
    try:
        return _tried(url, lambda: _with_facts(url, _system(url).info(url.address)))
    except MediaError as error:
        return None if isinstance(error.__cause__, _Final) else error


def _with_facts(url: Url, facts: dict[str, Any]) -> Url:
    size = facts.get("size")
    mark = next((str(facts[key]) for key in _MARKS if facts.get(key)), "")
    return replace(url, size=size if type(size) is int else None, mark=mark)


def _tried(url: Url, work: Callable[[], T]) -> T:
    """Do something that needs the network, several times if it must be.

    Raises:
        MediaError: it could not be done; its cause is a _Final where another try is of no use.
    """
    last: Exception = MediaError("not tried")
    for pause in (0.0, *PAUSES):
        time.sleep(pause)
        try:
            return work()
        except (MediaError, UsageError):
            raise
        except Exception as error:  # of fsspec, aiohttp, botocore, gcsfs...
            if why := _final(error):
                raise MediaError(f"{url}: {why}") from _Final(why)
            last = error
    said = without_secrets(str(last.__cause__ or last)).strip() or type(last.__cause__ or last).__name__
    raise MediaError(f"{url}: cannot be read in {len(PAUSES) + 1} tries ({said[:300]})") from last


def _final(error: Exception) -> str:
    """Why another try is of no use; '' where one may help."""
    told: BaseException = error
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        told = error.__cause__  # fsspec calls everything that goes wrong with a web address so
    status = getattr(told, "status", None)
    if isinstance(told, _Final):
        return str(told)
    if status in (401, 403) or isinstance(told, PermissionError):
        return "the server refuses it; look at the credentials"
    if status in (404, 410) or isinstance(told, FileNotFoundError):
        return "does not exist"
    if isinstance(told, OSError) and told.errno == errno.ENOSPC:
        return "no space for a temporary copy; set TMPDIR to a folder with space"
    return ""
