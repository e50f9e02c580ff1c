"""Who is who: faces of single frames become persons, one after the other in time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lipsync_eval.faces.base import Face
from lipsync_eval.faces.shots import alike
from lipsync_eval.types import Float

BACK_WITHIN: Final = 1.0
"""A person comes back when found within this many face sides of where it was lost..."""
BACK_SIZE: Final = 1.6
"""...and is larger or smaller by at most this factor."""
BACK_WEAK: Final = 10
"""Frames after which only a sure detection brings a lost person back."""


@dataclass(slots=True)
class Person:
    """One person's faces, in time order."""

    times: list[int] = field(default_factory=list)
    boxes: list[Float] = field(default_factory=list)
    points: list[Float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    """NaN where the box was not detected but lies between two that were."""
    shot: int = 0
    """Number of the shot in which it was last detected."""
    patch: Float | None = None
    """What it looked like there."""

    def add(self, time: int, box: Float, points: Float, score: float) -> None:
        """Append one frame; times must grow."""
        self.times.append(time)
        self.boxes.append(box)
        self.points.append(points)
        self.scores.append(score)

    @property
    def weight(self) -> float:
        """px: sum of the face's side over its frames; long and large tracks win."""
        return float(sum((b[2] - b[0] + b[3] - b[1]) / 2 for b in self.boxes))


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A face that continues no person of the look before."""

    face: Face
    patch: Float
    time: int
    shot: int
    sure: bool
    """Whether its score suffices to start a track."""


def returning(persons: list[Person], new: Newcomer) -> Person | None:
    """The lost person that `new` is, or None: the nearest who was lost close by with a like size.

    Within a shot that is enough; after a cut the face must also look alike.
    """
    best: tuple[float, Person] | None = None
    for person in persons:
        distance = _distance(person, new.face)
        if distance > BACK_WITHIN or (best is not None and distance >= best[0]):
            continue
        if person.shot != new.shot and (person.patch is None or not alike(person.patch, new.patch)):
            continue
        if new.sure or new.time - person.times[-1] <= BACK_WEAK:
            best = distance, person
    return best[1] if best else None


def _distance(person: Person, face: Face) -> float:
    """Face sides between where a person was lost and a face; infinite where the sizes differ too much."""
    old = Face(person.boxes[-1], 0.0)
    small, large = sorted((old.side, face.side))
    if large > BACK_SIZE * small:
        return float("inf")
    return float(np.linalg.norm(old.centre - face.centre)) / large
