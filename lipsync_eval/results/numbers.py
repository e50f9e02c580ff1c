"""How numbers are printed and compared: one rounding rule for score, table, plot, page and gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_Values = NDArray[np.float64] | float

ROUNDING: Final = 1e-9
"""Share of a value (of 1 for smaller ones) up to which two values are one: sums in another order, decimals in binary."""
LARGEST: Final = 1e100
"""Larger than any measurement: sums and squares of many such are still finite, and so are means and intervals."""


def measured(value: float) -> bool:
    """Whether a number can be a measurement: it is finite, and so are the sums that are made of many like it."""
    return abs(value) < LARGEST / 2


def fixed(value: float, decimals: int) -> str:
    """The value with so many digits after the point; never '-0.0'."""
    return unsigned_zero(f"{value:.{decimals}f}")


def unsigned_zero(text: str) -> str:
    """A printed number without the sign of a zero: '-0.00' -> '0.00'."""
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def rounded(value: float, decimals: int) -> float:
    """The number that `fixed` prints; 0.0 for -0.0."""
    return round(value, decimals) + 0.0


def apart(a: float, b: float, *others: float) -> float:
    """a - b, or exactly 0 where the two differ by no more than ROUNDING.

    Args:
        a, b: the values.
        others: values that a or b were made from; the largest of all sets the scale.
    """
    scale = max(1.0, abs(a), abs(b), *map(abs, others))
    return 0.0 if abs(a - b) <= ROUNDING * scale else a - b


def all_apart(a: _Values, b: _Values, *others: _Values) -> NDArray[np.float64]:
    """`apart` of many values, element by element; single ones stand for as many as the others are."""
    scale = np.maximum(1.0, np.abs(a))
    for x in (b, *others):
        scale = np.maximum(scale, np.abs(x))
    return np.where(np.abs(a - b) <= ROUNDING * scale, 0.0, a - b)


def level(values: Sequence[float] | NDArray[np.float64], direction: str | None) -> float:
    """What a metric's clips are ranked by: their mean, and for 'zero' the mean of their absolute values.

    +5 and -5 are as far from 0 as two times 5: offsets do not cancel. One definition for score, table, plot and gate.

    Args:
        values: one per clip, at least one.
        direction: 'up', 'down', 'zero' or None.
    """
    x = np.asarray(values, np.float64)
    return float(np.mean(np.abs(x) if direction == "zero" else x))


def rank(value: float, direction: str) -> float:
    """A score as a number that is smaller for the better one; direction 'up', 'down' or 'zero'."""
    return -value if direction == "up" else abs(value) if direction == "zero" else value


def ranks(values: Sequence[float], direction: str) -> NDArray[np.float64]:
    """`rank` of many values."""
    x = np.asarray(values, np.float64)
    return -x if direction == "up" else np.abs(x) if direction == "zero" else x
