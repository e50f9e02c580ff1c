"""Sound of a file -> float32 mono at 16 kHz (or another rate), sample 0 at the first picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lipsync_eval.errors import MediaError
from lipsync_eval.media.container import opened
from lipsync_eval.media.messages import listening
from lipsync_eval.media.mixer import Mixer
from lipsync_eval.media.names import sounds_of
from lipsync_eval.media.packets import Health, decode, packets
from lipsync_eval.types import FPS, RATE, Audio

if TYPE_CHECKING:
    from av.container import InputContainer


def read_sound(path: Path, *, origin: Fraction | None, seconds: Fraction, rate: int = RATE) -> Audio | None:
    """Sound of a file, its natural length.

    Args:
        path: a sound file, or a video whose own track is wanted.
        origin: timestamp (s) of the first picture in the same file, which becomes sample 0: what sounds earlier is cut,
            silence is put before what begins later. None for a file of its own: its first sample is sample 0.
        seconds: length of the picture; a difference of more than one picture (0.04 s) is noted.
        rate: Hz of the result; whoever asks for another than 16000 must not hand it to a metric.

    Returns:
        None where the file has no sound track.

    Raises:
        MediaError: the file or its sound cannot be decoded.
    """
    with listening() as messages, opened(path, messages) as container:
        stream = container.streams.best("audio")
        if stream is None or stream.codec_context is None:
            return None
        tracks = len(container.streams.audio)
        several = (
            [f"{tracks} tracks of sound: track {stream.index} used, which ffmpeg takes by default"]
            if tracks > 1
            else []
        )
        health = Health(messages)
        mixer = Mixer(origin, seconds, rate)
        _mix(container, stream, health, mixer)
        samples = mixer.finish()
    if not mixer.begun:
        why = health.hidden_first or health.container or "; ".join(mixer.notes) or "there is no sample in it"
        raise MediaError(f"the sound of {path.name!r} cannot be used: {why}; make it again, or give another sound file")
    if not np.isfinite(samples).all():
        raise MediaError(f"the sound of {path.name!r} holds values that are no numbers; make it again")
    notes = [*several, *mixer.notes, *_damage(health), *_length(Fraction(len(samples), rate) - seconds)]
    beyond = int(np.count_nonzero(samples > 1.0) + np.count_nonzero(samples < -1.0))
    if beyond:
        notes.append(f"{beyond} samples beyond full scale clipped")
    return Audio(samples=np.clip(samples, -1.0, 1.0, out=samples), source=path, notes=tuple(notes))


def has_sound(path: Path) -> bool:
    """Whether a clip has a sound track, or sound files that belong to it; False for a file that cannot be opened."""
    if sounds_of(path):
        return True
    if path.is_dir():
        return False
    try:
        with opened(path) as container:
            return container.streams.best("audio") is not None
    except MediaError:
        return False


def _mix(container: InputContainer, stream: Any, health: Health, mixer: Mixer) -> None:
    stream.codec_context.thread_count = 1
    for packet in packets(container, [stream], health):
        for frame in decode(packet, health, mixer.begun):
            if not mixer.take(frame):
                return


def _damage(health: Health) -> list[str]:
    notes = []
    if health.failed:
        notes.append(f"{health.failed} packet(s) of sound could not be decoded")
    if health.hidden:
        notes.append(
            f"damage in {health.hidden} packet(s) of sound that the decoder covered up ({health.hidden_first})"
        )
    if health.container:
        notes.append(f"the container is damaged or cut off ({health.container})")
    return notes


def _length(longer: Fraction) -> list[str]:
    if abs(longer) <= Fraction(1, FPS):
        return []
    return [f"sound {float(abs(longer)):.2f} s {'longer' if longer > 0 else 'shorter'} than the picture: left so"]
