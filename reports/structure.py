"""What a table is: columns, rows and cells with their marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lipsync_eval.results.facts import Direction
from lipsync_eval.results.rows import Interval, Resample

Kind = Literal["measured", "published"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One number and its marks."""

    value: float | None
    mean_abs: float | None = None
    """For metrics whose best value is 0: mean of the clips' absolute values, which ranks."""
    interval: Interval | None = None
    resample: Resample = "clip"
    """What `interval` draws."""
    n_scored: int | None = None
    n_asked: int | None = None
    signature: str = ""
    best: bool = False
    second: bool = False
    star: bool = False
    """Nearest to the real videos' own score."""
    significant: bool = False
    """Better than every other measured method by the paired bootstrap."""


@dataclass(frozen=True, slots=True)
class Column:
    """One metric on one dataset."""

    dataset: str
    metric: str
    heading: str
    direction: Direction | None
    decimals: int
    ranked: bool = True
    """False: shown without marks."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One method."""

    method: str
    kind: Kind
    is_gt: bool
    cells: Mapping[tuple[str, str], Cell]
    """(dataset, metric) -> cell."""
    source: str
    """Where a published row stands; empty for a measured one."""
    population: str
    """Published rows are ranked within one: the paper, and the dataset where rows are split by it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table to render."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    footnotes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Metrics that were measured and are not shown."""
    unmeasured: tuple[str, ...] = ()
    """Metrics that were printed in the papers and are not shown."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """Column groups, in order."""
        return tuple(dict.fromkeys(c.dataset for c in self.columns))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is not shown, in words."""
        parts = (("Measured but not shown", self.left_out), ("Printed but not shown", self.unmeasured))
        return tuple(f"{what}: {', '.join(metrics)}." for what, metrics in parts if metrics)
