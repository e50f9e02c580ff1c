"""Streaming the frames of a scanned file at 25 fps."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lipsync_eval.errors import MediaError
from lipsync_eval.media.container import opened
from lipsync_eval.media.rgb import Converter
from lipsync_eval.media.scan import Scan, decoded
from lipsync_eval.media.timing import Integers
from lipsync_eval.media.tracks import video_track
from lipsync_eval.types import Frame

if TYPE_CHECKING:
    from av import VideoFrame

_FAR: Final = 64
"""Frames from which on seeking pays."""


@dataclass(frozen=True)
class Reader:
    """Clip.read: frames start..stop-1 at 25 fps. Unless the scan kept the decoded frames, every call opens the file anew, and
    memory does not grow with its length."""

    path: Path
    found: Scan
    picks: Integers
    """(n,) index of the frame that stands for each 25th of a second (see `sampling`)."""

    def __call__(self, start: int, stop: int) -> Iterator[Frame]:
        """Yield (H, W, 3) uint8 RGB frames, contiguous and owned by the caller.

        Raises:
            MediaError: the file changed since it was scanned.
        """
        wanted = self.picks[max(start, 0) : stop]
        if not len(wanted):
            return
        convert = Converter(copy(self.found.display))
        k = 0
        for index, frame in self._from(int(wanted[0])):
            if index < wanted[k]:
                continue
            rgb = convert(frame)
            while k < len(wanted) and wanted[k] == index:
                k += 1
                again = k < len(wanted) and wanted[k] == index
                yield rgb.copy() if again else rgb
            if k == len(wanted):
                return
        raise MediaError(
            f"{self.path.name!r} gave {k} of {len(wanted)} frames that were there when it was opened; was it changed?"
        )

    def _from(self, first: int) -> Iterator[tuple[int, VideoFrame]]:
        """Decoded frames with their index, from frame `first` or earlier."""
        number = self.found.times.number
        if self.found.kept:
            for index in range(first, len(number)):
                yield index, self.found.kept[number[index]]
            return
        if first >= _FAR and self.found.seeks:
            with opened(self.path) as container:
                frames = self._sought(container, video_track(container, self.path), first)
                if frames is not None:
                    yield from frames
                    return
        index = 0
        with opened(self.path) as container:
            for i, frame in enumerate(decoded(container, video_track(container, self.path))):
                if index < len(number) and number[index] == i:
                    yield index, frame
                    index += 1

    def _sought(self, container: Any, stream: Any, first: int) -> Iterator[tuple[int, VideoFrame]] | None:
        """From the keyframe before `first`; None where that is not safe.

        It is when the first frame that comes is a keyframe (no frame that leans on an earlier one is shown before it)
        and all from there to `first` come with the times that they had in the scan.
        """
        ticks = self.found.times.ticks
        container.seek(int(ticks[first]), stream=stream)
        frames = decoded(container, stream)
        index: int | None = None
        for frame in frames:
            here = len(ticks) if frame.pts is None else int(np.searchsorted(ticks, frame.pts))
            if here > first or ticks[here] != frame.pts:
                return None
            if (index is None and not frame.key_frame) or (index is not None and here != index + 1):
                return None
            index = here
            if index == first:
                return _numbered(index, frame, frames)
        return None


def _numbered(index: int, frame: VideoFrame, rest: Iterator[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
    yield index, frame
    yield from enumerate(rest, start=index + 1)
