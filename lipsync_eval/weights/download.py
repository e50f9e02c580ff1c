"""The only code that opens a socket: fetch a row's files, whole or not at all.

One process at a time fetches a file into a folder (a lock beside it); the others wait and then find it there. What a
transfer brings goes into a part file of the process's own, which the next process takes over by renaming it. A file gets
its name when it is whole, has the known hash or at least the look of weights, and is on the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import logging
import os
import re
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from lipsync_eval.errors import WeightsError
from lipsync_eval.files import is_file, sha256
from lipsync_eval.locks import Held, Lock
from lipsync_eval.weights.locate import matches, weights_cache_dir
from lipsync_eval.weights.registry import FileRow, WeightsRow, get_row

log = logging.getLogger("lipsync_eval")
Report = Callable[[str, int, int | None], None]
"""report(file name, bytes so far, bytes in all or None)"""

TRIES: Final = 4
_TIMEOUT: Final = 30.0
_BLOCK: Final = 1 << 18
_TEXT: Final = re.compile(rb"[\t\n\r\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Pulled:
    """One file that is here now."""

    name: str
    """Row, with .part where it is not the main file."""
    path: Path
    sha256: str
    verified: bool
    """False: the registry does not know its hash."""
    fetched: bool
    """False: it was here already."""


def pull(
    name: str,
    *,
    folder: Path | None = None,
    offline: bool = False,
    report: Report = lambda file, done, total: None,
    pause: float = 1.0,
) -> list[Pulled]:
    """Fetch the files of a row that are not here yet.

    A file gets its name only when it is whole and has the known hash. What a broken transfer left is continued by the next
    try and the next call, if the server still has the same file.

    Args:
        name: registry row.
        folder: where to; None: the user's weights folder.
        offline: raise instead of opening a socket.
        report: told about progress.
        pause: seconds before the second try; doubled each time.

    Raises:
        WeightsError: unknown row, no address, offline, every try failed, the wrong file was served, or the disk is full.
        UsageError: there is no user's weights folder here, and `folder` is None.
    """
    row = get_row(name)
    target = weights_cache_dir() if folder is None else folder
    try:
        return [_pull_file(row, entry, target, offline, report, pause) for entry in row.files]
    except OSError as error:
        raise WeightsError(
            f"{target} cannot be written: {error.strerror or error}; free space, or name another folder with --to"
        ) from error


def _pull_file(row: WeightsRow, entry: FileRow, folder: Path, offline: bool, report: Report, pause: float) -> Pulled:
    label = row.name if entry.part == "main" else f"{row.name}.{entry.part}"
    path = folder / entry.file
    if (digest := _here(entry, path)) is not None:
        return Pulled(label, path, digest, bool(entry.sha256), fetched=False)
    if not entry.urls:
        raise WeightsError(
            f"{label}: no address serves {entry.file}. {row.notes} Then give it with --weights {label}=FILE"
        )
    if offline:
        raise WeightsError(
            f"{label}: {entry.file} is not here, and --offline opens no socket; put the file into {folder}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire()
    except Held as error:
        log.warning("%s: is being fetched by %s; waiting for it", label, error)
        lock.acquire(wait=True)
    with lock:
        if (digest := _here(entry, path)) is not None:  # another process fetched it in the meantime
            return Pulled(label, path, digest, bool(entry.sha256), fetched=False)
        reasons = []
        for url in entry.urls:
            try:
                digest = _fetch(url, entry, path, report, pause)
                return Pulled(label, path, digest, bool(entry.sha256), fetched=True)
            except (WeightsError, zipfile.BadZipFile) as error:
                reasons.append(f"{url}: {error}")
    raise WeightsError(f"{label}: {entry.file} could not be fetched:\n  " + "\n  ".join(reasons))


def _here(entry: FileRow, path: Path) -> str | None:
    """sha256 of the file that is here already; None where there is none, or a damaged one."""
    if not is_file(path):
        return None
    digest = sha256(path)
    return None if _wrong(entry, path, path.stat().st_size, digest) else digest


def _fetch(url: str, entry: FileRow, path: Path, report: Report, pause: float) -> str:
    address, _, member = url.partition("#")
    if urllib.parse.urlsplit(address).scheme not in {"http", "https"}:
        raise WeightsError("only http and https addresses are fetched")
    part = _adopt(path, hashlib.sha256(address.encode()).hexdigest()[:8])
    glued = True
    while True:
        resumed = _bring(address, part, entry, report, pause)
        try:
            digest = _keep_member(part, member, entry, path) if member else _keep(part, entry, path)
        except (WeightsError, zipfile.BadZipFile):
            _forget(part)
            if not (resumed and glued):
                raise
            glued = False  # the old part may have been the damaged half: once more from the start
            continue
        _forget(part)
        return digest


def _adopt(path: Path, mark: str) -> Path:
    """A part file of this process, with what an earlier transfer from the same address left. The lock is held."""
    own = path.with_name(f".{path.name}.{mark}.{secrets.token_hex(4)}.part")
    left = sorted(path.parent.glob(f".{_globbed(path.name)}.{mark}*.part"), key=lambda p: p.stat().st_size)
    if left and left[-1].with_suffix(".etag").exists():
        last = left.pop()
        last.replace(own)
        last.with_suffix(".etag").replace(own.with_suffix(".etag"))
    for other in left:
        _forget(other)
    return own


def _globbed(name: str) -> str:
    return re.sub(r"([\[*?])", r"[\1]", name)


class _Broken(Exception):
    """The transfer ended too early."""


def _bring(address: str, part: Path, entry: FileRow, report: Report, pause: float) -> bool:
    """Bring `part` to the whole of what the address serves, in several tries; says whether an older part is in it."""
    resumed = False
    for attempt in range(TRIES):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            return _transfer(address, part, entry, lambda done, total: report(entry.file, done, total)) or resumed
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # nothing lies beyond what is here: it is whole, or of another file
                if 0 < _size(part) == _size_told(error.headers.get("Content-Range")):
                    return True
                _forget(part)
            elif error.code < 500 and error.code not in {408, 429}:
                raise WeightsError(f"the server answered {error.code} {error.reason}") from error
            reason: Exception = error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, _Broken) as error:
            resumed, reason = resumed or _size(part) > 0, error
    raise WeightsError(f"{TRIES} tries failed, the last with: {reason}; what came is kept, call again to go on")


def _transfer(address: str, part: Path, entry: FileRow, report: Callable[[int, int | None], None]) -> bool:
    """One try: go on where the part ends if the server has the same file, else start afresh."""
    etag = part.with_suffix(".etag")
    have = _size(part) if etag.exists() else 0
    request = urllib.request.Request(address, headers={"User-Agent": "lipsync-eval"})  # noqa: S310  (scheme is checked)
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", etag.read_text("utf-8"))
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310  (scheme is checked)
        start = have if answer.status == 206 else 0
        told = answer.headers.get("Content-Range")
        if start and told and not re.match(rf"\s*bytes\s+{start}-", told):
            _forget(part)
            raise _Broken(f"the server sent {told!r} where bytes from {start} on were asked for")
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        validator = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        with part.open("ab" if start else "wb") as file:
            if validator and not validator.startswith("W/"):
                etag.write_text(validator, "utf-8")
            else:
                etag.unlink(missing_ok=True)
            done = _copy(answer, file, start, lambda n: report(n, total), entry.bytes)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and done < total:
        raise _Broken(f"the transfer ended after {done} of {total} bytes")
    return start > 0


def _copy(
    source: IO[bytes], target: IO[bytes], done: int, report: Callable[[int], None], most: int | None = None
) -> int:
    while block := source.read(_BLOCK):
        target.write(block)
        done += len(block)
        report(done)
        if most is not None and done > most + _BLOCK:
            break  # more than the file can have: its hash or size will tell
    return done


def _keep(part: Path, entry: FileRow, path: Path) -> str:
    size, digest = _size(part), sha256(part)
    if why := _wrong(entry, part, size, digest):
        raise WeightsError(f"another file was served ({why}); it was thrown away")
    part.replace(path)
    return digest


def _keep_member(part: Path, member: str, entry: FileRow, path: Path) -> str:
    """Take one member out of a zip file; nothing else in it is written anywhere."""
    if why := _page(part):
        raise WeightsError(f"another file was served ({why}); it was thrown away")
    whole = part.with_suffix(".member")
    try:
        with zipfile.ZipFile(part) as archive:
            found = [i for i in archive.infolist() if i.filename.rsplit("/", 1)[-1] == member]
            if len(found) != 1:
                raise WeightsError(f"the zip file holds {len(found)} files called {member}, expected one")
            if entry.bytes is not None and found[0].file_size != entry.bytes:
                raise WeightsError(f"{member} in the zip file has {found[0].file_size} bytes, expected {entry.bytes}")
            with archive.open(found[0]) as source, whole.open("wb") as target:
                _copy(source, target, 0, lambda n: None)
                target.flush()
                os.fsync(target.fileno())
        return _keep(whole, entry, path)
    finally:
        whole.unlink(missing_ok=True)


def _wrong(entry: FileRow, path: Path, size: int, digest: str) -> str:
    """Why a file is not the row's; '' where nothing speaks against it."""
    if entry.sha256 and matches(entry.sha256, digest):
        return ""
    if why := _page(path):
        return why
    if entry.sha256:
        return f"its sha256 is {digest}, expected {entry.sha256}"
    if entry.bytes is not None and size != entry.bytes:
        return f"it has {size} bytes, expected {entry.bytes}"
    return _torn(path)


def _page(path: Path) -> str:
    """Why a file is a web page or a message and no weights, which are never text; '' otherwise."""
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        return "it is empty"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")):
        return "it is a web page, as a login or consent page of a network gives it: open the address in a browser, or use another network"
    if _TEXT.fullmatch(head):
        return f"it is text and no weights: {head[:60].decode('ascii')!r}"
    return ""


def _torn(path: Path) -> str:
    """Why a file without a known hash is not whole, where its form tells; '' otherwise."""
    with path.open("rb") as file:
        head = file.read(4)
    if head == b"PK\x03\x04" and not zipfile.is_zipfile(path):
        return "its end is missing"
    return ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _size_told(content_range: str | None) -> int | None:
    """N of 'bytes */N'."""
    found = re.fullmatch(r"\s*bytes\s+\*/(\d+)\s*", content_range or "")
    return int(found.group(1)) if found else None


def _forget(part: Path) -> None:
    for path in (part, part.with_suffix(".etag")):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
