"""Train a style encoder and judge it on speakers that it has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import UsageError
from lipsync_eval.features.style.corpus import Sequence52or68
from lipsync_eval.types import Float

if TYPE_CHECKING:
    from lipsync_eval.features.style.training import TrainedEncoder

Stretch = tuple[Float, NDArray[np.intp]]
"""(raw, frame numbers) of one clip, as in Sequence52or68."""
Speakers = Mapping[str, Sequence[Stretch]]
"""Speaker -> clips."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How well codes tell speakers apart: first halves of clips against second halves."""

    n_speakers: int
    same: float
    """Mean cosine of the two halves of one clip."""
    different: float
    """Mean cosine of halves of different speakers."""
    ranked_first: float
    """Share of first halves whose own second half is the most similar of all, 0..1."""


def by_speaker(sequences: Iterable[Sequence52or68]) -> dict[str, list[Stretch]]:
    """The clips of each speaker."""
    found: dict[str, list[Stretch]] = {}
    for s in sequences:
        found.setdefault(s.recording.speaker, []).append((s.raw, s.index))
    return found


def hold_out(speakers: Speakers, n: int) -> tuple[dict[str, Sequence[Stretch]], dict[str, Sequence[Stretch]]]:
    """Speakers to train on and n speakers held out, spread evenly over their names.

    Raises:
        UsageError: fewer than two would be left to train on.
    """
    names = sorted(speakers)
    if len(names) - n < 2:
        raise UsageError(
            f"--hold-out {n} leaves {max(len(names) - n, 0)} of {len(names)} speakers to train on; at least 2 are needed"
        )
    kept_out = {names[(2 * k + 1) * len(names) // (2 * n)] for k in range(n)}
    return {s: speakers[s] for s in names if s not in kept_out}, {s: speakers[s] for s in names if s in kept_out}


def judge(trained: TrainedEncoder, speakers: Speakers) -> Judgement:
    """Codes of the first halves of all clips against those of the second halves."""
    halves, names = [], []
    for speaker, clips in speakers.items():
        for raw, index in clips:
            middle = len(index) // 2
            halves.append(
                (trained.style((raw[:middle], index[:middle])), trained.style((raw[middle:], index[middle:])))
            )
            names.append(speaker)
    matrix = np.array([[a @ b for _, b in halves] for a, _ in halves])
    others = np.array(names)[:, None] != np.array(names)[None]
    return Judgement(
        n_speakers=len(speakers),
        same=float(np.diag(matrix).mean()),
        different=float(matrix[others].mean()),
        ranked_first=float(np.mean(matrix.argmax(1) == np.arange(len(names)))),
    )
