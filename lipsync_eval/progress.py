"""How long work says what it is doing."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, str, float], None]
"""progress(item, stage, share): `item` (a clip's id, a file, a generator's clip) is in `stage`, of which `share` is done (0..1).

A run over many items tells their number first, as progress('', 'total', n), and progress(item, 'done', 1.0) for each
that is finished. When an item ends it may tell how long its parts took, as progress(item, SPENT + part, seconds).
"""
SPENT = "spent: "
"""What a stage that tells seconds begins with."""


def silent(item: str, stage: str, share: float) -> None:
    """Tell nobody."""
