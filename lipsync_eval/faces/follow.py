"""Follow every face through a clip: detect sparsely, draw boxes between, check, find points on every frame.

A planned look is taken every `stride` frames, at the first and last frame and on both sides of a possible cut.
Between two looks that see the same faces, steadily, boxes move on a straight line and points are found in every
frame; where the looks differ, or the points leave the line, a look is taken in between, and so on. What happens
depends on the frames alone, never on how they are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lipsync_eval.faces import shots
from lipsync_eval.faces.base import Detector, Face, Landmarker, interpolate, largest, match
from lipsync_eval.faces.people import Newcomer, Person, returning
from lipsync_eval.types import Float, Frame

STEADY: Final = 0.5
"""Overlap (IoU) of a face's boxes in two looks from which it moved steadily; below, there is a look in between."""
SAME: Final = 0.3
"""Overlap (IoU) of boxes in neighbouring frames from which they are one person's."""
AHEAD_BLOCKS: Final = 8
AHEAD_BYTES: Final = 48_000_000
"""Blocks, and bytes of frames, that wait until their points are found together."""
STRAY: Final = 0.15
"""Share of its side by which a face, as its points show it, may leave the line between two looks."""


@dataclass(frozen=True, slots=True)
class Block:
    """Frames first..last of one shot, both looked at; a single one starts a shot (`cut`: after a cut)."""

    first: int
    last: int
    cut: bool

    @property
    def starts(self) -> bool:
        """Whether this is the first frame of a shot."""
        return self.cut or self.last == self.first == 0


@dataclass(slots=True)
class Look:
    """What one detection saw: the largest faces, their points (None until asked for), whose faces they are."""

    faces: list[Face]
    persons: list[Person | None]
    points: dict[int, Float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bridge:
    """A person between two looks: boxes (n, 4), points (n entries), and the face's index in the later look."""

    person: Person
    index: int
    boxes: Float
    points: list[Float | None]


@dataclass(frozen=True, slots=True)
class Followed:
    """All persons of a clip and the looks that were taken."""

    persons: list[Person]
    n_faces: dict[int, int]
    """Frame -> sure faces seen, where a detection ran."""
    n_frames: int
    cuts: list[int]
    """First frames after a possible cut."""


def follow(frames: Iterable[Frame], detector: Detector, landmarker: Landmarker) -> Followed:
    """Take all frames in order; some blocks of `detector.stride` are held at a time, so that their points are found together."""
    return _Follower(detector, landmarker).run(frames)


class _Follower:
    """State of one pass over a clip."""

    def __init__(self, detector: Detector, landmarker: Landmarker) -> None:
        self.detector, self.landmarker = detector, landmarker
        self.persons: list[Person] = []
        self.n_faces: dict[int, int] = {}
        self.cuts: list[int] = []
        self.frames: dict[int, Frame] = {}
        self.looks: dict[int, Look] = {}
        self.pending: list[Block] = []
        self.detected: dict[int, list[Face]] = {}
        self.known: dict[tuple[int, bytes], Float | None] = {}
        """Points by frame and box: a pure function of both, so they can be found before anybody asks."""

    def run(self, frames: Iterable[Frame]) -> Followed:
        thumbs = shots.Thumbs()
        start, time = 0, -1
        for time, frame in enumerate(frames):
            jumped = thumbs.jumped(frame)
            if jumped:
                self._plan(start, time - 1)
            self.frames[time] = frame
            if jumped or time == 0:
                self._plan(time, time, cut=jumped)
                start = time
            elif time - start == self.detector.stride:
                self._plan(start, time)
                start = time
        self._plan(start, time)
        self._work()
        return Followed(self.persons, self.n_faces, time + 1, self.cuts)

    def _plan(self, first: int, last: int, *, cut: bool = False) -> None:
        """Put a block off until so many wait that their points are worth finding together."""
        self.pending.append(Block(first, last, cut))
        held = sum(frame.nbytes for frame in self.frames.values())
        if len(self.pending) >= AHEAD_BLOCKS or held > AHEAD_BYTES:
            self._work()

    def _work(self) -> None:
        """Look at the planned frames, find the points that will be asked for, then take the blocks in order."""
        for block in self.pending:
            if block.last > block.first or block.starts:
                self.detected[block.last] = self.detector.detect(self.frames[block.last])
        self._foresee()
        for block in self.pending:
            if block.cut:
                self.cuts.append(block.first)
            if block.starts:
                self._look(block.first)
                self._arrive(block.first)
            elif block.last > block.first:
                self._look(block.last)
                self._span(block.first, block.last)
        if self.pending:
            last = self.pending[-1].last
            self.frames = {t: frame for t, frame in self.frames.items() if t >= last}
            self.looks = {t: look for t, look in self.looks.items() if t >= last}
        for done in (self.pending, self.detected, self.known):
            done.clear()

    def _foresee(self) -> None:
        """Find, together, the points of all faces seen, and those between two looks that a face seems to pass steadily."""
        seen = {t: [f for f in largest(faces) if f.reaches(self.detector.sure)] for t, faces in self.detected.items()}
        asked = [(t, face.box) for t, faces in seen.items() for face in faces]
        for block in self.pending:
            if block.starts or block.last - block.first < 2:
                continue
            old = self.looks.get(block.first)
            a = [f.box for f in (old.faces if old else seen.get(block.first, []))]
            b = [f.box for f in seen.get(block.last, [])]
            for i, j in match(a, b, STEADY):
                boxes = interpolate(a[i], b[j], block.last - block.first - 1)
                asked += [(block.first + k, box) for k, box in enumerate(boxes, 1)]
        self._find(asked)

    def _find(self, asked: list[tuple[int, Float]]) -> None:
        """Keep the points of (frame, box) that are not known yet."""
        new = {(time, box.tobytes()): box for time, box in asked if (time, box.tobytes()) not in self.known}
        found = self.landmarker.points_of([self.frames[time] for time, _ in new], list(new.values()))
        self.known |= dict(zip(new, found, strict=True))

    def _found(self, time: int, box: Float) -> Float | None:
        self._find([(time, box)])
        return self.known[time, box.tobytes()]

    def _look(self, time: int) -> None:
        faces = self.detected[time] if time in self.detected else self.detector.detect(self.frames[time])
        self.n_faces[time] = sum(face.reaches(self.detector.sure) for face in faces)
        chosen = largest(faces)
        self.looks[time] = Look(chosen, [None] * len(chosen))
        for index, face in enumerate(chosen):
            if face.reaches(self.detector.sure) and self._points(time, index) is None:
                self.n_faces[time] -= 1

    def _span(self, first: int, last: int) -> None:
        """Link everything after `first` up to `last`, both looked at."""
        adjacent = last - first == 1
        if not adjacent and not self._steady(first, last):
            return self._split(first, (first + last) // 2, last)
        bridges = self._bridges(first, last, SAME if adjacent else STEADY)
        stray = self._stray(first, last, bridges)
        if stray is not None:
            return self._split(first, stray, last)
        for bridge in bridges:
            for step, (box, points) in enumerate(zip(bridge.boxes, bridge.points, strict=True), 1):
                if points is not None:
                    bridge.person.add(first + step, box, points, float("nan"))
            self._attach(bridge.person, last, bridge.index)
        return self._arrive(last)

    def _split(self, first: int, middle: int, last: int) -> None:
        self._look(middle)
        self._span(first, middle)
        self._span(middle, last)

    def _steady(self, first: int, last: int) -> bool:
        """Whether persons, and sure faces, are at about the same place in both looks, and have points in both."""
        a, b = self.looks[first], self.looks[last]
        pairs = match([f.box for f in a.faces], [f.box for f in b.faces], STEADY)
        pairs = [(i, j) for i, j in pairs if (self._points(first, i) is None) == (self._points(last, j) is None)]
        sure = self.detector.sure
        old = {i for i, face in enumerate(a.faces) if face.reaches(sure) or a.persons[i] is not None}
        new = {j for j, face in enumerate(b.faces) if face.reaches(sure)}
        return old <= {i for i, _ in pairs} and new <= {j for _, j in pairs}

    def _bridges(self, first: int, last: int, least: float) -> list[Bridge]:
        a, b = self.looks[first], self.looks[last]
        owned = [(face, person) for face, person in zip(a.faces, a.persons, strict=True) if person is not None]
        out = []
        for i, j in match([face.box for face, _ in owned], [face.box for face in b.faces], least):
            if self._points(last, j) is None:
                continue
            boxes = interpolate(owned[i][0].box, b.faces[j].box, last - first - 1)
            self._find([(first + k, box) for k, box in enumerate(boxes, 1)])
            points = [self._found(first + k, box) for k, box in enumerate(boxes, 1)]
            out.append(Bridge(owned[i][1], j, boxes, points))
        return out

    def _stray(self, first: int, last: int, bridges: list[Bridge]) -> int | None:
        """The frame between two looks whose points leave the line most, or have none; None where all are fine."""
        worst: tuple[float, int] = (STRAY, -1)
        for bridge in bridges:
            end = self._points(last, bridge.index)
            if end is None or not bridge.points:
                continue
            line = interpolate(_place(bridge.person.points[-1]), _place(end), len(bridge.points))
            for k, (expected, points, box) in enumerate(zip(line, bridge.points, bridge.boxes, strict=True), 1):
                far = np.inf if points is None else np.abs(_place(points) - expected).max() / Face(box, 0.0).side
                worst = max(worst, (float(far), first + k), key=lambda pair: pair[0])
        return worst[1] if worst[1] >= 0 else None

    def _points(self, time: int, index: int) -> Float | None:
        look = self.looks[time]
        if index not in look.points:
            look.points[index] = self._found(time, look.faces[index].box)
        return look.points[index]

    def _attach(self, person: Person, time: int, index: int) -> None:
        look, points = self.looks[time], self._points(time, index)
        if points is None:
            return
        look.persons[index] = person
        person.add(time, look.faces[index].box, points, look.faces[index].score)
        person.shot, person.patch = len(self.cuts), shots.patch(self.frames[time], points)

    def _arrive(self, time: int) -> None:
        """Faces of a look that nobody owns yet: a person who returns, or a new one."""
        look = self.looks[time]
        for index, face in enumerate(look.faces):
            points = self._points(time, index) if look.persons[index] is None else None
            if points is None:
                continue
            sure = face.reaches(self.detector.sure)
            here = [person for person in look.persons if person is not None]
            lost = [person for person in self.persons if all(person is not one for one in here)]
            newcomer = Newcomer(face, shots.patch(self.frames[time], points), time, len(self.cuts), sure)
            person = returning(lost, newcomer)
            if person is None and sure:
                person = Person()
                self.persons.append(person)
            if person is not None:
                self._attach(person, time, index)


def _place(points: Float) -> Float:
    """(3,) px: where the upper face is (mean x, y of brows, eyes, nose) and how far it spreads."""
    upper = points[17:48]
    middle = upper.mean(axis=0)
    return np.array([*middle, np.sqrt(((upper - middle) ** 2).sum(axis=1).mean())])
