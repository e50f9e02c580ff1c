"""A network for tests of where networks run; it tells what batches it was given."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.networks import itemwise


class Toy:
    """Rows in, rows out."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    @itemwise
    def scale(self, rows: NDArray[np.float32], most: int) -> NDArray[np.float32]:
        """Rows times the factor; more than `most` rows are refused."""
        if len(rows) > most:
            raise InputError(f"{len(rows)} rows, {most} allowed")
        return rows * np.float32(self.factor)

    @itemwise
    def batch_size(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The rows, and how many rows each was computed with."""
        time.sleep(0.2)
        return rows, np.full(len(rows), len(rows))

    def total(self, rows: NDArray[np.float32]) -> float:
        """Not itemwise: the sum over all rows."""
        return float(rows.sum())

    def process(self) -> int:
        """Where this runs."""
        return os.getpid()

    def end(self) -> None:
        """What a crash of a driver looks like."""
        os._exit(9)


def toy(factor: float) -> Toy:
    """The maker."""
    if factor < 0:
        raise InputError("no network of this kind")
    return Toy(factor)


def using(factor: float) -> Any:
    """What a measuring process does in these tests: one call a job."""
    from lipsync_eval.networks import find

    network = find(Toy, f"{__name__}:toy", factor)

    def work(job: Any, report: Any) -> Any:
        method, arrays, given = job
        return os.getpid(), getattr(network, method)(*arrays, **dict(given))

    return work
