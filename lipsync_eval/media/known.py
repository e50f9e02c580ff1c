"""What a scan found in a video file, kept in the cache by the file's bytes.

A video that was seen before is then scanned when its frames are asked for, which need not happen at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipsync_eval.cache import Cache
from lipsync_eval.errors import MediaError
from lipsync_eval.media.reader import Reader
from lipsync_eval.media.sampling import sample
from lipsync_eval.media.scan import Scan, scan
from lipsync_eval.media.timing import Integers
from lipsync_eval.types import FPS, Frame


@dataclass(frozen=True, slots=True)
class Facts:
    """What the Clip of a file says, apart from its audio."""

    n_frames: int
    """At 25 fps."""
    height: int
    """px, as shown."""
    width: int
    source_fps: float
    """Mean rate of the file's own frames (1/s)."""
    origin: Fraction
    """Timestamp (s) of the first frame."""
    notes: tuple[str, ...]


def facts_of(found: Scan, picks: Integers) -> Facts:
    """The facts of a scan and of the frames sampled at 25 fps."""
    times = found.times
    fps = float(len(times.ticks) / times.seconds)
    return Facts(len(picks), found.height, found.width, fps, times.origin, (*resampled(found, picks), *found.notes))


def resampled(found: Scan, picks: Integers) -> list[str]:
    """A note when the frames of the clip are not exactly those of the file."""
    n = len(found.times.ticks)
    if np.array_equal(picks, np.arange(n)):
        return []
    used = len(np.unique(picks))
    return [
        f"resampled from {float(n / found.times.seconds):.4g} to {FPS} fps: {used} of {n} frames used, {len(picks) - used} repeated"
    ]


class LateReader:
    """Clip.read of a file whose facts are known: it is scanned before the first frame that is asked for."""

    def __init__(self, path: Path, facts: Facts, keep: int) -> None:
        self._path, self._facts, self._keep = path, facts, keep
        self._reader: Reader | None = None

    def __call__(self, start: int, stop: int) -> Iterator[Frame]:
        """As Reader, and with its errors."""
        if self._reader is None:
            found = scan(self._path, self._keep)
            picks = sample(found.times)
            if facts_of(found, picks) != self._facts:
                raise MediaError(f"{self._path.name!r} is not as it was when it was opened; was it changed?")
            self._reader = Reader(self._path, found, picks)
        yield from self._reader(start, stop)


def load(cache: Cache, path: Path, digest: str) -> Facts | None:
    """The facts of a file with this sha256, or None."""
    found = cache.get(_key(path, digest))
    if found is None:
        return None
    try:
        n, height, width, over, under = (int(v) for v in found["numbers"].astype(np.int64))
        fps = float(found["source_fps"].astype(np.float64))
        return Facts(n, height, width, fps, Fraction(over, under), tuple(str(note) for note in found["notes"]))
    except (KeyError, ValueError, TypeError, ZeroDivisionError):
        return None


def store(cache: Cache, path: Path, digest: str, facts: Facts) -> None:
    """Keep the facts of a file."""
    origin = facts.origin
    if max(abs(origin.numerator), origin.denominator) >= 1 << 63:
        return
    numbers = [facts.n_frames, facts.height, facts.width, origin.numerator, origin.denominator]
    cache.put(
        _key(path, digest),
        {
            "numbers": np.array(numbers, np.int64),
            "source_fps": np.array(facts.source_fps),
            "notes": np.array(facts.notes, np.str_),
        },
    )


def _key(path: Path, digest: str) -> dict[str, str]:
    """ffmpeg looks at the suffix too when it finds out what a file is, and another release of it may see other things."""
    import av

    return {"kind": "video.1", "video": digest, "suffix": path.suffix.lower(), "av": av.__version__}
