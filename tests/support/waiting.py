"""Wait for what another process does, on a machine of any speed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

PATIENCE = 600.0
"""Seconds after which something hangs, however busy the machine is."""


def until(there: Callable[[], object], what: str) -> None:
    """Return as soon as `there()` is true; a failure that names `what` if that never comes."""
    end = time.monotonic() + PATIENCE
    while not there():
        if time.monotonic() > end:
            pytest.fail(f"did not come: {what}")
        time.sleep(0.02)
