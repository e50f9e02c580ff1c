"""When a table may call one method better than another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.results.aggregate import by_unit, draws, means_of
from lipsync_eval.results.facts import Direction
from lipsync_eval.results.numbers import ranks

N_BOOT = 10_000
ALPHA = 0.05
_TOO_MANY = next(wrong for wrong in range(N_BOOT) if 2 * (wrong + 1) / (N_BOOT + 1) >= ALPHA)
"""Resamples on the wrong side that take the significance away: with them the two-sided p reaches ALPHA."""
MIN_CLIPS = 6
"""The fewest clips with which a two-sided test over signs could reach ALPHA at all (2 / 2**6 = 0.03); a bootstrap over fewer marks chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two methods over the same clips."""

    differences: NDArray[np.float64]
    """(n_clips,), positive where the first method is better."""
    groups: tuple[str, ...] | None
    """One name per clip (its speaker): whole groups are drawn; None: single clips."""


def pair(
    mine: Sequence[float], other: Sequence[float], direction: Direction, groups: Sequence[str] | None = None
) -> Pair:
    """What `better` asks about.

    Args:
        mine: score of every clip.
        other: the same of the other method, same clips in the same order.
        direction: 'up', 'down' or 'zero'.
        groups: one name per clip, or None.
    """
    if len(mine) != len(other):
        raise ValueError(f"{len(mine)} and {len(other)} clips: two methods are compared over the same ones")
    d = ranks(other, direction) - ranks(mine, direction)
    return Pair(d, None if groups is None else tuple(groups))


def better(pairs: Sequence[Pair], seed: int) -> list[bool]:
    """For each pair whether the first method beats the other by a two-sided paired bootstrap over clips.

    Two-sided, since which method is the better one is read off the same clips: the mean difference has to be on the right side in
    more than 1 - ALPHA / 2 of the N_BOOT resamples. Never with fewer than MIN_CLIPS clips (or groups), nor without any difference.
    Pairs with equally many clips share their resamples, and a pair takes no more of them than decide it, so the answers are
    those of each pair alone.

    Args:
        pairs: of any metrics.
        seed: of the resamples.
    """
    answers = [False] * len(pairs)
    by_n: dict[int, list[tuple[int, NDArray[np.float64], NDArray[np.float64] | None]]] = {}
    for i, asked in enumerate(pairs):
        totals, counts = by_unit(asked.differences, asked.groups)
        if len(totals) >= MIN_CLIPS and asked.differences.any():
            answers[i] = _certain(totals)
            if not answers[i]:
                by_n.setdefault(len(totals), []).append((i, totals, counts))
    for n, members in by_n.items():
        wrong = {i: 0 for i, _, _ in members}
        for drawn in draws(n, seed, N_BOOT):
            for i, totals, counts in members:
                if _below_alpha(wrong[i]):
                    wrong[i] += int((means_of(drawn, totals, counts) <= 0).sum())
            if not any(map(_below_alpha, wrong.values())):
                break
        for i, times in wrong.items():
            answers[i] = _below_alpha(times)
    return answers


def _below_alpha(wrong: int) -> bool:
    """Whether so few resamples on the wrong side leave the difference significant."""
    return wrong < _TOO_MANY


def _certain(totals: NDArray[np.float64]) -> bool:
    """Whether the resamples need not be drawn: too many on the wrong side have a chance below 1e-9.

    Bernstein's inequality bounds the share of wrong ones among all resamples, Chernoff's the chance that so many as matter
    are among those drawn.
    """
    mean = float(totals.mean())
    if mean <= 0:
        return False
    spread, reach = float(totals.var()), mean - float(totals.min())
    exponent = len(totals) * mean**2 / (2 * spread + 2 / 3 * mean * reach + 1e-300)
    share, many = math.exp(-exponent), _TOO_MANY / N_BOOT
    if share >= many:
        return False
    divergence = many * (math.log(many) + exponent) + (1 - many) * math.log((1 - many) / (1 - share))
    return N_BOOT * divergence > -math.log(1e-9)
