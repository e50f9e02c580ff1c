"""Files that are written whole or not at all, and cells that a spreadsheet would run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from lipsync_eval.errors import ParseError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMULA: Final = re.compile(r"\s*(=|[+\-@].*[(|!=])", re.DOTALL)
"""How a cell of a CSV begins that a spreadsheet may run. A clip called -0Xab or @someone is none: it can call nothing."""


_TOML_MOST: Final = 1 << 20


def cell_text(cell: str) -> str:
    """The text that a cell of a CSV of ours stands for: "'=cmd" is "=cmd" again (`results.csv_text` writes them)."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell.lstrip("'")) else cell


def parse_json(text: str, *, nan: bool = True) -> Any:
    """The value that JSON text stands for.

    Args:
        nan: take NaN and Infinity, which Python writes and JSON has not.

    Raises:
        ValueError: it is no JSON, or nested so deeply that Python's reader gives up.
    """
    try:
        return json.loads(text, parse_constant=None if nan else _no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def parse_toml(text: str) -> dict[str, Any]:
    """The tables that TOML text stands for.

    Raises:
        ValueError: it is no TOML, or nested so deeply that Python's reader gives up.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_npz(path: Path) -> dict[str, NDArray[np.generic]]:
    """All arrays of an .npz file; nothing in it is unpickled.

    Raises:
        ParseError: there is no such file, or it is not that; the message is the cause alone, for the caller's own words.
    """
    import numpy as np

    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise ParseError(str(error)) from error


def read_toml(path: Path, what: str = "") -> dict[str, Any]:
    """What stands in a TOML file (UTF-8, at most 1 MB).

    Args:
        path: the file.
        what: what it was given as, for the message: '--layout', 'protocol file'.

    Raises:
        ParseError: no such file, too large, or not TOML (also where it is nested too deeply, or holds a number too long).
    """
    named = f"{what} {path}".strip()
    try:
        with path.open("rb") as file:
            data = file.read(_TOML_MOST + 1)
        if len(data) > _TOML_MOST:
            raise ParseError(f"{named}: cannot be read as TOML (it is larger than {_TOML_MOST} bytes)")
        return parse_toml(data.decode("utf-8").replace("\r\n", "\n"))
    except (OSError, ValueError) as error:
        raise ParseError(f"{named}: cannot be read as TOML ({error})") from error


@contextmanager
def atomic(path: Path, mode: str = "wb") -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path`; on success it replaces `path`, on any error it is removed.

    What is no file on a disk (a pipe, /dev/stdout, /dev/full) is written into and never replaced.

    Raises:
        OSError: the folder cannot be written or the disk is full; `path` is then as it was, and the error names it.
    """
    try:
        if is_stream(path):
            with path.open(mode) as plain:
                yield plain
            return
        with _temporary(path, mode) as (file, name):
            yield file
            file.flush()
            os.fsync(file.fileno())
            name.chmod(0o666 & ~_umask())
            name.replace(path)
    except OSError as error:
        if error.errno is None or not str(error.filename or ".tmp").endswith(".tmp"):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # not the temporary file's name


def create(path: Path, data: bytes) -> bool:
    """Make a new file with all of its bytes at once, unless there is one: the first of several processes wins.

    A hard link is the step that only one can take, on network folders too; where the file system has no hard links, an
    exclusive open is (others can then see the file empty for a moment).

    Returns:
        False when `path` exists already.

    Raises:
        OSError: the folder cannot be written.
    """
    with _temporary(path, "wb") as (file, name):
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(name, path)
            return True
        except FileExistsError:
            return False
        except OSError:
            with contextlib.suppress(FileExistsError), path.open("xb") as plain:
                plain.write(data)
                return True
            return False


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with \\n line ends, whole or not at all.

    A name of the file system whose bytes are no UTF-8 holds half characters (U+DC80 to U+DCFF, one a byte). UTF-8 cannot
    write them, so they become \\udc80 to \\udcff: in JSON that is the same text, elsewhere one that can be read.
    """
    with atomic(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def sha256(*paths: Path) -> str:
    """sha256 (64 hex digits) of the bytes of the files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def is_file(path: Path) -> bool:
    """Whether there is a file that this process can see; a folder that may not be searched counts as without it."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def _temporary(path: Path, mode: str) -> Iterator[tuple[IO[bytes], Path]]:
    """A temporary file beside `path`; it is gone afterwards unless it was renamed."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{_short(path.name)}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, mode) as file:
            yield file, temporary
    finally:
        temporary.unlink(missing_ok=True)


def is_stream(path: Path) -> bool:
    """Whether writing to `path` is not writing to a disk: a pipe, a device, a link to one, an open file by its number."""
    found = path.parent.resolve()
    if found == Path("/dev") or found.is_relative_to("/proc"):
        return True
    try:
        kind = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def _short(name: str) -> str:
    """The start of a name, short enough (in bytes) that something can be added to it."""
    return os.fsdecode(os.fsencode(name)[:40]) if len(os.fsencode(name)) > 40 else name


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
