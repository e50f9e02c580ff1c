"""What a crop protocol is. Implementations live on the shelf `protocols/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from typing import Protocol as Interface

from lipsync_eval.errors import UsageError
from lipsync_eval.options import Option
from lipsync_eval.types import Crop, Track

SyncDetector = Literal["track", "s3fd", "none"]
ShotRule = Literal["0.5.1", "0.6.1"]
"""0.5.1: a change of 30, a cut from the second frame on, every k-th pixel. 0.6.1: a change of 27, no cut in the first 15
frames, frames shrunk bilinearly."""
TrackChoice = Literal["longest", "mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRules:
    """How SyncNet's metrics find their crops in a video under a protocol, and which of its tracks count.

    Raises:
        UsageError: a value that there is not.
    """

    detector: SyncDetector = "track"
    """track: the run's own landmarks. s3fd: S3FD and upstream's tracking. none: whole frames, no face is looked for.
    The first two can be changed by --sync-detector."""
    min_track: int = 100
    """A track must have more frames than this; more than 0.8 of the clip's where that is less."""
    shots: ShotRule = "0.5.1"
    """PySceneDetect's release whose rule cuts the video into shots, for s3fd."""
    tracks: TrackChoice = "longest"
    """Which tracks are the clip's score: the longest one, or the mean over all."""

    def __post_init__(self) -> None:
        for name, kind in (("detector", SyncDetector), ("shots", ShotRule), ("tracks", TrackChoice)):
            if (value := getattr(self, name)) not in get_args(kind):
                raise UsageError(f"sync.{name}={value!r}: expected one of {', '.join(get_args(kind))}")
        if not isinstance(self.min_track, int) or isinstance(self.min_track, bool) or self.min_track < 0:
            raise UsageError(f"sync.min_track={self.min_track!r}: expected a whole number of frames, 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSpec:
    """What a protocol declares about itself; `show NAME` prints all of it."""

    name: str
    version: int
    """+1 whenever a crop may move."""
    size: int | None
    """Side of the square crop in px; None: the frame's own size."""
    needs_track: bool
    summary: str
    citation: str
    choices: tuple[str, ...]
    """What the source leaves unsaid and what was chosen here, one sentence each."""
    options: tuple[Option, ...] = ()
    """What a user may choose (Settings.protocol_options); anything else is refused before the protocol sees it."""
    sync: SyncRules = SyncRules()
    """What SyncNet's metrics do under it."""


@dataclass(frozen=True, slots=True)
class View:
    """What a protocol may look at: one video's size, length and face."""

    height: int
    width: int
    n_frames: int
    track: Track | None
    which: Literal["generated", "real", ""] = ""
    """Which video it is, for messages; '': the one whose place it takes."""


class Protocol(Interface):
    """A crop protocol with its options bound."""

    @property
    def spec(self) -> ProtocolSpec:
        """What it declares."""
        ...

    def signature(self) -> str:
        """Value of the `proto` key: name.version, then options that move a crop, e.g. 'radio.1,crop-from=gt'."""
        ...

    def crops(self, gen: View, gt: View) -> tuple[Crop, Crop]:
        """Crops of both videos, each over the common length.

        A video that is cropped by itself (no real video, or one that shows other moments) is given as both.

        Raises:
            ProtocolError: when no frame can be cropped.
        """
        ...


class ProtocolFactory(Interface):
    """What is registered (table or entry point `lipsync_eval.protocols`): options in, protocol out."""

    def __call__(self, options: Mapping[str, str]) -> Protocol:
        """Bind options; an unknown option or value raises UsageError naming the ones there are."""
        ...
