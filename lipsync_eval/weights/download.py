"""The only code that opens a socket: fetch a row's files, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
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
from lipsync_eval.files import sha256
from lipsync_eval.weights.locate import matches, weights_cache_dir
from lipsync_eval.weights.registry import FileRow, Row, get_row

Report = Callable[[str, int, int | None], None]
"""report(file name, bytes so far, bytes in all or None)"""

TRIES: Final = 4
_TIMEOUT: Final = 30.0
_BLOCK: Final = 1 << 18


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
    """
    row = get_row(name)
    target = weights_cache_dir() if folder is None else folder
    try:
        target.mkdir(parents=True, exist_ok=True)
        return [_pull_file(row, entry, target, offline, report, pause) for entry in row.files]
    except OSError as error:
        raise WeightsError(
            f"{target} cannot be written: {error}; free space, or name another folder with --to"
        ) from error


def _pull_file(row: Row, entry: FileRow, folder: Path, offline: bool, report: Report, pause: float) -> Pulled:
    label = row.name if entry.part == "main" else f"{row.name}.{entry.part}"
    path = folder / entry.file
    if path.is_file():
        digest = sha256(path)
        if not entry.sha256 or matches(entry.sha256, digest):
            return Pulled(label, path, digest, bool(entry.sha256), fetched=False)
    if not entry.urls:
        raise WeightsError(
            f"{label}: no address serves {entry.file}. {row.notes} Then give it with --weights {label}=FILE"
        )
    if offline:
        raise WeightsError(
            f"{label}: {entry.file} is not here, and --offline opens no socket; put the file into {folder}"
        )
    reasons = []
    for url in entry.urls:
        try:
            digest = _fetch(url, entry, path, report, pause)
            return Pulled(label, path, digest, bool(entry.sha256), fetched=True)
        except (WeightsError, zipfile.BadZipFile) as error:
            reasons.append(f"{url}: {error}")
    raise WeightsError(f"{label}: {entry.file} could not be fetched:\n  " + "\n  ".join(reasons))


def _fetch(url: str, entry: FileRow, path: Path, report: Report, pause: float) -> str:
    address, _, member = url.partition("#")
    if urllib.parse.urlsplit(address).scheme not in {"http", "https"}:
        raise WeightsError("only http and https addresses are fetched")
    mark = hashlib.sha256(address.encode()).hexdigest()[:8]
    part = path.with_name(f".{path.name}.{mark}.part")
    for attempt in range(TRIES):
        try:
            _transfer(address, part, lambda done, total: report(entry.file, done, total))
            break
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in {408, 416, 429}:
                raise WeightsError(f"the server answered {error.code} {error.reason}") from error
            reason: Exception = error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, _Broken) as error:
            reason = error
        if attempt == TRIES - 1:
            raise WeightsError(
                f"{TRIES} tries failed, the last with: {reason}; what came is kept, call again to go on"
            ) from reason
        time.sleep(pause * 2**attempt)
    digest = _keep_member(part, member, entry, path) if member else _keep(part, entry, path)
    _forget(part)
    return digest


class _Broken(Exception):
    """The transfer ended too early."""


def _transfer(address: str, part: Path, report: Callable[[int, int | None], None]) -> None:
    """Bring `part` to the whole of what the address serves, going on where it ended if the server has the same file."""
    etag = part.with_suffix(".etag")
    have = part.stat().st_size if part.exists() and etag.exists() else 0
    request = urllib.request.Request(address, headers={"User-Agent": "lipsync-eval"})  # noqa: S310  (scheme is checked)
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", etag.read_text("utf-8"))
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310  (scheme is checked)
        start = have if answer.status == 206 else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        validator = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        with part.open("ab" if start else "wb") as file:
            if validator and not validator.startswith("W/"):
                etag.write_text(validator, "utf-8")
            else:
                etag.unlink(missing_ok=True)
            done = _copy(answer, file, start, lambda n: report(n, total))
    if total is not None and done != total:
        raise _Broken(f"the transfer ended after {done} of {total} bytes")


def _copy(source: IO[bytes], target: IO[bytes], done: int, report: Callable[[int], None]) -> int:
    while block := source.read(_BLOCK):
        target.write(block)
        done += len(block)
        report(done)
    return done


def _keep(part: Path, entry: FileRow, path: Path) -> str:
    size, digest = part.stat().st_size, sha256(part)
    _check(entry, size, digest, part)
    part.replace(path)
    return digest


def _keep_member(part: Path, member: str, entry: FileRow, path: Path) -> str:
    """Take one member out of a zip file; nothing else in it is written anywhere."""
    whole = path.with_name(f".{path.name}.member")
    try:
        with zipfile.ZipFile(part) as archive:
            found = [i for i in archive.infolist() if i.filename.rsplit("/", 1)[-1] == member]
            if len(found) != 1:
                raise WeightsError(f"the zip file holds {len(found)} files called {member}, expected one")
            if entry.bytes is not None and found[0].file_size != entry.bytes:
                raise WeightsError(f"{member} in the zip file has {found[0].file_size} bytes, expected {entry.bytes}")
            with archive.open(found[0]) as source, whole.open("wb") as target:
                _copy(source, target, 0, lambda n: None)
        return _keep(whole, entry, path)
    except (WeightsError, zipfile.BadZipFile):
        _forget(part)
        raise
    finally:
        whole.unlink(missing_ok=True)


def _check(entry: FileRow, size: int, digest: str, part: Path) -> None:
    wrong = ""
    if entry.sha256 and not matches(entry.sha256, digest):
        wrong = f"its sha256 is {digest}, expected {entry.sha256}"
    elif not entry.sha256 and entry.bytes is not None and size != entry.bytes:
        wrong = f"it has {size} bytes, expected {entry.bytes}"
    if wrong:
        _forget(part)
        raise WeightsError(f"another file was served ({wrong}); it was thrown away")


def _forget(part: Path) -> None:
    for path in (part, part.with_suffix(".etag")):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
