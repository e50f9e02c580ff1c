"""A protocol declared in a TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lipsync_eval.errors import UsageError
from lipsync_eval.protocol import Protocol


def load(path: Path, options: Mapping[str, str]) -> Protocol:
    """Not built yet."""
    raise UsageError(f"protocol files are not supported yet: {path}")
