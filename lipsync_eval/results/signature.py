"""The signature: everything that can move a number, as sorted key:value joined by |.

`n` (clips scored of clips asked) and `v` (package version) are printed and not compared: a different n is the gate's
business, a different v a warning, because every metric carries its own version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from lipsync_eval.errors import ParseError, SignatureMismatch, UsageError
from lipsync_eval.registry import no_such

NOT_COMPARED = frozenset({"n", "v"})
CROP_FROM = "crop_from"
"""Key that says whose landmarks cropped the clips of a score; also a clip's fact of that name in ClipRow.details."""
MIXED = "gt+own"
"""Its value where some clips were cropped from the real video's landmarks and some from their own."""

MEANING: Final[Mapping[str, str]] = {
    "agg": "how clips became one number",
    "align": "what was done with unlike lengths",
    "audio": "whose audio was scored",
    CROP_FROM: "whose landmarks placed the generated crops",
    "dtype": "number format of the networks, where it is not fp32",
    "experiment": "which experiment of `compare` made the videos",
    "faces": "landmark backend and detector",
    "face": "which face was followed",
    "feat": "extractor and weights",
    "fps": "frame rate",
    "media": "version of how files become frames and audio",
    "gt": "whether there were real videos",
    "metric": "metric and its version",
    "proto": "crop protocol and its options",
    "real": "statistics of real videos that were read or written",
    "setting": "what the real videos show: the same speech, or other speech",
    "sync": "where SyncNet's crops come from",
    "reference": "content of what --reference names",
}
"""What the keys say that several metrics share; a metric may add its own."""
DATA: Final = "data"
"""Not a key, but what --ignore calls the real videos."""


def format_signature(parts: Mapping[str, str]) -> str:
    """{'metric': 'psnr.1', 'fps': '25'} -> 'fps:25|metric:psnr.1'.

    Raises:
        ParseError: a key or value is empty or holds '|' , ':' or a line break.
    """
    for key, value in parts.items():
        for text in (key, value):
            if not text or any(c in text for c in "|:\n\r"):
                raise ParseError(f"signature part {key!r}:{value!r} may not be empty or hold '|', ':' or a line break")
    return "|".join(f"{key}:{parts[key]}" for key in sorted(parts))


def parse_signature(text: str) -> dict[str, str]:
    """'fps:25|metric:psnr.1' -> {'fps': '25', 'metric': 'psnr.1'}.

    Raises:
        ParseError: not of that form.
    """
    parts: dict[str, str] = {}
    for piece in text.split("|"):
        key, colon, value = piece.partition(":")
        if not (key and colon and value) or key in parts:
            raise ParseError(f"{text!r} is no signature: expected key:value|key:value, found {piece!r}")
        parts[key] = value
    return parts


def check_ignored(keys: Iterable[str], signatures: Iterable[str]) -> None:
    """Raise UsageError for a key of --ignore that is none: neither known nor in any of the signatures."""
    known = sorted({*MEANING, DATA, *(key for text in signatures for key in parse_signature(text))} - NOT_COMPARED)
    for key in keys:
        if key not in known:
            raise UsageError(f"--ignore {key!r}: {no_such('key of a signature', key, known)}")


def difference(a: str, b: str, ignore: Iterable[str] = ()) -> dict[str, tuple[str | None, str | None]]:
    """Keys on which two signatures disagree -> (value in a, value in b).

    `n`, `v` and ignored keys are not compared, nor is `crop_from` where one of the two has no clip and so does not say it: no
    crop was made that could differ. So this is no equivalence: of many runs, compare all with one that has scored clips.
    """
    left, right = parse_signature(a), parse_signature(b)
    skip = NOT_COMPARED | frozenset(ignore)
    if any(CROP_FROM not in parts and parts.get("n", "").startswith("0of") for parts in (left, right)):
        skip |= {CROP_FROM}
    return {
        key: (left.get(key), right.get(key))
        for key in sorted((left.keys() | right.keys()) - skip)
        if left.get(key) != right.get(key)
    }


def require_same(a: str, b: str, *, names: tuple[str, str], ignore: Iterable[str] = ()) -> None:
    """Raise SignatureMismatch, naming every differing key, unless the two scores can be compared."""
    found = difference(a, b, ignore)
    if found:
        lines = "; ".join(
            f"{key}: {x or '(absent)'} in {names[0]}, {y or '(absent)'} in {names[1]}" for key, (x, y) in found.items()
        )
        raise SignatureMismatch(
            f"{names[0]} and {names[1]} were not measured the same way: {lines}. Score both the same way, or name the key with --ignore"
        )


def short_hash(signature: str) -> str:
    """8 hex digits over the compared part: a footnote's name for it."""
    parts = {k: v for k, v in parse_signature(signature).items() if k not in NOT_COMPARED}
    return hashlib.sha256(format_signature(parts).encode()).hexdigest()[:8]
