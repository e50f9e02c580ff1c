"""Progress of long work, one line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from lipsync_eval.types import Clip, Frame

Say = Callable[[str], None]
EVERY = 10.0
"""s between lines."""


def silent(text: str) -> None:
    """Say nothing."""


def told(frames: Iterable[Frame], total: int, what: str, say: Say) -> Iterator[Frame]:
    """The same frames; `say` hears every 10 seconds how many passed, and how long the rest will take."""
    begun = last = time.monotonic()
    for count, frame in enumerate(frames):
        now = time.monotonic()
        if count and now - last >= EVERY:
            last = now
            say(f"{what}: {count} of {total} frames, about {(now - begun) / count * (total - count):.0f} s left")
        yield frame


def telling(clip: Clip, what: str, say: Say) -> Clip:
    """The clip; whoever reads its frames is heard of."""

    def read(start: int, stop: int) -> Iterator[Frame]:
        """Frames start..stop-1, told of."""
        return told(clip.read(start, stop), min(stop, clip.n_frames) - start, what, say)

    return replace(clip, read=read)
