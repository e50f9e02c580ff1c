"""From followed persons to Tracks: of the one that is chosen, or of each; fill short gaps, say what was done."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, Literal

import numpy as np

from lipsync_eval.errors import FaceError
from lipsync_eval.faces.base import interpolate
from lipsync_eval.faces.follow import Followed
from lipsync_eval.faces.people import Person
from lipsync_eval.types import FILLED, FOUND, MISSING, Track

MAX_GAP: Final = 10
"""Frames (0.4 s): longer runs without a face are never filled."""
MAX_PEOPLE: Final = 16
"""Persons of one clip that `build_all` keeps: those who fill most of it."""


def build(followed: Followed, backend: str, face: Literal["largest", "single"]) -> Track:
    """The Track of the chosen person over all frames.

    Raises:
        FaceError: no face in the clip, or several in one frame with face='single'.
    """
    n = followed.n_frames
    n_faces = np.full(n, -1, np.int16)
    n_faces[list(followed.n_faces)] = list(followed.n_faces.values())
    if face == "single" and (n_faces > 1).any():
        first = int(np.argmax(n_faces > 1))
        raise FaceError(
            f"--face single: frame {first} ({first / 25:.2f} s) shows {n_faces[first]} faces; "
            "use --face largest to follow the largest"
        )
    if not followed.persons:
        raise FaceError(f"no face found in any of {len(followed.n_faces)} frames looked at (of {n}), by {backend}")
    person = max(followed.persons, key=lambda p: p.weight)
    track = _spread(person, n, backend, n_faces)
    return _fill(track, _choice_notes(followed, person))


def build_all(followed: Followed, backend: str) -> list[Track]:
    """A Track of each person over all frames, the one that `build` takes first: by their sums of face sides.

    At most MAX_PEOPLE; the notes are those of gaps. A clip without a face has none.
    """
    n_faces = np.full(followed.n_frames, -1, np.int16)
    n_faces[list(followed.n_faces)] = list(followed.n_faces.values())
    ranked = sorted(followed.persons, key=lambda p: -p.weight)[:MAX_PEOPLE]
    return [_fill(_spread(person, followed.n_frames, backend, n_faces), []) for person in ranked]


def _spread(person: Person, n: int, backend: str, n_faces: np.ndarray) -> Track:
    boxes, points = np.full((n, 4), np.nan), np.full((n, 68, 2), np.nan)
    score, status = np.full(n, np.nan, np.float32), np.full(n, MISSING, np.uint8)
    boxes[person.times], points[person.times] = person.boxes, person.points
    score[person.times], status[person.times] = person.scores, FOUND
    return Track(boxes, points, score, status, backend, n_faces)


def _fill(track: Track, notes: list[str]) -> Track:
    """Fill runs of at most MAX_GAP missing frames between two found ones, on a straight line; count the rest."""
    found = np.flatnonzero(track.status == FOUND)
    for a, b in pairwise(found.tolist()):
        if 1 < b - a <= MAX_GAP + 1:
            inner = slice(a + 1, b)
            track.boxes[inner] = interpolate(track.boxes[a], track.boxes[b], b - a - 1)
            track.points[inner] = interpolate(track.points[a], track.points[b], b - a - 1)
            track.status[inner] = FILLED
    filled, missing = (int((track.status == s).sum()) for s in (FILLED, MISSING))
    if filled:
        notes.append(f"face filled in {filled} of {len(track.status)} frames (gaps of at most {MAX_GAP})")
    if missing:
        notes.append(f"face missing in {missing} of {len(track.status)} frames")
    return Track(track.boxes, track.points, track.score, track.status, track.backend, track.n_faces, tuple(notes))


def _choice_notes(followed: Followed, person: Person) -> list[str]:
    notes = []
    if followed.cuts:
        notes.append(f"possible cuts: {len(followed.cuts)}, the first before frame {followed.cuts[0]}")
    if len(followed.persons) > 1:
        notes.append(
            f"faces followed: {len(followed.persons)}; kept the one with the largest sum of sides, "
            f"seen in {len(person.times)} frames, {person.times[0]} to {person.times[-1]}"
        )
    return notes
