"""Which frames are references: algorithm 1 of the paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lipsync_eval.types import Float


def _drawn(candidates: Sequence[int], count: int, rng: np.random.Generator) -> list[int]:
    """`count` of the candidates without repetition, with it where there are fewer."""
    found: list[int] = rng.choice(np.asarray(candidates), count, replace=len(candidates) < count).tolist()
    return found


def training_face(i: int, start: int, stop: int, count: int, window: int, rng: np.random.Generator) -> list[int]:
    """Uniformly from the frames at most `window` away from i within start..stop-1; i itself is left out."""
    around = [k for k in range(max(start, i - window), min(stop, i + window + 1)) if k != i]
    return _drawn(around or [i], count, rng)


def training_any(i: int, start: int, stop: int, count: int, rng: np.random.Generator) -> list[int]:
    """At random from start..stop-1; i itself is left out."""
    return _drawn([k for k in range(start, stop) if k != i] or [i], count, rng)


def centred(position: int, total: int, count: int) -> list[int]:
    """The `count` positions of 0..total-1 around `position`, itself included; at the ends the nearest `count`.

    With fewer than `count` there are repetitions of the last.
    """
    first = min(max(position - count // 2, 0), max(total - count, 0))
    return [min(first + k, total - 1) for k in range(count)]


def by_opening(openings: Float, count: int) -> list[int]:
    """Frames sorted by mouth opening of the un-posed geometry, `count` taken evenly, smallest and largest included.

    With fewer than `count` frames some come again.
    """
    order = np.argsort(openings, kind="stable")
    picks: list[int] = order[np.linspace(0, len(order) - 1, count).round().astype(int)].tolist()
    return picks
