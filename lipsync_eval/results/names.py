"""Names come from files and may hold anything: control characters, markup, line breaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath


def printable(name: str) -> str:
    """A name as one line that cannot drive a terminal: what is not printable stands as \\x1b or \\u202e."""
    return "".join(
        c
        if c.isprintable()
        else f"\\x{ord(c):02x}"
        if ord(c) < 0x100
        else f"\\u{ord(c):04x}"
        if ord(c) < 0x10000
        else f"\\U{ord(c):08x}"
        for c in name
    )


def short_paths(paths: Sequence[str]) -> list[str]:
    """The shortest ends of different paths that tell them apart: a/gt and b/gt -> 'a/gt', 'b/gt'; equal paths stay equal."""
    parts = [PurePath(p).parts or (p,) for p in paths]
    out = []
    for mine in parts:
        others = [p for p in parts if p != mine]
        n = next((n for n in range(1, len(mine) + 1) if all(p[-n:] != mine[-n:] for p in others)), len(mine))
        out.append(str(PurePath(*mine[-n:])))
    return out


def shortened(names: Sequence[str], most: int) -> list[str]:
    """Names of at most `most` characters for legends and ticks, cut in the middle; different names stay different."""
    taken: dict[str, str] = {}
    out = []
    for name in names:
        text = full = printable(name)
        if len(full) > most:
            tail = (most - 1) // 2
            text = f"{full[: most - 1 - tail]}…{full[len(full) - tail :]}"
        k = 2
        while taken.setdefault(text, full) != full:
            text, k = f"{full[: most - 2 - len(str(k))]}… {k}", k + 1
        out.append(text)
    return out
