"""Do style codes tell speakers apart? Two halves of every clip against each other, with constants from other speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from lipsync_eval.errors import InputError
from lipsync_eval.features.style.code import LEAST, cosine, statistics
from lipsync_eval.features.style.constants import StyleConstants, build
from lipsync_eval.features.style.corpus import Sequence52or68
from lipsync_eval.types import Float


@dataclass(frozen=True, slots=True)
class Halves:
    """First halves (rows) against second halves (columns)."""

    names: tuple[str, ...]
    speakers: tuple[str, ...]
    matrix: Float
    """(N, N) cosines."""

    @property
    def within(self) -> float:
        """Mean over clips: two halves of one clip."""
        return float(np.diag(self.matrix).mean())

    @property
    def between(self) -> float:
        """Mean over halves of different speakers."""
        names = np.array(self.speakers)
        return float(self.matrix[names[:, None] != names[None]].mean())

    @property
    def ranked_first(self) -> float:
        """Share of first halves whose own second half is the most similar of all."""
        return float(np.mean(self.matrix.argmax(1) == np.arange(len(self.names))))


def halves(features: str, sequences: Sequence[Sequence52or68]) -> Halves:
    """Cosines of style codes of first and second halves.

    Every cosine is computed with constants (mean face, pose response, mean and std of codes) learned without the one or two
    speakers that it compares.

    Args:
        features: 'points68' or 'blendshapes'.
        sequences: at least four speakers' clips, each of at least 20 frames.

    Raises:
        InputError: too few speakers or frames.
    """
    speakers = tuple(s.recording.speaker for s in sequences)
    if len(set(speakers)) < 4:
        raise InputError(f"leaving two speakers out needs at least 4; there are {len(set(speakers))}")
    short = [s.recording.name for s in sequences if len(s.index) < 2 * LEAST]
    if short:
        raise InputError(f"halves need clips of at least {2 * LEAST} frames with a face; too short: {', '.join(short)}")

    @cache
    def constants(left_out: frozenset[str]) -> StyleConstants:
        rest: dict[str, list[tuple[Float, np.ndarray[tuple[int], np.dtype[np.intp]]]]] = {}
        for s in sequences:
            if s.recording.speaker not in left_out:
                rest.setdefault(s.recording.speaker, []).append((s.raw, s.index))
        return build(features, rest, "leave one out")

    def code(s: Sequence52or68, second: bool, held: StyleConstants) -> Float:
        middle = len(s.index) // 2
        raw, index = s.part(middle, len(s.index)) if second else s.part(0, middle)
        return held.standardise(statistics(held.sequence(raw, index), index))

    matrix = np.empty((len(sequences), len(sequences)))
    for i, a in enumerate(sequences):
        for j, b in enumerate(sequences):
            held = constants(frozenset((speakers[i], speakers[j])))
            matrix[i, j] = cosine(code(a, False, held), code(b, True, held))
    return Halves(tuple(s.recording.name for s in sequences), speakers, matrix)
