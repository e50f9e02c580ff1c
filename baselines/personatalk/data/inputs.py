"""What PersonaTalk is shown: box crops, the mel, and fitted geometry, which `personatalk fit --data` stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.data.cutting import Options
from lipsync_eval.baselines.kit.data.holdout import Pool, Span
from lipsync_eval.baselines.kit.data.inputs import ModelInput
from lipsync_eval.baselines.kit.data.mel import BEFORE, MEL, PER_FRAME
from lipsync_eval.baselines.kit.data.windows import Windows
from lipsync_eval.baselines.personatalk.config import PersonaTalkConfig
from lipsync_eval.baselines.personatalk.data.alignment import BOX
from lipsync_eval.baselines.personatalk.geometry.face import Camera, camera_of
from lipsync_eval.baselines.personatalk.geometry.provider import Provider, open_provider
from lipsync_eval.types import Clip, Float, Track

NAME = "geometry"


@dataclass(frozen=True)
class StoredGeometry:
    """Vertices, cameras into the stored crops, and the template, as a `StoredArray` of several.

    k/geometry.vertices (T, L, 3) float32, k/geometry.camera (T, 12) float32, k/geometry.template (L, 3) float32.
    """

    provider: Provider
    size: int
    """px of the stored crops."""
    write: Callable[[Path], Path | None] | None = None
    """Where the whole clip's file goes, by its video; None: nowhere."""
    name: str = NAME

    @property
    def description(self) -> str:
        """The provider's."""
        return self.provider.description

    def of_video(self, clip: Clip, track: Track) -> Callable[[int, int], dict[str, NDArray[Any]]]:
        """Fit the whole clip once."""
        face = self.provider.fit(clip, track)
        if self.write is not None and (path := self.write(clip.path)) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            face.save(path)

        def part(start: int, stop: int) -> dict[str, NDArray[Any]]:
            """Of frames start..stop-1."""
            matrices = BOX.matrices(track.points[start:stop], self.size)
            camera = face.camera.part(slice(start, stop)).seen_through(matrices)
            return {
                "vertices": face.vertices[start:stop].astype(np.float32),
                "camera": camera.rows(),
                "template": face.template.astype(np.float32),
            }

        return part


def options(
    provider: Provider, size: int = 256, write: Callable[[Path], Path | None] | None = None, **more: Any
) -> Options:
    """How `personatalk fit --data` prepares videos; `more` as in `kit.data.cutting.Options`."""
    return Options(alignment=BOX, size=size, arrays=(MEL, StoredGeometry(provider, size, write)), **more)


def model_input(config: PersonaTalkConfig, window: int) -> ModelInput:
    """What both stages take; `window`: frames of a sample."""
    provider = open_provider(config.geometry, topology_only=True)
    size = config.stage2.size
    return ModelInput(size, BOX, MEL, window=window, references="one", arrays=(MEL, StoredGeometry(provider, size)))


def open_pool(config: PersonaTalkConfig, window: int) -> Pool:
    """The data of a configuration; see `Pool`."""
    return Pool(config.data, model_input(config, window))


def vertices_of(windows: Windows, span: Span, start: int, stop: int) -> Float:
    """(stop - start, L, 3) un-posed."""
    found: Float = windows.array(span, f"{NAME}.vertices", start, stop).astype(np.float64)
    return found


def template_of(windows: Windows, span: Span) -> Float:
    """(L, 3) the person at rest."""
    found: Float = windows.array(span, f"{NAME}.template").astype(np.float64)
    return found


def camera_in(windows: Windows, span: Span, index: int) -> Camera:
    """The camera of one frame into a crop of the model's size."""
    rows = windows.array(span, f"{NAME}.camera", index, index + 1)
    return camera_of(rows).resized(windows.stored, windows.size)


def mel_rows(windows: Windows, span: Span, start: int, stop: int) -> NDArray[np.float32]:
    """(4 (stop - start), 80): every frame's own columns."""
    found: NDArray[np.float32] = windows.array(span, MEL.name, PER_FRAME * start + BEFORE, PER_FRAME * stop + BEFORE)
    return found
