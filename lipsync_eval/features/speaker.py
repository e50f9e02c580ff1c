"""Which of several people speaks: the one whose mouth follows the audio, by the mouth-mel score.

Each person's mouth gives a curve of agreement with the clip's audio over shifts of the audio (features/mouth_mel). The
score is the peak. A foreign mouth's score falls with the root of the length, so people are compared by score x
sqrt(frames). The person with the greatest is taken if

- the peak is surely higher than every other shift of this person (the limit of mouth_mel_offset), or
- score x sqrt(frames) is at least STRONG, and AHEAD more than the next person's.

Otherwise nobody is taken: a wrong person is worse than none. docs/faces.md says how often each happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.cache import Cache
from lipsync_eval.errors import FaceError, MetricError
from lipsync_eval.faces import People, track_faces, track_people
from lipsync_eval.features.mouth_mel import LEAST, Found, measure, shipped
from lipsync_eval.types import Clip, Float, Json, Settings, Track
from lipsync_eval.weights import locate

VERSION: Final = 1
"""+1 whenever another person may be taken."""
STRONG: Final = 3.5
"""Score x sqrt(frames) from which the best person may be taken."""
AHEAD: Final = 1.5
"""How much more that must be than the next person's."""
NEAR: Final = 0.3
"""Mean overlap (IoU) of boxes from which a face of the generated video lies where the real video's speaker is."""
SAME_ASPECT: Final = 0.02
"""Share by which the ratio of width and height may differ in two videos that show the same scene."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One person of a clip, and how the mouth follows the audio."""

    track: Track
    found: Found | None
    """None where there is no score."""
    reason: str
    """Why there is none; ''."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whom `--face speaking` follows through one video."""

    track: Track
    people: list[dict[str, Json]]
    """One row for each person, for results.json."""


def signature() -> str:
    """The rule's version and the constants behind the scores: 'speaking.1@1a2b3c4d'."""
    return f"speaking.{VERSION}@{shipped().digest}"


def face_key(settings: Settings) -> str:
    """Value of the `face` key of signatures: whom the run follows."""
    return signature() if settings.face == "speaking" else settings.face


def hear(people: People, samples: NDArray[np.int16]) -> list[Heard]:
    """The score of each person, in the order of `people`."""
    return [_hear(track, samples) for track in people.tracks]


def _hear(track: Track, samples: NDArray[np.int16]) -> Heard:
    try:
        return Heard(track, measure(track.points, samples), "")
    except MetricError as error:
        return Heard(track, None, str(error))


def best(heard: Sequence[Heard]) -> int | None:
    """The person with the greatest strength; of equal ones the first. None where nobody has a score."""
    scored = [i for i, one in enumerate(heard) if one.found is not None]
    return max(scored, key=lambda i: strength(heard[i])) if scored else None


def strength(one: Heard) -> float:
    """A person's score x sqrt(frames), which for a foreign mouth does not depend on the length; 0 for somebody whose mouth
    cannot be compared (it is still, or hidden)."""
    return 0.0 if one.found is None else one.found.corr * float(np.sqrt(one.found.frames))


def surely(heard: Sequence[Heard], index: int) -> bool:
    """Whether the person with the greatest strength surely speaks."""
    found = heard[index].found
    if found is None:
        return False
    if found.sure >= shipped().limit or len(heard) == 1:
        return found.sure >= shipped().limit
    mine, rest = strength(heard[index]), max(strength(one) for i, one in enumerate(heard) if i != index)
    return mine >= STRONG and mine - rest >= AHEAD


def rows(heard: Sequence[Heard], chosen: int | None) -> list[dict[str, Json]]:
    """What is known of each person, for results.json."""
    out = []
    for i, one in enumerate(heard):
        valid = one.track.valid
        box = np.nanmean(one.track.boxes[valid], axis=0) if valid.any() else np.full(4, np.nan)
        found = one.found
        out.append(
            {
                "person": i + 1,
                "followed": i == chosen,
                "frames": int(valid.sum()),
                "box": [round(float(x), 1) for x in box],
                "mouth_mel_corr": None if found is None else round(found.corr, 4),
                "shift": None if found is None else found.shift,
                "certainty": None if found is None or np.isnan(found.sure) else round(found.sure, 3),
                "no_score": one.reason or None,
            }
        )
    return out


def choose(people: People, audio: NDArray[np.int16] | None, why_silent: str = "") -> tuple[int, list[Heard], str]:
    """The person who speaks.

    Args:
        people: of a clip.
        audio: (N,) int16 mono at 16 kHz of the clip; None where it has none.
        why_silent: why it has none.

    Returns:
        index into people.tracks, the scores, and a note.

    Raises:
        FaceError: nobody is there, there is no audio, or nobody's mouth surely follows it; holds all scores.
    """
    if not people.tracks:
        raise FaceError("no face found in any frame")
    if audio is None:
        raise FaceError(
            f"--face speaking: {why_silent or 'the video has no audio'}, so it cannot be told who speaks: put an audio file beside it, "
            "or use --face largest"
        )
    heard = hear(people, audio)
    first = best(heard)
    long = [i for i, one in enumerate(heard) if int(one.track.valid.sum()) >= LEAST]
    if len(long) <= 1 or len(heard) == 1:
        only = long[0] if long else 0
        return only, heard, _alone(heard, only)
    if first is None or not surely(heard, first):
        raise FaceError(
            f"--face speaking: {len(heard)} people, and nobody's mouth surely follows the audio ({told(heard)}); "
            "use --face largest, or a longer part of the clip"
        )
    note = (
        f"faces followed: {people.found}; kept person {first + 1}, whose mouth follows the audio best ({told(heard)})"
    )
    return first, heard, note


def told(heard: Sequence[Heard]) -> str:
    """The scores in words."""
    parts = []
    for i, one in enumerate(heard, 1):
        if one.found is None:
            parts.append(f"person {i}: no score, {one.reason}")
        else:
            parts.append(
                f"person {i}: {one.found.corr:.2f} at {one.found.shift:+d} frames, certainty {one.found.sure:.1f}"
            )
    return "; ".join(parts) + f"; certainty {shipped().limit:.2f} is sure, or a score well ahead of the others'"


def _alone(heard: Sequence[Heard], only: int) -> str:
    one = heard[only]
    if one.found is None:
        return f"--face speaking: only one face to follow; whether it speaks cannot be told ({one.reason})"
    if not surely([one], 0):
        return (
            f"--face speaking: only one face to follow; its mouth does not surely follow the audio (score {one.found.corr:.2f}, "
            f"certainty {one.found.sure:.1f}, {shipped().limit:.2f} is sure)"
        )
    return ""


def follow_speaker(settings: Settings, clip: Clip, cache: Cache) -> Chosen:
    """The person who speaks in a clip, by the clip's own audio.

    Raises:
        FaceError: as `choose`.
        MediaError: the clip cannot be read to its end.
    """
    people = follow_people(settings, clip, cache)
    audio = None if clip.audio is None or not len(clip.audio.samples) else clip.audio.int16()
    index, heard, note = choose(people, audio, clip.no_audio)
    return _chosen(people, heard, index, note)


def follow_same(
    settings: Settings, clip: Clip, cache: Cache, real: Clip, speaker: Track, *, alone: bool = False
) -> Chosen:
    """The person of a generated video who stands where the real video's speaker does.

    The generated mouth has no say: a generator that moves nobody's mouth, or the wrong one's, would choose its own judge.

    Args:
        settings: landmarks, detector, device.
        clip: the generated video.
        cache: for tracks.
        real: the real video.
        speaker: its speaker.
        alone: the real video shows nobody else, so that a generated one that shows one face shows this person.

    Raises:
        FaceError: nobody is there, or the two videos show different parts of the scene and several people.
    """
    people = follow_people(settings, clip, cache)
    if not people.tracks:
        raise FaceError("no face found in any frame")
    heard = [] if clip.audio is None else hear(people, clip.audio.int16())
    if alone and len(people.tracks) == 1:
        return _chosen(people, heard, 0, "")
    scale = np.array([clip.width / real.width, clip.height / real.height])
    if abs(scale[0] / scale[1] - 1) > SAME_ASPECT:
        if len(people.tracks) > 1:
            raise FaceError(
                f"--face speaking: the real video is {real.width}x{real.height} px and this one {clip.width}x{clip.height}, so they show "
                f"different parts of the scene, and {len(people.tracks)} people are in this one: which of them is the real video's speaker "
                "cannot be told; use --face largest, or videos of one shape"
            )
        return _chosen(
            people, heard, 0, "--face speaking: the only face, in a frame of another shape than the real one"
        )
    places = [_overlap(track.boxes, speaker.boxes * np.tile(scale, 2)) for track in people.tracks]
    index = int(np.argmax(places))
    if not places[index] >= NEAR:
        seen = ", ".join(f"person {i}: {x:.2f}" for i, x in enumerate(places, 1))
        raise FaceError(
            f"--face speaking: no face of this video lies where the real video's speaker is (mean overlap of boxes {seen}; "
            f"{NEAR:g} is needed); use --face largest if the person has moved"
        )
    note = ""
    if people.found > 1:
        note = f"faces followed: {people.found}; kept person {index + 1}, who is where the real video's speaker is (overlap {places[index]:.2f})"
    return _chosen(people, heard, index, note)


def track_one(settings: Settings, clip: Clip, cache: Cache) -> Track:
    """The one face that a run follows through a clip that stands alone (a reference, a clip of a corpus).

    With face='speaking' a clip that shows one face needs no audio.

    Raises:
        FaceError: no face, several with face='single', or nobody who surely speaks with face='speaking'.
    """
    if settings.face == "speaking":
        people = follow_people(settings, clip, cache)
        if len(people.tracks) == 1:
            return people.tracks[0]
        return follow_speaker(settings, clip, cache).track
    return track_faces(
        clip, landmarks=settings.landmarks, detector=settings.detector, face=settings.face, cache=cache,
        weights=lambda name: locate(settings, name).path, device=settings.device,
    )  # fmt: skip


def follow_people(settings: Settings, clip: Clip, cache: Cache) -> People:
    """Everybody in a clip, found as the run finds faces."""
    return track_people(
        clip, landmarks=settings.landmarks, detector=settings.detector, cache=cache,
        weights=lambda name: locate(settings, name).path, device=settings.device,
    )  # fmt: skip


def _chosen(people: People, heard: Sequence[Heard], index: int, note: str) -> Chosen:
    track = people.tracks[index]
    notes = list(track.notes)
    if people.cuts:
        notes.insert(0, f"possible cuts: {len(people.cuts)}, the first before frame {people.cuts[0]}")
    if note:
        notes.append(note)
    shown = heard or [Heard(one, None, "the video has no audio") for one in people.tracks]
    return Chosen(replace(track, notes=tuple(notes)), rows(shown, index))


def _overlap(a: Float, b: Float) -> float:
    """Mean overlap (IoU) of two persons' boxes over the frames that have both; 0 where there are none."""
    n = min(len(a), len(b))
    low, high = np.maximum(a[:n, :2], b[:n, :2]), np.minimum(a[:n, 2:], b[:n, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    areas = sum(np.prod(box[:n, 2:] - box[:n, :2], axis=1) for box in (a, b))
    both = np.isfinite(areas)
    return float((shared[both] / (areas[both] - shared[both])).mean()) if both.any() else 0.0
