"""When a table may call one method better than another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

N_BOOT = 10_000
ALPHA = 0.05
MIN_CLIPS = 6
"""The fewest clips with which a two-sided test over signs could reach ALPHA at all (2 / 2**6 = 0.03); a bootstrap over fewer marks chance."""
_CHUNK = 4_000_000


def rank(value: float, direction: str) -> float:
    """A score as a number that is smaller for the better one; direction 'up', 'down' or 'zero'."""
    return -value if direction == "up" else abs(value) if direction == "zero" else value


def better(mine: Mapping[str, float], other: Mapping[str, float], direction: str, seed: int) -> bool:
    """Whether one method beats another by a two-sided paired bootstrap over the common clips.

    Two-sided, since which method is the better one is read off the same clips: the mean difference has to be on the right side in
    more than 1 - ALPHA / 2 of the N_BOOT resamples. Never with fewer than MIN_CLIPS common clips, nor without any difference.

    Args:
        mine: score by clip id.
        other: the same of the other method.
        direction: 'up', 'down' or 'zero'.
        seed: of the resamples.
    """
    common = [k for k in mine if k in other]
    d = np.array([rank(other[k], direction) - rank(mine[k], direction) for k in common])
    if len(d) < MIN_CLIPS or not d.any():
        return False
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(d))
    wrong = sum(
        int((d[rng.integers(0, len(d), (min(step, N_BOOT - k), len(d)))].mean(axis=1) <= 0).sum())
        for k in range(0, N_BOOT, step)
    )
    return 2 * (wrong + 1) / (N_BOOT + 1) < ALPHA
