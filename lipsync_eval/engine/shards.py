"""A share of a run's clips: how `--shard 2/8` is read, and which clips it gets."""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from lipsync_eval.errors import UsageError
from lipsync_eval.media.length import header_seconds
from lipsync_eval.media.pairs import PairPaths
from lipsync_eval.urls import Place, Url

_MOST: Final = 100_000
_BYTES: Final = 125_000
"""Bytes a second that a video by URL is taken to have (1 Mbit/s)."""


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One of several equal shares of a run."""

    of: int
    """How many shares there are."""
    number: int
    """Which one, from 1."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """'2/8' -> the second of eight.

        Raises:
            UsageError: not of that form, or no such share.
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
        number, of = (int(n) for n in found.groups()) if found else (0, 0)
        if not 1 <= number <= of <= _MOST:
            raise UsageError(f"shard {text!r}: expected NUMBER/OF with 1 <= NUMBER <= OF, such as 2/8")
        return cls(of, number)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def name(self) -> str:
        """'2of8': in names of files."""
        return f"{self.number}of{self.of}"


def lengths_of(pairs: Sequence[PairPaths]) -> list[int]:
    """Milliseconds of every pair by the header of its generated video (else of its real one).

    A pair without a generated video costs nothing: 0. Where a header does not tell, the mean of the others stands. A video by
    URL counts by its bytes, since a look at its header is a way over the network.
    """
    found: list[int | None] = []
    for pair in pairs:
        if pair.gen is None:
            found.append(0)
            continue
        seconds = _seconds(pair.gen) or (_seconds(pair.gt) if pair.gt else None)
        found.append(None if seconds is None else round(1000 * seconds))
    known = [ms for ms in found if ms]
    usual = sum(known) // len(known) if known else 1000
    return [usual if ms is None else ms for ms in found]


def _seconds(video: Place) -> float | None:
    if isinstance(video, Url):
        return None if video.size is None else video.size / _BYTES
    return header_seconds(video)


def split(lengths: Sequence[int], of: int) -> list[list[int]]:
    """Share clips out: the longest first, each to the share that has least so far.

    The same lengths give the same shares on every machine.

    Args:
        lengths: of the clips, in any whole unit.
        of: number of shares.

    Returns:
        for each share its places in `lengths`, ascending; every place is in one share. Some are empty where there are
        more shares than clips.
    """
    shares: list[list[int]] = [[] for _ in range(of)]
    heap = [(0, 0, i) for i in range(of)]
    for place in sorted(range(len(lengths)), key=lambda p: (-lengths[p], p)):
        load, count, i = heapq.heappop(heap)
        shares[i].append(place)
        heapq.heappush(heap, (load + lengths[place], count + 1, i))
    return [sorted(share) for share in shares]
