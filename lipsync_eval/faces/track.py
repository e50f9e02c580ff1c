"""Clip -> Track: the one call of this layer."""

from __future__ import annotations

from contextlib import closing
from typing import Literal, get_args

import numpy as np

from lipsync_eval.cache import Arrays, Cache
from lipsync_eval.errors import MediaError, UsageError
from lipsync_eval.faces.backends import choose
from lipsync_eval.faces.base import Locate
from lipsync_eval.faces.follow import follow
from lipsync_eval.faces.result import build
from lipsync_eval.types import Clip, Track

Choice = Literal["largest", "single"]


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
        boxes, points = chosen.load(device)
        with closing(boxes), closing(points):
            followed = follow(clip.frames(), boxes, points)
        if followed.n_frames != clip.n_frames:
            raise MediaError(
                f"{clip.path}: {followed.n_frames} frames could be read of {clip.n_frames} that the file holds"
            )
        track = build(followed, chosen.signature, face)
        if cache:
            cache.put(key, _pack(track))
    return track


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
