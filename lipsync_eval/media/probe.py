"""A look at a file's head, without decoding."""

from __future__ import annotations

from pathlib import Path

from lipsync_eval.errors import MediaError
from lipsync_eval.media.container import opened
from lipsync_eval.media.names import sounds_of


def has_sound(path: Path) -> bool:
    """Whether a video file holds a sound track, or a folder of images a sound file. False for what cannot be opened."""
    if path.is_dir():
        return bool(sounds_of(path))
    try:
        with opened(path) as container:
            return bool(container.streams.audio)
    except MediaError:
        return False
