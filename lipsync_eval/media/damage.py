"""Whether a file holds what it says it holds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lipsync_eval.errors import MediaError
from lipsync_eval.media.header import recordings
from lipsync_eval.media.packets import Health
from lipsync_eval.media.timing import JOINED, Times

if TYPE_CHECKING:
    from av.container import InputContainer

TOLERANCE: Final = Fraction(1, 5)
"""s. A file that states more than it holds by more than this (5 frames at 25 fps) was cut off."""
_NOTED: Final = Fraction(2, 25)
"""s. Less than this is rounding and the delay of codecs."""
JUMP: Final = 10
"""s. ffmpeg takes a longer step in formats whose clock may start anew for a seam, not for time that passed."""
_JUMPING: Final = ("mpeg", "mpegts")
_STATED: Final = ("mov,", "matroska", "avi", "flv", "asf")
"""Formats whose header states a duration; for others ffmpeg derives it from what is there."""


def check_damage(path: Path, container: InputContainer, stream: Any, times: Times, health: Health) -> list[str]:
    """Refuse a file with frames that are damaged or missing; name the damage that decoders covered up.

    Raises:
        MediaError: frames cannot be decoded, or more than TOLERANCE of the stated duration is missing, or the
            container is damaged and there is a hole of more than TOLERANCE in the frames, or a jump of more than JUMP.
    """
    n = len(times.ticks)
    if health.failed:
        why = health.hidden_first or health.container
        raise MediaError(
            f"{path.name!r}: {health.failed} of about {n + health.failed} frames cannot be decoded"
            f"{f' ({why})' if why else ''}: the file is damaged or cut off; make it again"
        )
    if recordings(path, container.format.name, health.read) > 1:
        raise MediaError(
            f"{path.name!r} holds more than one recording, of which players show the first alone: {JOINED}"
        )
    gap = max(_short(container, stream, times, health), default=Fraction(0))
    if gap > TOLERANCE:
        raise MediaError(
            f"{path.name!r} was cut off: its header states {float(gap):.2f} s more than the file holds ({n} frames; up "
            f"to {float(TOLERANCE)} s are accepted); make it again"
        )
    hole = _hole(times)
    if health.container and hole > TOLERANCE:
        raise MediaError(
            f"{path.name!r} is damaged ({health.container}): {float(hole):.2f} s of frames are missing in the middle; "
            "make it again"
        )
    if hole > JUMP and container.format.name in _JUMPING:
        raise MediaError(
            f"{path.name!r}: the timestamps jump ahead by {float(hole):.0f} s, and ffmpeg would leave the hole out: {JOINED}"
        )
    return _notes(gap, health)


def _notes(gap: Fraction, health: Health) -> list[str]:
    notes = []
    if gap > _NOTED:
        notes.append(f"its header states {float(gap):.2f} s more than the file holds")
    if health.container:
        notes.append(f"the container is damaged or cut off ({health.container})")
    if health.hidden:
        notes.append(f"damage in {health.hidden} packet(s) that the decoder covered up ({health.hidden_first})")
    if health.early:
        notes.append(f"{health.early} packet(s) before the first complete frame left out")
    return notes


def _short(container: InputContainer, stream: Any, times: Times, health: Health) -> list[Fraction]:
    """By how many seconds the file ends before its header says, by each of the header's statements.

    Some formats count a duration from 0, some from the first timestamp: the reading that accuses less is taken.
    """
    name = container.format.name
    if not name.startswith(_STATED):
        return []
    found = []
    end = times.origin + times.seconds - min(times.origin, Fraction(0))
    if stream.duration:
        found.append(stream.duration * times.tick - end)
    if (
        name == "avi" and stream.frames
    ):  # the duration of a cut file is guessed from its size; the count is the header's
        found.append(stream.frames * times.tick - end)
    if container.duration:
        found.append(Fraction(container.duration, 1_000_000) - max(health.end, end))
    return found


def _hole(times: Times) -> Fraction:
    """s by which the longest time between two frames exceeds the usual one."""
    if len(times.ticks) < 3:
        return Fraction(0)
    gaps = np.diff(times.ticks)
    return int(gaps.max() - np.median(gaps)) * times.tick
