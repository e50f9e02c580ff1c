"""Clip -> Track of one person, or People: the calls of this layer."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from lipsync_eval.cache import NO_CACHE, Arrays, Cache
from lipsync_eval.errors import MediaError, UsageError
from lipsync_eval.faces.backends import Chosen, choose
from lipsync_eval.faces.base import Locate
from lipsync_eval.faces.follow import Followed, follow
from lipsync_eval.faces.result import build, build_all
from lipsync_eval.types import Clip, Track

Choice = Literal["largest", "single"]


@dataclass(frozen=True, slots=True)
class People:
    """Everybody who was followed through a clip."""

    tracks: tuple[Track, ...]
    """One for each person (at most result.MAX_PEOPLE), the one whom face='largest' follows first."""
    found: int
    """Persons there were."""
    cuts: tuple[int, ...]
    """First frames after a possible cut."""


def signature(landmarks: str = "dlib68", detector: str | None = None, weights: Locate | None = None) -> str:
    """Value of the `faces` key: 'dlib68.1', with another detector 'dlib68.1,yunet.1'.

    With `weights`, what reads a weights file carries the start of its sha256: 'dlib68.1,yunet.1@49f000ec'.

    Raises:
        UsageError: an unknown name, or an optional package that is not installed.
        MissingWeights: from `weights`, when a file is not there.
    """
    return choose(landmarks, detector, weights).signature


def track_faces(
    clip: Clip,
    *,
    landmarks: str = "dlib68",
    detector: str | None = None,
    face: Choice = "largest",
    cache: Cache | None = None,
    weights: Locate | None = None,
    device: str = "cpu",
) -> Track:
    """Follow one face through a clip in one streaming pass.

    Args:
        clip: what to read; a few frames are held at a time.
        landmarks: backend of the 68 points, see `backends()`.
        detector: None for the backend's own; never chosen by what is installed.
        face: 'largest' follows the face that fills most of the clip (sum of its side over its frames); 'single'
            fails a clip that shows several in one frame.
        cache: where tracks are kept by clip digest and signature; None keeps nothing.
        weights: row of the weights registry -> file, for backends that need one.
        device: where fan and s3fd run; all others run on the CPU.

    Returns:
        The Track over clip.n_frames frames. Gaps of at most result.MAX_GAP frames are filled on a straight line
        (FILLED); longer ones and the ends stay NaN (MISSING). What was done is in its notes.

    Raises:
        FaceError: no face at all, or several with face='single'.
        UsageError: unknown name, a package or a weights file missing (the message says what to type).
        MediaError: the clip does not yield n_frames frames.
    """
    if face not in get_args(Choice):
        raise UsageError(f"--face {face!r} is not known; give one of: {', '.join(get_args(Choice))}")
    chosen = choose(landmarks, detector, weights)
    key = {"kind": "track.1", "clip": clip.digest, "faces": chosen.signature, "face": face}
    stored = cache.get(key) if cache else None
    track = _unpack(stored, clip.n_frames, chosen.signature) if stored else None
    if track is None:
        track = build(_follow(clip, chosen, device, cache), chosen.signature, face)
        if cache:
            cache.put(key, _pack(track))
    return track


def track_people(
    clip: Clip,
    *,
    landmarks: str = "dlib68",
    detector: str | None = None,
    cache: Cache | None = None,
    weights: Locate | None = None,
    device: str = "cpu",
) -> People:
    """Follow every face through a clip in one streaming pass; arguments as in `track_faces`.

    Returns:
        nobody where there is no face.

    Raises:
        UsageError: unknown name, a package or a weights file missing (the message says what to type).
        MediaError: the clip does not yield n_frames frames.
    """
    chosen = choose(landmarks, detector, weights)
    key = {"kind": "people.1", "clip": clip.digest, "faces": chosen.signature}
    stored = cache.get(key) if cache else None
    people = _unpack_people(stored, clip.n_frames, chosen.signature) if stored else None
    if people is None:
        followed = _follow(clip, chosen, device, cache)
        tracks = tuple(build_all(followed, chosen.signature))
        people = People(tracks, len(followed.persons), tuple(followed.cuts))
        if cache:
            cache.put(key, _pack_people(people))
    return people


def _follow(clip: Clip, chosen: Chosen, device: str, cache: Cache | None) -> Followed:
    boxes, points = chosen.load(device, cache or NO_CACHE)
    with closing(boxes), closing(points):
        followed = follow(clip.frames(), boxes, points)
    if followed.n_frames != clip.n_frames:
        raise MediaError(
            f"{clip.path}: {followed.n_frames} frames could be read of {clip.n_frames} that the file holds"
        )
    return followed


def _pack_people(people: People) -> Arrays:
    facts: Arrays = {
        "count": np.array([len(people.tracks), people.found]),
        "cuts": np.array(people.cuts, np.int64),
    }
    return facts | {f"{name}{i}": a for i, track in enumerate(people.tracks) for name, a in _pack(track).items()}


def _unpack_people(arrays: Arrays, n: int, backend: str) -> People | None:
    """The stored people, or None where they are not of a clip of n frames."""
    try:
        kept, found = (int(k) for k in arrays["count"].astype(np.int64))
        tracks = [_unpack({k: arrays[f"{k}{i}"] for k in _PACKED}, n, backend) for i in range(kept)]
        cuts = tuple(int(k) for k in arrays["cuts"].astype(np.int64))
    except (KeyError, ValueError):
        return None
    whole = tuple(track for track in tracks if track is not None)
    return People(whole, found, cuts) if len(whole) == kept else None


_PACKED = ("boxes", "points", "score", "status", "n_faces", "notes")


def _pack(track: Track) -> Arrays:
    return {
        "boxes": track.boxes, "points": track.points, "score": track.score, "status": track.status,
        "n_faces": track.n_faces, "notes": np.array(track.notes, dtype=np.str_),
    }  # fmt: skip


def _unpack(arrays: Arrays, n: int, backend: str) -> Track | None:
    """The stored track, or None where it is not one of n frames."""
    try:
        points = np.asarray(arrays["points"], np.float64).reshape(n, 68, 2)
        return Track(
            np.asarray(arrays["boxes"], np.float64).reshape(n, 4), points,
            np.asarray(arrays["score"], np.float32), np.asarray(arrays["status"], np.uint8), backend,
            np.asarray(arrays["n_faces"], np.int16), tuple(str(note) for note in arrays["notes"]),
        )  # fmt: skip
    except (KeyError, ValueError):
        return None
