"""When a table may call one method better than another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lipsync_eval.results.aggregate import resampled_means
from lipsync_eval.results.facts import Direction
from lipsync_eval.results.numbers import rank

N_BOOT = 10_000
ALPHA = 0.05
MIN_CLIPS = 6
"""The fewest clips with which a two-sided test over signs could reach ALPHA at all (2 / 2**6 = 0.03); a bootstrap over fewer marks chance."""


def better(
    mine: Sequence[float],
    other: Sequence[float],
    direction: Direction,
    seed: int,
    groups: Sequence[str] | None = None,
) -> bool:
    """Whether one method beats another by a two-sided paired bootstrap over clips.

    Two-sided, since which method is the better one is read off the same clips: the mean difference has to be on the right side in
    more than 1 - ALPHA / 2 of the N_BOOT resamples. Never with fewer than MIN_CLIPS clips (or groups), nor without any difference.

    Args:
        mine: score of every clip.
        other: the same of the other method, same clips in the same order.
        direction: 'up', 'down' or 'zero'.
        seed: of the resamples.
        groups: one name per clip (its speaker): whole groups are drawn; None: single clips.
    """
    d = np.array([rank(b, direction) - rank(a, direction) for a, b in zip(mine, other, strict=True)])
    units = len(d) if groups is None else len(set(groups))
    if units < MIN_CLIPS or not d.any():
        return False
    means = resampled_means(list(d), seed, N_BOOT, groups)
    if means is None:
        return False
    return 2 * (int((means <= 0).sum()) + 1) / (N_BOOT + 1) < ALPHA
