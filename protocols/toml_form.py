"""A protocol declared in a TOML file.

    name = "mine"
    version = 1
    size = 256
    summary = "Square around the mouth"
    [crop]
    base = "upright"                 # ffhq | eyes | upright | box | frame
    centre = [48, 54]                # mean of these of the 68 points (0-based): ffhq, eyes, upright
    radius = ["x54 - x48"]           # half side = the largest of these lengths; "unit" is the base's own
    scale = 1.4

What the file says about the crop goes into the signature as 8 digits of a hash; comments, spelling and order do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, get_args

from lipsync_eval.errors import ParseError
from lipsync_eval.files import read_toml
from lipsync_eval.options import hint
from lipsync_eval.protocol import Protocol, ProtocolSpec, ShotRule, SyncDetector, SyncRules, TrackChoice
from lipsync_eval.protocols.crops import LayoutProtocol
from lipsync_eval.protocols.layout import BASES, CROP_FROM, LENGTH, RADIUS_MODES, SHAPES, UNIT, Layout, digest

_TOP = {"name", "version", "size", "summary", "citation", "choices", "crop", "sync"}
_SYNC = {"detector": SyncDetector, "min_track": int, "shots": ShotRule, "tracks": TrackChoice}
_POINTED = {"base", "centre", "radius", "scale", "offset", "crop_from", "radius_mode"}
_KEYS = {
    "ffhq": _POINTED,
    "eyes": _POINTED,
    "upright": _POINTED,
    "frame": {"base"},
    "box": {"base", "margins", "pads", "smooth", "shape", "scale", "offset", "crop_from", "radius_mode"},
}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def load(path: Path, options: Mapping[str, str]) -> Protocol:
    """Read a protocol file and bind options.

    Raises:
        ParseError: it cannot be read, or a key is unknown, missing or of a wrong value; the message names it and what is allowed.
        UsageError: an option that the protocol does not have.
    """
    data = read_toml(path, "protocol file")
    bad = _Bad(path)
    bad.unknown("", data, _TOP)
    crop = data.get("crop")
    if not isinstance(crop, dict):
        bad("crop", "a table [crop] that says where the crop lies")
    spec = _spec(data, bad, needs_track=crop.get("base") != "frame")
    layout = _layout(crop, bad)
    return LayoutProtocol(spec, layout, options, content=digest(layout, spec.size))


class _Bad:
    """Raises ParseError about one key of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, key: str, expected: str, found: Any = None) -> NoReturn:
        got = "" if found is None else f", found {found!r}"
        raise ParseError(f"protocol file {self.path}{self._line(key)}: {key}: expected {expected}{got}")

    def _line(self, key: str) -> str:
        """', line 7' where the key is set; nothing where it is missing or written in an unusual way."""
        table, _, name = key.rpartition(".")
        text = self.path.read_text("utf-8")
        heading = re.search(rf"^[ \t]*\[{table}\]", text, re.MULTILINE) if table else None
        start = heading.end() if table and heading else 0
        found = re.compile(rf"^[ \t]*{re.escape(name)}[ \t]*=", re.MULTILINE).search(text, start)
        return f", line {text.count(chr(10), 0, found.start()) + 1}" if found else ""

    def unknown(self, place: str, table: Mapping[str, Any], allowed: set[str]) -> None:
        for key in table:
            if key not in allowed:
                self(f"{place}{key}", f"one of {', '.join(sorted(allowed))}.{hint(key, allowed)}")


def _spec(data: Mapping[str, Any], bad: _Bad, *, needs_track: bool) -> ProtocolSpec:
    name, version, size = data.get("name"), data.get("version", 1), data.get("size")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        bad("name", "small letters, digits, '-' and '_', at most 40", name)
    if not _whole(version, 1, 10_000):
        bad("version", "a whole number from 1 on", version)
    if size is None and needs_track:
        bad("size", "the side of the crop in px, 16 to 2048")
    if size is not None and not _whole(size, 16, 2048):
        bad("size", "a whole number of px, 16 to 2048", size)
    choices = data.get("choices", [])
    if not isinstance(choices, list) or not all(isinstance(c, str) for c in choices):
        bad("choices", "a list of sentences", choices)
    for key in ("summary", "citation"):
        if not isinstance(data.get(key, ""), str):
            bad(key, "a text", data[key])
    return ProtocolSpec(
        name=name,
        version=version,
        size=size,
        needs_track=needs_track,
        summary=data.get("summary") or f"declared in {bad.path.name}",
        citation=data.get("citation") or "a file of the user's",
        choices=tuple(choices),
        sync=_sync(data.get("sync", {}), bad),
    )


def _sync(table: Any, bad: _Bad) -> SyncRules:
    """The table [sync]: how SyncNet's metrics find their crops under this protocol."""
    if not isinstance(table, dict):
        bad("sync", "a table [sync] that says how SyncNet's metrics find their crops", table)
    bad.unknown("sync.", table, set(_SYNC))
    for key, value in table.items():
        if key == "min_track":
            if not _whole(value, 0, 100_000):
                bad("sync.min_track", "a whole number of frames, 0 to 100000", value)
        elif value not in (there := get_args(_SYNC[key])):
            bad(f"sync.{key}", f"one of {', '.join(there)}", value)
    return SyncRules(**table)


def _layout(crop: dict[str, Any], bad: _Bad) -> Layout:
    base = crop.get("base")
    if base not in BASES:
        bad("crop.base", f"one of {', '.join(BASES)}", base)
    bad.unknown("crop.", crop, _KEYS[str(base)])
    for key, allowed in (("crop_from", CROP_FROM), ("radius_mode", RADIUS_MODES), ("shape", SHAPES)):
        if key in crop and crop[key] not in allowed:
            bad(f"crop.{key}", f"one of {', '.join(allowed)}", crop[key])
    values: dict[str, Any] = {k: crop[k] for k in ("base", "crop_from", "radius_mode", "shape") if k in crop}
    for key, count in (("margins", 4), ("pads", 4), ("offset", 2)):
        if key in crop:
            if not isinstance(crop[key], list) or len(crop[key]) != count or not all(_number(v) for v in crop[key]):
                bad(f"crop.{key}", f"{count} numbers", crop[key])
            values[key] = tuple(float(v) + 0.0 for v in crop[key])  # -0.0 is 0.0
    if "scale" in crop:
        if not _number(crop["scale"]) or not 0 < crop["scale"] <= 100:
            bad("crop.scale", "a number above 0, at most 100", crop["scale"])
        values["scale"] = float(crop["scale"])
    if "smooth" in crop:
        if not _whole(crop["smooth"], 1, 1000):
            bad("crop.smooth", "a whole number of frames, 1 to 1000", crop["smooth"])
        values["smooth"] = crop["smooth"]
    if values.get("shape") == "stretch" and values.get("radius_mode") == "clip-median":
        bad("crop.radius_mode", "per-frame, because a stretched box has no radius", "clip-median")
    if base in {"ffhq", "eyes", "upright"}:
        values |= _pointed(crop, bad)
    return Layout(**values)


def _pointed(crop: Mapping[str, Any], bad: _Bad) -> dict[str, Any]:
    centre, radius = crop.get("centre"), crop.get("radius")
    if not isinstance(centre, list) or not centre or not all(_whole(c, 0, 67) for c in centre):
        bad("crop.centre", "a list of points, 0 to 67", centre)
    if not isinstance(radius, list) or not radius or not all(isinstance(r, str) and _length(r) for r in radius):
        bad("crop.radius", f'a list of lengths such as "ymax - y29", "x54 - x48" or "{UNIT}"', radius)
    return {"centre": tuple(sorted(centre)), "radius": tuple(map(_spelled, radius))}


def _spelled(text: str) -> str:
    """A length in its one spelling: 'y08-y29' is 'y8 - y29'."""
    match = LENGTH.fullmatch(text)
    if match is None:
        return text
    a, b, c, d = (part if part.isalpha() else str(int(part)) for part in match.groups())
    return f"{a}{b} - {c}{d}"


def _length(text: str) -> bool:
    match = LENGTH.fullmatch(text)
    if text == UNIT:
        return True
    return match is not None and all(g in {"max", "min"} or int(g) <= 67 for g in (match.group(2), match.group(4)))


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e6
