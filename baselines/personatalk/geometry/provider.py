"""Who turns a clip into vertices, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from lipsync_eval.baselines.personatalk.config import GeometryConfig
from lipsync_eval.baselines.personatalk.geometry.face import FaceGeometry
from lipsync_eval.baselines.personatalk.geometry.topology import Topology
from lipsync_eval.types import Clip, Track


class Provider(Protocol):
    """Fits faces. Later layers know its topology only."""

    @property
    def topology(self) -> Topology:
        """Its vertices."""
        ...

    @property
    def description(self) -> str:
        """Everything that shapes its numbers, in words."""
        ...

    def fit(self, clip: Clip, track: Track) -> FaceGeometry:
        """The face that `track` follows, in every frame of the clip.

        Raises:
            FaceError: no frame shows it.
        """
        ...


def open_provider(config: GeometryConfig, topology_only: bool = False) -> Provider:
    """The provider of a configuration.

    Args:
        config: its name and files.
        topology_only: its `fit` will not be called, so packages and models that only this needs may be missing.

    Raises:
        MissingWeights: a file or package of the user's is not there; the message says what to get.
    """
    if config.provider == "points68":
        from lipsync_eval.baselines.personatalk.geometry.points68 import Points68

        return Points68(config.smooth)
    if config.provider == "mediapipe":
        from lipsync_eval.baselines.personatalk.geometry.mediapipe import MediaPipe

        return MediaPipe(config.landmarker, config.smooth, topology_only)
    if config.provider == "bfm":
        from lipsync_eval.baselines.personatalk.geometry.bfm import open_bfm

        return open_bfm(config, topology_only)
    from lipsync_eval.baselines.personatalk.geometry.flame import open_flame

    return open_flame(config)


def geometry_beside(path: Path) -> Path:
    """clips/a.mp4 -> clips/a.vertices.npz; a folder of images clips/a -> clips/a.vertices.npz."""
    from lipsync_eval.features.style.files import VERTICES, beside

    return beside(path, VERTICES)
