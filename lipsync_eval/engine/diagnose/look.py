"""Everything that is measured on a clip that is diagnosed. No judgement: that is in findings.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.cache import Cache
from lipsync_eval.errors import ClipError, MediaError, MetricError, MissingWeights
from lipsync_eval.faces import People
from lipsync_eval.features import voice
from lipsync_eval.features.background import Background, background
from lipsync_eval.features.mfcc import loudness
from lipsync_eval.features.mouth_mel import measure
from lipsync_eval.features.speaker import Heard, best, follow_people, hear, strength, surely
from lipsync_eval.media import open_clip
from lipsync_eval.media.facts import FileFacts, file_facts
from lipsync_eval.media.names import audio_files_of
from lipsync_eval.types import FPS, RATE, Clip, Float, Frame, Settings, Track

STILL_PIXEL: Final = 3
"""Grey levels by which a pixel must change to have changed."""
STILL_SHARE: Final = 0.0005
"""Share of changed pixels below which a frame repeats the one before."""
HALF: Final = 10 * FPS
"""Frames that each half of a clip needs to be asked for an offset of its own."""
_MOST_SYNCNET: Final = 4
"""People whom SyncNet looks at: those with the highest mouth-mel scores and the largest face."""


@dataclass(frozen=True, slots=True)
class SyncCurve:
    """SyncNet on one person."""

    person: int
    """Index into the people."""
    lse_c: float
    lse_d: float
    offset: int
    mean: Float
    """(31,) mean distance at the shifts -15..15 of the audio, by the sign of av_offset."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen and heard."""

    clip: Clip
    facts: FileFacts | None
    """None for a folder of images."""
    people: People
    heard: list[Heard]
    """One for each person; empty without audio."""
    speaker: int | None
    """Index of the person with the highest score; None where nobody has one."""
    sure: bool
    """Whether that person surely speaks."""
    halves: tuple[int, ...]
    """Offsets of the first and of the second half, where both are sure; else empty."""
    speech: NDArray[np.intp] | None
    """(k, 2) samples of each stretch of speech; None without audio."""
    level: Float | None
    """(T,) dBFS under each frame; None without audio."""
    background: Background | None
    held: int
    """Frames that repeat the frame before."""
    syncnet: tuple[SyncCurve, ...]
    syncnet_missing: str
    """Why SyncNet was not asked; '' where it was."""
    syncnet_weights: str
    """Whose weights those are, in words."""
    frame: Frame
    """One frame, for the picture."""
    frame_at: int

    @property
    def speech_share(self) -> float | None:
        """Share of the audio that is speech; None without audio."""
        audio = self.clip.audio
        if self.speech is None or audio is None or not len(audio.samples):
            return None
        return float((self.speech[:, 1] - self.speech[:, 0]).sum() / len(audio.samples))


def look(path: Path, settings: Settings) -> Look:
    """Look at one clip.

    Args:
        path: a video, with the audio file that belongs to it where there is one, or a folder of images.
        settings: landmarks, detector, device, weights, cache.

    Raises:
        ClipError: the clip cannot be read.
        MissingWeights: of the landmark backend; SyncNet is left out where its weights are not here.
    """
    beside = audio_files_of(path)
    if len(beside) > 1:
        raise MediaError(f"{path.name!r} has {len(beside)} audio files of its stem; leave one")
    clip = open_clip(path, audio=beside[0] if beside else None)
    facts = None if path.is_dir() else file_facts(path)
    people = follow_people(settings, clip, Cache(settings.cache_dir))
    at = _telling(people, clip.n_frames)
    held, frame = _pass(clip, at)
    audio = None if clip.audio is None or not len(clip.audio.samples) else clip.audio
    heard: list[Heard] = []
    speech, level, under = None, None, None
    halves: tuple[int, ...] = ()
    if audio is not None:
        samples = audio.int16()
        level = loudness(samples, clip.n_frames)
        speech = voice.segments(voice.probabilities(audio.samples), len(audio.samples))
        under = background(audio.samples, speech)
        heard = hear(people, samples)
    speaker = best(heard)
    if audio is not None and speaker is not None:
        halves = _halves(people.tracks[speaker], samples, clip.n_frames)
    curves, missing, whose = _syncnet(settings, clip, people, heard) if audio is not None else ((), "", "")
    sure = speaker is not None and surely(heard, speaker)
    return Look(
        clip, facts, people, heard, speaker, sure, halves, speech, level, under, held, curves, missing, whose, frame, at
    )  # fmt: skip


def _telling(people: People, n: int) -> int:
    """The frame that shows most people; of these the one nearest to the middle."""
    there = np.sum([track.valid for track in people.tracks], axis=0) if people.tracks else np.zeros(n)
    most = np.flatnonzero(there == there.max())
    return int(most[np.argmin(np.abs(most - n // 2))])


def _pass(clip: Clip, at: int) -> tuple[int, Frame]:
    """Frames that repeat the one before, and frame number `at`."""
    held, kept, before = 0, None, None
    for number, frame in enumerate(clip.frames()):
        grey = frame[::2, ::2, 1].astype(np.int16)
        if before is not None and (np.abs(grey - before) >= STILL_PIXEL).mean() < STILL_SHARE:
            held += 1
        before = grey
        if number == at:
            kept = frame
    if kept is None:
        raise MediaError(f"{clip.path.name!r} ends before frame {at}: it could not be read as before")
    return held, kept


def _halves(track: Track, samples: NDArray[np.int16], n: int) -> tuple[int, ...]:
    if n < 2 * HALF:
        return ()
    middle = n // 2
    step = RATE // FPS
    try:
        parts = [measure(track.points[a:b], samples[a * step : b * step]) for a, b in ((0, middle), (middle, n))]
    except MetricError:
        return ()
    return tuple(part.shift for part in parts) if not any(part.refusal for part in parts) else ()


def _syncnet(
    settings: Settings, clip: Clip, people: People, heard: list[Heard]
) -> tuple[tuple[SyncCurve, ...], str, str]:
    """SyncNet on the people it can be asked about, why it was not, and whose weights it has."""
    from lipsync_eval.features.syncnet.summary import summarise
    from lipsync_eval.features.syncnet.video_scorer import How, VideoScorer
    from lipsync_eval.weights import locate

    try:
        locate(settings, "syncnet", role="syncnet")
    except MissingWeights:
        return (), "SyncNet's weights are not on this machine", ""
    if clip.audio is None:
        return (), "the clip has no audio", ""
    order = sorted(range(len(heard)), key=lambda i: -strength(heard[i]))
    curves, why, whose = [], "", ""
    for index in dict.fromkeys([*order[: _MOST_SYNCNET - 1], *range(min(1, len(heard)))]):
        try:
            scorer = VideoScorer(
                settings,
                How("track", 100, lossy=False),
                clip,
                clip.audio,
                people.tracks[index],
                clip.n_frames,
                keep=True,
            )
            for start, frame in enumerate(clip.frames()):
                scorer.update(start, [frame])
            found = summarise(scorer.finish(), mean=False)
        except ClipError as error:
            why = f"SyncNet cannot be asked about person {index + 1}: {error}"
            continue
        whose = scorer.weights
        values = found.values
        mean = found.reading.mean[::-1]
        curves.append(SyncCurve(index, values["lse_c"], values["lse_d"], int(values["av_offset"]), mean))
    return tuple(curves), why, whose
