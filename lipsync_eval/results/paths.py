"""Where the videos of a run are. In memory paths are absolute; in a file they start from the file's own folder where they can.

An address (`s3://...`) is itself everywhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lipsync_eval.urls import is_url

Change = Callable[[str], str]


def absolute(text: str) -> str:
    """A path from the working folder as an absolute one, without '..'; symbolic links stay."""
    return text if is_url(text) else os.path.normpath(Path.cwd() / text)


def from_folder(text: str, folder: Path) -> str:
    """A path as one that starts from `folder`, where the two have more in common than the root; else as an absolute one.

    A run that is moved or copied together with its videos still finds them.
    """
    if is_url(text):
        return text
    start = os.path.realpath(folder)
    text = absolute(text)
    try:
        shared = os.path.commonpath([start, text])
    except ValueError:  # two drives
        return text
    return text if Path(shared).parent == Path(shared) else os.path.relpath(text, start)


def to_absolute(text: str, folder: Path) -> str:
    """The inverse of `from_folder`."""
    return absolutes(folder)(text)


def absolutes(folder: Path) -> Change:
    """`to_absolute` for many texts of one folder: where it is, is looked up once."""
    start = os.path.realpath(folder)
    known: dict[str, str] = {}

    def whole(text: str) -> str:
        if is_url(text):
            return text
        parent, name = os.path.split(text)
        if name in ("", os.curdir, os.pardir):
            return os.path.normpath(os.path.join(start, text)) if text else text  # noqa: PTH118
        if parent not in known:
            known[parent] = os.path.join(os.path.normpath(os.path.join(start, parent)), "")  # noqa: PTH118
        return known[parent] + name

    return whole


def changed(result: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """A result as plain data, with `change` applied to the path of every file that it names."""
    out = dict(result)
    data = out.get("data")
    if isinstance(data, Mapping):
        out["data"] = {**data, **{k: change(v) for k in ("gen", "gt") if (v := data.get(k)) and isinstance(v, str)}}
    if isinstance(out.get("clips"), list):
        out["clips"] = [_clip(clip, change) if isinstance(clip, Mapping) else clip for clip in out["clips"]]
    return out


def _clip(clip: Mapping[str, Any], change: Change) -> dict[str, Any]:
    out = {**clip, **{k: change(v) for k in ("gen", "gt") if (v := clip.get(k)) and isinstance(v, str)}}
    details = clip.get("details")
    if isinstance(details, Mapping):
        out["details"] = {
            key: {**side, "sound_file": change(side["sound_file"])}
            if key in ("gen", "gt") and isinstance(side, Mapping) and isinstance(side.get("sound_file"), str)
            else side
            for key, side in details.items()
        }
    return out
