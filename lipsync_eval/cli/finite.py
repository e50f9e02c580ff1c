"""A number within a range that is one: click's own range lets nan and inf pass."""

from __future__ import annotations

import math
from typing import Any

import click


class Finite(click.FloatRange):
    """As `click.FloatRange`, without nan and infinities."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; refuses what is none, not finite, or out of range."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value} is no finite number", param, ctx)
        return found
