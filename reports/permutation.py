"""Sign-flip tests of paired differences, one metric or a family at a time, and Holm's correction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.types import Float

EXACT_UP_TO = 14
"""Units (clips or speakers) up to which all 2^n sign flips are taken."""
N_FLIPS = 10_000
_CHUNK = 4_000_000


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
    """One-sided p of 'the mean is above zero' for every metric of a family, tested together.

    All metrics get the same random signs, clip by clip, and each observed statistic is compared with the largest one of the
    family under every pattern (Westfall and Young 1993, max-T, single step). Metrics that say the same on every clip
    therefore cost nothing, and with one metric this is the plain sign-flip test. The statistic is the sum of differences
    over the root of the sum of their squares, which flips do not change.

    Args:
        differences: metric -> clip -> difference.
        seed: of the sampled flips.
        groups: clip -> speaker: all clips of a speaker flip together; None: each clip by itself.

    Returns:
        p by metric (adjusted within the family), and how it was found.
    """
    names = list(differences)
    clips = sorted({clip for d in differences.values() for clip in d}, key=lambda c: (len(c), c))
    units = {unit: i for i, unit in enumerate(dict.fromkeys(groups[c] if groups else c for c in clips))}
    sums = np.zeros((len(names), len(units)))
    for row, name in enumerate(names):
        for clip, d in differences[name].items():
            sums[row, units[groups[clip] if groups else clip]] += d
    scale = np.sqrt((sums**2).sum(axis=1, keepdims=True))
    statistics = np.divide(sums, scale, out=np.zeros_like(sums), where=scale > 0)
    observed = statistics.sum(axis=1)
    bounds = observed - 1e-12 * np.abs(statistics).sum(axis=1)
    hits, total = np.zeros(len(names)), 0
    for signs in _patterns(len(units), seed):
        largest = (signs @ statistics.T).max(axis=1)
        hits += (largest[:, None] >= bounds[None, :]).sum(axis=0)
        total += len(signs)
    if len(units) <= EXACT_UP_TO:
        return dict(zip(names, (hits / total).tolist(), strict=True)), "exact sign-flip test"
    p = (hits + 1) / (total + 1)
    return dict(zip(names, p.tolist(), strict=True)), f"sign-flip test, {N_FLIPS} sampled flips"


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


def _patterns(n: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """(rows, n) patterns of +1 and -1: all of them, or N_FLIPS sampled ones, in pieces."""
    if n <= EXACT_UP_TO:
        yield ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64) * 2 - 1
        return
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // n)
    for start in range(0, N_FLIPS, step):
        out: Float = rng.integers(0, 2, (min(step, N_FLIPS - start), n)).astype(np.float64) * 2 - 1
        yield out
