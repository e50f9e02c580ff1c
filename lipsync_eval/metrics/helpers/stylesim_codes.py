"""How a video becomes a style code: one collector a feature set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.cache import Cache
from lipsync_eval.errors import MetricError
from lipsync_eval.features.blendshapes import score_key
from lipsync_eval.features.style.code import statistics
from lipsync_eval.features.style.files import Flame, Vertices
from lipsync_eval.types import Float, Frame, Side

if TYPE_CHECKING:
    from lipsync_eval.features.blendshapes import Blendshapes
    from lipsync_eval.features.style.constants import StyleConstants
    from lipsync_eval.features.style.diffposetalk import DiffPoseTalk
    from lipsync_eval.features.style.training import TrainedEncoder

WINDOW: Final = 100
"""Frames that DiffPoseTalk's encoder was trained on."""
LEAST_ENCODED: Final = 25
"""Frames (1 s) below which the trained encoder is not asked."""
_CACHED_FRAMES: Final = 90_000
"""Videos up to an hour have their scores cached (208 bytes a frame)."""


class Collector(Protocol):
    """One video on its way to a style code."""

    notes: Sequence[str]
    """What the clip's notes should say."""

    @property
    def needs_frames(self) -> bool:
        """Whether it looks at frames."""
        ...

    def update(self, start: int, frames: Sequence[Frame]) -> None:
        """Take the next frames (only where needs_frames)."""
        ...

    def code(self) -> tuple[Float, int]:
        """The code and the number of frames in it; raises ClipError or InputError where there is none."""
        ...


class Points:
    """68 points -> code; they are known before the frames pass."""

    needs_frames = False
    notes: Sequence[str] = ()

    def __init__(self, side: Side, constants: StyleConstants) -> None:
        self.side, self.constants = side, constants

    def update(self, start: int, frames: Sequence[Frame]) -> None:
        """Not needed."""

    def code(self) -> tuple[Float, int]:
        """See Collector."""
        track = self.side.track
        if track is None or not track.valid.any():
            raise MetricError("there is no frame with a face")
        index = np.flatnonzero(track.valid)
        sequence = self.constants.sequence(track.points[index], index)
        return self.constants.standardise(statistics(sequence, index)), len(index)


class Scores:
    """Frames -> blendshapes -> code. With a cache, scores of a video that was seen before are taken from it."""

    def __init__(self, side: Side, constants: StyleConstants, model: Path, cache: Cache, weights: str) -> None:
        self.side, self.constants, self.model = side, constants, model
        self.landmarker: Blendshapes | None = None
        self.notes: Sequence[str] = ()
        self.index: list[int] = []
        self.rows: list[NDArray[np.float32]] = []
        self.cache = cache if side.clip.n_frames <= _CACHED_FRAMES else Cache(None)
        self.key = score_key(side.clip, side.track, weights)
        self.known = self.cache.get(self.key)

    @property
    def needs_frames(self) -> bool:
        """False where the cache had the scores."""
        return self.known is None

    def update(self, start: int, frames: Sequence[Frame]) -> None:
        """See Collector."""
        track = self.side.track
        if track is None:
            return
        if self.landmarker is None:
            from lipsync_eval.features.blendshapes import Blendshapes

            self.landmarker = Blendshapes(self.model)
        for i, frame in enumerate(frames, start):
            if (
                i < len(track.points)
                and track.valid[i]
                and (scores := self.landmarker(frame, track.points[i])) is not None
            ):
                self.index.append(i)
                self.rows.append(scores)

    def code(self) -> tuple[Float, int]:
        """See Collector."""
        if self.landmarker is not None:
            self.landmarker.close()
            self.landmarker = None
        if self.known is None:
            if not self.rows:
                raise MetricError("MediaPipe found no face in any frame")
            self.known = {"index": np.array(self.index), "scores": np.stack(self.rows)}
            self.cache.put(self.key, self.known)
        index, scores = self.known["index"].astype(np.intp), self.known["scores"].astype(np.float64)
        sequence = self.constants.sequence(scores, index)
        return self.constants.standardise(statistics(sequence, index)), len(index)


class Encoded:
    """FLAME coefficients -> DiffPoseTalk's code."""

    needs_frames = False

    def __init__(self, model: DiffPoseTalk, flame: Flame) -> None:
        self.model, self.flame = model, flame
        n = len(flame.exp)
        self.notes: Sequence[str] = (
            (f"shorter than one window of {WINDOW} frames: encoded as one window of {n}",) if n < WINDOW else ()
        )

    def update(self, start: int, frames: Sequence[Frame]) -> None:
        """Not needed."""

    def code(self) -> tuple[Float, int]:
        """See Collector."""
        if len(self.flame.exp) < LEAST_ENCODED:
            raise MetricError(
                f"the style encoder needs at least {LEAST_ENCODED} frames (1 s); there are {len(self.flame.exp)}"
            )
        return self.model.style(self.flame), len(self.flame.exp)


class Spread:
    """Vertices -> mean and std over time."""

    needs_frames = False

    def __init__(self, vertices: Vertices) -> None:
        self.vertices = vertices
        self.notes: Sequence[str] = (
            () if vertices.has_template else ("no template in the vertices file: the mean face rules the code",)
        )

    def update(self, start: int, frames: Sequence[Frame]) -> None:
        """Not needed."""

    def code(self) -> tuple[Float, int]:
        """See Collector."""
        flat = self.vertices.flat[self.vertices.index]
        if not len(flat):
            raise MetricError("the vertices file says that no frame shows the face")
        return np.concatenate([flat.mean(0), flat.std(0)]), len(flat)


class Trained:
    """Vertices -> code of an encoder that `style train --features vertices` wrote."""

    needs_frames = False
    notes: Sequence[str] = ()

    def __init__(self, encoder: TrainedEncoder, vertices: Vertices) -> None:
        width = len(encoder.constants.mean)
        if vertices.flat.shape[1] != width:
            raise MetricError(
                f"the encoder takes {width} numbers a frame and the vertices file has {vertices.flat.shape[1]}; fit the clips with the "
                "provider that the encoder was trained with"
            )
        self.encoder, self.vertices = encoder, vertices

    def update(self, start: int, frames: Sequence[Frame]) -> None:
        """Not needed."""

    def code(self) -> tuple[Float, int]:
        """See Collector."""
        index = self.vertices.index
        if len(index) < LEAST_ENCODED:
            raise MetricError(f"the style encoder needs at least {LEAST_ENCODED} frames (1 s); there are {len(index)}")
        return self.encoder.style((self.vertices.flat[index], index)), len(index)
