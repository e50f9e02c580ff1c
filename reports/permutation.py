"""Sign-flip tests of paired differences, one metric or a family at a time, and Holm's correction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import Float

EXACT_UP_TO = 14
"""Units (clips or speakers) up to which all 2^n sign flips are taken."""
N_FLIPS = 10_000
_CHUNK = 250_000
"""Signs at once: they fit into a core's cache."""


def sign_flip(differences: Sequence[float], seed: int) -> tuple[float, str]:
    """One-sided p of 'the mean is above zero' under random signs of the paired differences.

    Args:
        differences: one per clip.
        seed: of the sampled flips; unused up to EXACT_UP_TO clips, where all 2^n are taken.

    Returns:
        p (share of sign patterns whose mean is at least the observed one; the observed one counts), and how it was found.
    """
    p, how = family_sign_flip({"": {str(i): d for i, d in enumerate(differences)}}, seed)
    return p[""], how


def family_sign_flip(
    differences: Mapping[str, Mapping[str, float]], seed: int, groups: Mapping[str, str] | None = None
) -> tuple[dict[str, float], str]:
    """One-sided p of 'the mean is above zero' for every metric of one family: see `families_sign_flip`."""
    return families_sign_flip([differences], seed, groups)[0]


def families_sign_flip(
    families: Sequence[Mapping[str, Mapping[str, float]]], seed: int, groups: Mapping[str, str] | None = None
) -> list[tuple[dict[str, float], str]]:
    """One-sided p of 'the mean is above zero' for every metric, the metrics of a family tested together.

    All metrics get the same random signs, clip by clip, and each observed statistic is compared with the largest one of its
    family under every pattern (Westfall and Young 1993, max-T, single step). Metrics that say the same on every clip
    therefore cost nothing, and with one metric this is the plain sign-flip test. The statistic is the sum of differences
    over the root of the sum of their squares, which flips do not change.

    Signs are sampled once for all clips of all families, so the cost hardly grows with the number of metrics. A family with
    few units of its own gets all 2^n patterns of these.

    Args:
        families: each metric -> clip -> difference.
        seed: of the sampled flips.
        groups: clip -> speaker: all clips of a speaker flip together; None: each clip by itself.

    Returns:
        for each family p by metric (adjusted within the family), and how it was found.
    """
    found: dict[int, tuple[dict[str, float], str]] = {}
    sampled: list[int] = []
    for i, family in enumerate(families):
        clips = _clips([family])
        if len({groups[c] for c in clips} if groups else clips) > EXACT_UP_TO:
            sampled.append(i)
            continue
        units = _units([family], groups)
        (hits,) = _hits([_statistics(family, units, groups)], _all_patterns(len(units)))
        found[i] = dict(zip(family, (hits / 2 ** len(units)).tolist(), strict=True)), "exact sign-flip test"
    units = _units([families[i] for i in sampled], groups)
    statistics = [_statistics(families[i], units, groups) for i in sampled]
    for i, hits in zip(sampled, _hits(statistics, _patterns(len(units), seed)) if sampled else (), strict=True):
        p = (hits + 1) / (N_FLIPS + 1)
        found[i] = dict(zip(families[i], p.tolist(), strict=True)), f"sign-flip test, {N_FLIPS} sampled flips"
    return [found[i] for i in range(len(families))]


def _units(families: Sequence[Mapping[str, Mapping[str, float]]], groups: Mapping[str, str] | None) -> dict[str, int]:
    """Clip or speaker -> its place, in the order of the clips' ids."""
    clips = sorted(_clips(families))
    clips.sort(key=len)  # stable: by length, then by name
    return {unit: i for i, unit in enumerate(dict.fromkeys(groups[c] if groups else c for c in clips))}


def _clips(families: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, None]:
    return dict.fromkeys(chain.from_iterable(d for family in families for d in family.values()))


def _statistics(
    family: Mapping[str, Mapping[str, float]], units: Mapping[str, int], groups: Mapping[str, str] | None
) -> Float:
    """(metrics, units): what each unit adds to a metric's statistic; 0 where the metric has no value."""
    sums = np.zeros((len(family), len(units)))
    for row, d in enumerate(family.values()):
        np.add.at(sums[row], [units[groups[clip] if groups else clip] for clip in d], list(d.values()))
    scale = np.sqrt((sums**2).sum(axis=1, keepdims=True))
    statistics: Float = np.divide(sums, scale, out=np.zeros_like(sums), where=scale > 0)
    return statistics


def _hits(families: Sequence[Float], patterns: Iterator[Float]) -> list[Float]:
    """For each family and metric the number of patterns whose largest statistic reaches the observed one."""
    rows = np.concatenate(families)
    edges = np.cumsum([0, *map(len, families)])
    bounds = rows.sum(axis=1) - 1e-12 * np.abs(rows).sum(axis=1)
    hits = np.zeros(len(rows))
    for signs in patterns:
        every = signs @ rows.T
        for start, end in pairwise(edges):
            largest = every[:, start:end].max(axis=1)
            hits[start:end] += (largest[:, None] >= bounds[None, start:end]).sum(axis=0)
    return np.split(hits, edges[1:-1])


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjusted p-values (Holm 1979)."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for place, name in enumerate(sorted(p, key=lambda k: p[k])):
        highest = max(highest, min(1.0, (len(p) - place) * p[name]))
        adjusted[name] = highest
    return adjusted


def holm_over_families(p: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Holm's correction over families, whose smallest p counts; then every member's own p under its family's factor.

    Args:
        p: family -> metric -> p, already adjusted within the family.

    Returns:
        metric -> adjusted p. With families of one metric this is `holm`.
    """
    smallest = {family: min(members.values()) for family, members in p.items() if members}
    adjusted: dict[str, float] = {}
    highest = 0.0
    for place, family in enumerate(sorted(smallest, key=lambda f: smallest[f])):
        factor = len(smallest) - place
        for metric, value in p[family].items():
            adjusted[metric] = max(highest, min(1.0, factor * value))
        highest = max(highest, min(1.0, factor * smallest[family]))
    return adjusted


def _all_patterns(n: int) -> Iterator[Float]:
    """All (2^n, n) patterns of +1 and -1."""
    yield ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64) * 2 - 1


def _patterns(n: int, seed: int) -> Iterator[Float]:
    """(rows, n) patterns of +1 and -1: N_FLIPS sampled ones, in pieces.

    They are those of `default_rng(seed).integers(0, 2, (N_FLIPS, n))`, which is the highest bit of every 32 that the
    generator gives, lower half first; taken from there they cost a fifth.
    """
    bits = np.random.default_rng(seed).bit_generator
    step = max(1, _CHUNK // n) // 2 * 2 or 2  # an even number of rows takes whole words
    for start in range(0, N_FLIPS, step):
        rows = min(step, N_FLIPS - start)
        words: NDArray[np.uint64] = bits.random_raw((rows * n + 1) // 2)
        halves = words.astype("<u8", copy=False).view("<i4")[: rows * n]
        out: Float = np.copysign(1.0, ~halves).reshape(rows, n)  # +1 where the highest bit is set: ~ turns the sign
        yield out
