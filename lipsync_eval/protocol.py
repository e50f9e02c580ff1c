"""What a crop protocol is. Implementations live on the shelf `protocols/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol as Interface

from lipsync_eval.types import Crop, Track


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSpec:
    """What a protocol declares about itself; `show NAME` prints all of it. No defaults."""

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


@dataclass(frozen=True, slots=True)
class View:
    """What a protocol may look at: one video's size, length and face."""

    height: int
    width: int
    n_frames: int
    track: Track | None


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

        Raises:
            ProtocolError: when no frame can be cropped.
        """
        ...


class ProtocolFactory(Interface):
    """What is registered (table or entry point `lipsync_eval.protocols`): options in, protocol out."""

    def __call__(self, options: Mapping[str, str]) -> Protocol:
        """Bind options; an unknown option or value raises UsageError naming the ones there are."""
        ...
