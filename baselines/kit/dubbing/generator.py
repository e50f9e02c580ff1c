"""What dubbing asks of a trained generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.data.alignment import Alignment
from lipsync_eval.baselines.kit.data.inputs import Array, AudioFeature, Samples
from lipsync_eval.baselines.kit.dubbing.own_rate import TimedFrames
from lipsync_eval.types import Float, Frame, Track


@dataclass(frozen=True)
class Material:
    """What is known before the first frame is made. A generator with a pass of its own over the video reads it here."""

    video: TimedFrames
    track: Track
    matrices: Float
    """(N, 2, 3) frame px -> crop px; NaN where there is no face."""
    speech: Samples
    """(M,) float32 mono at 16 kHz; sample 0 belongs to the first frame."""
    reference: Frame
    """(size, size, 3) uint8 RGB crop."""
    count: int
    """Frames to make: the first ones of the video."""
    own_frames: bool = False
    """Whether every frame is to be its own reference, its true mouth included; `reference` then is not used."""
    notes: list[str] = field(default_factory=list)
    """For the report: a generator adds what its user should know."""


Session = Callable[[Sequence[int], Sequence[Frame]], NDArray[np.uint8]]
"""One batch, in the order of the video: numbers of n frames that show a face, and their real crops (size, size, 3) uint8
-> (n, size, size, 3) uint8 generated. How frames fall into batches must not change the result."""


class Generator(Protocol):
    """A generator ready for use."""

    @property
    def name(self) -> str:
        """For the report: method, configuration, size."""
        ...

    @property
    def made_by(self) -> Mapping[str, Any]:
        """For the report: which checkpoint, with its hashes."""
        ...

    @property
    def size(self) -> int:
        """px of its crops."""
        ...

    @property
    def alignment(self) -> Alignment:
        """How its crops lie in their frames."""
        ...

    @property
    def batch(self) -> int:
        """Frames at once that suit the device."""
        ...

    def begin(self, material: Material) -> Session:
        """Look at the material, and make what frames are made with."""
        ...


def frame_by_frame(
    audio: AudioFeature, material: Material, make: Callable[[Sequence[Frame], Sequence[Array]], NDArray[np.uint8]]
) -> Session:
    """The session of a generator that makes every frame from its crop and the audio around its time.

    Args:
        audio: what it hears.
        material: of `begin`.
        make: n crops and n windows (bands, columns) -> (n, size, size, 3) uint8.
    """
    whole = audio.whole(material.speech)

    def session(numbers: Sequence[int], crops: Sequence[Frame]) -> NDArray[np.uint8]:
        """See `Session`."""
        return make(crops, [audio.window(whole, float(material.video.seconds[i])) for i in numbers])

    return session
