"""A single file that a command writes where its user says: what may be there already (docs/cli.md).

Such a file is made again at little cost, so one of the same kind is replaced, as a shell's `>` does. Nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from lipsync_eval.errors import OutputError
from lipsync_eval.files import is_stream, parse_json
from lipsync_eval.results.schema import RESULTS

_MOST: Final = 1 << 28
_RUN: Final = {RESULTS, "clips.csv", "frames.npz", "history.json"}
"""Files of a run, which hours of work may be in."""

Kind = Callable[[bytes], bool]
"""Whether a file's bytes are of a kind that the command writes."""


def text(data: bytes) -> bool:
    """A table, a summary, a log; nothing that holds data of ours as JSON."""
    try:
        words = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return "\0" not in words and _json(data) is None


def xml(data: bytes) -> bool:
    """JUnit."""
    return text(data) and data.lstrip().startswith(b"<")


def png(data: bytes) -> bool:
    """An image."""
    return data.startswith(b"\x89PNG\r\n\x1a\n")


def comparison(data: bytes) -> bool:
    """What `gate --json` writes."""
    return {"passed", "rows", "baseline_name"} <= (_json(data) or {}).keys()


def baseline(data: bytes) -> bool:
    """What `gate --update` writes: a run's results without its command line."""
    found = _json(data) or {}
    run = found.get("run")
    return isinstance(run, dict) and run.get("command") == [] and "scores" in found


def constants(data: bytes) -> bool:
    """What `style constants` writes."""
    return {"code_mean", "code_std"} <= (_json(data) or {}).keys()


def codes(data: bytes) -> bool:
    """What `personatalk style --codes` writes: a list."""
    return data.lstrip().startswith(b"[") and text(data)


def encoder(data: bytes) -> bool:
    """What `style train` writes: tensors beside the name of the format. The file is not loaded."""
    return data.startswith(b"PK") and b"lipsync-eval style encoder" in data


def check_output(path: Path | None, flag: str, kind: Kind, inputs: Iterable[object] = ()) -> None:
    """Refuse an output file that would replace what is no such output; call it before the work.

    Args:
        path: as the user gave it; None: no such file is written.
        flag: how it was given, for the message.
        kind: what a file that is there must be. An empty one is always replaced, a pipe or a device is written into.
        inputs: what the command reads; a folder stands for all that is in it. What is no path is passed over.

    Raises:
        OutputError: it is a folder, an input of this command, a file of a run, or a file of another kind.
    """
    try:
        if path is None or is_stream(path) or not (path.is_file() or path.is_dir()):
            return
        if path.is_dir():
            raise OutputError(f"{flag} {path}: is a folder; name a file")
        if any(_within(path, place) for place in inputs if isinstance(place, Path)):
            raise _refused(flag, path, "it is, or lies in, what the command reads")
        if path.name in _RUN and (path.parent / RESULTS).exists():
            raise _refused(flag, path, "it belongs to a run")
        data = path.read_bytes() if path.stat().st_size <= _MOST else b"\0"
    except OSError as error:
        raise OutputError(f"{flag} {path}: cannot be written ({error.strerror or error})") from error
    if data and not kind(data):
        raise _refused(flag, path, "it is no file that this option writes")


def check_apart(**files: Path | None) -> None:
    """Refuse two output options that name one file; a pipe or a device may be named twice.

    Raises:
        OutputError: they do.
    """
    seen: dict[Path, str] = {}
    for name, path in files.items():
        if path is not None and not is_stream(path) and (other := seen.setdefault(path.absolute(), name)) != name:
            raise OutputError(f"--{other} and --{name} both name {path}; give each a file of its own")


def _refused(flag: str, path: Path, why: str) -> OutputError:
    return OutputError(f"{flag} {path}: is there already and is not replaced: {why}; name another file, or remove it")


def _within(path: Path, place: Path) -> bool:
    return path.resolve().is_relative_to(place.resolve())


def _json(data: bytes) -> dict[str, Any] | None:
    if not data.lstrip().startswith(b"{"):
        return None
    try:
        found = parse_json(data.decode("utf-8"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
