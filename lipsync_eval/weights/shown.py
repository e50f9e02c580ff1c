"""How a value out of a checkpoint stands in a message."""

from __future__ import annotations

from typing import Any


def shown(value: Any) -> str:
    """A value out of a file for a message: short, and cheap whatever it is."""
    if isinstance(value, str | bytes):
        return repr(value[:60]) + ("..." if len(value) > 60 else "")
    if isinstance(value, bool | float | None) or (isinstance(value, int) and value.bit_length() <= 200):
        return repr(value)
    if (
        type(value) in (tuple, list)
        and len(value) <= 16
        and all(type(v) is int and v.bit_length() <= 200 for v in value)
    ):
        return repr(value)
    name = getattr(value, "name", None)  # of a Global or a Stub
    return name if isinstance(name, str) else f"a {type(value).__name__}"
