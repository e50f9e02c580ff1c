"""Audio of a file -> float32 mono at 16 kHz (or another rate), sample 0 at the first frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsync_eval.errors import MediaError
from lipsync_eval.media.container import opened
from lipsync_eval.media.messages import listening
from lipsync_eval.media.mixer import Mixer
from lipsync_eval.media.names import audio_files_of
from lipsync_eval.media.packets import Health, decode, packets
from lipsync_eval.media.tracks import audio_notes, audio_track
from lipsync_eval.types import FPS, RATE, Audio

if TYPE_CHECKING:
    from av.container import InputContainer


def read_audio(path: Path, *, origin: Fraction | None, seconds: Fraction, rate: int = RATE) -> Audio | None:
    """Audio of a file where its timestamps put it, its natural length.

    Args:
        path: an audio file, or a video whose own track is wanted.
        origin: timestamp (s) of the first frame in the same file, which becomes sample 0: what sounds earlier is cut,
            silence is put before what begins later. None for a file of its own: its first sample is sample 0.
        seconds: length of the video; a difference of more than one frame (0.04 s) is noted.
        rate: Hz of the result; whoever asks for another than 16000 must not hand it to a metric.

    Returns:
        None where the file has no audio track.

    Raises:
        MediaError: the file or its audio cannot be decoded, mixed to mono or placed in time.
    """
    with listening() as messages, opened(path, messages) as container:
        if not container.streams.audio:
            return None
        stream = audio_track(container)
        if stream is None:
            raise MediaError(_unusable(path, "it is in a format that cannot be decoded here"))
        several = audio_notes(container, stream)
        health = Health(messages)
        mixer = Mixer(origin, seconds, rate)
        try:
            _mix(container, stream, health, mixer)
            found = mixer.finish()
        except MediaError as error:
            raise MediaError(_unusable(path, str(error))) from error
    if not mixer.begun:
        why = health.hidden_first or health.container or mixer.why_none or "there is no sample in it"
        raise MediaError(_unusable(path, why))
    if mixer.opposite:
        raise MediaError(
            _unusable(path, "its two channels are in opposite phase and cancel each other: their mean is nearly silent")
        )
    samples = found.samples
    if not np.isfinite(samples).all():
        raise MediaError(f"the audio of {path.name!r} holds values that are no numbers; make it again")
    notes = [*several, *found.notes, *_damage(health), *_length(Fraction(len(samples), rate) - seconds)]
    beyond = int(np.count_nonzero(samples > 1.0) + np.count_nonzero(samples < -1.0))
    if beyond:
        notes.append(f"{beyond} samples beyond full scale clipped")
    return Audio(samples=np.clip(samples, -1.0, 1.0, out=samples), source=path, notes=tuple(notes))


def has_audio(path: Path) -> bool | None:
    """Whether a clip has an audio track, or audio files that belong to it; None for a file that cannot be opened."""
    if audio_files_of(path):
        return True
    if path.is_dir():
        return False
    try:
        with opened(path) as container:
            return bool(container.streams.audio)
    except MediaError:
        return None


def _unusable(path: Path, why: str) -> str:
    return f"the audio of {path.name!r} cannot be used: {why}; make it again, or give another audio file"


def _mix(container: InputContainer, stream: Any, health: Health, mixer: Mixer) -> None:
    for packet in packets(container, [stream], health):
        for frame in decode(packet, health, mixer.begun):
            if not mixer.take(frame):
                return


def _damage(health: Health) -> list[str]:
    notes = []
    if health.failed:
        notes.append(f"{health.failed} packet(s) of audio could not be decoded")
    if health.hidden:
        notes.append(
            f"damage in {health.hidden} packet(s) of audio that the decoder covered up ({health.hidden_first})"
        )
    if health.container:
        notes.append(f"the container is damaged or cut off ({health.container})")
    return notes


def _length(longer: Fraction) -> list[str]:
    if abs(longer) <= Fraction(1, FPS):
        return []
    return [f"audio {float(abs(longer)):.2f} s {'longer' if longer > 0 else 'shorter'} than the video: left so"]
