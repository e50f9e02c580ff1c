"""Which landmark finders and detectors there are. The table is the only place that names their modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from lipsync_eval.cache import NO_CACHE, Cache
from lipsync_eval.device import pick
from lipsync_eval.errors import UsageError
from lipsync_eval.faces.base import Detector, Landmarker, Locate
from lipsync_eval.files import sha256
from lipsync_eval.options import hint
from lipsync_eval.registry import load_object


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What is declared about one landmark finder or detector."""

    name: str
    kind: Literal["landmarks", "detector"]
    version: int
    """+1 whenever a point or box may move."""
    detector: str
    """Of a landmark finder: the detector used unless another is asked for; '' for a detector."""
    weights: str
    """Row of the weights registry; '' where an installed package holds the weights."""
    package: str
    """Import name of the optional package it needs; '' where the base install suffices."""
    install: str
    """What to type when that is missing."""
    target: str
    """module:class; called with `path` (with weights), `detector` (for landmarks) and `device` (where networks run)."""
    on_device: bool
    """Whether it can run on a GPU."""
    cached: bool = False
    """Whether it keeps its model in the cache, ready for reading."""
    summary: str
    citation: str
    licence: str


_MEDIAPIPE: Final = "pip install --no-deps mediapipe==1.2.2 absl-py"
_FAN: Final = "pip install --no-deps face-alignment==1.5.0 numba llvmlite tqdm"

_TABLE: Final = (
    Backend(
        name="dlib68", kind="landmarks", version=1, detector="hog", weights="", package="", install="",
        target="lipsync_eval.faces.dlib68:ShapePredictor",
        on_device=False, cached=True,
        summary="dlib's 68-point regression trees, averaged over four slightly moved boxes",
        citation="Kazemi and Sullivan, One Millisecond Face Alignment with an Ensemble of Regression Trees, CVPR 2014",
        licence="code Boost; model trained on 300-W, for research",
    ),
    Backend(
        name="hog", kind="detector", version=1, detector="", weights="", package="", install="",
        target="lipsync_eval.faces.dlib68:HogDetector",
        on_device=False, cached=True,
        summary="dlib's frontal face detector: histograms of oriented gradients, five views",
        citation="Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005; King, dlib",
        licence="Boost",
    ),
    Backend(
        name="yunet", kind="detector", version=1, detector="", weights="yunet", package="", install="",
        target="lipsync_eval.faces.yunet:YuNet",
        on_device=False,
        summary="YuNet through cv2.FaceDetectorYN: finds turned faces that hog loses",
        citation="Wu et al., YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 2023",
        licence="MIT",
    ),
    Backend(
        name="mediapipe", kind="landmarks", version=1, detector="mediapipe", weights="face_landmarker",
        package="mediapipe", install=_MEDIAPIPE,
        target="lipsync_eval.faces.mediapipe:FaceMesh",
        on_device=False,
        summary="68 of MediaPipe's 478 mesh points, every frame alone",
        citation="Grishchenko et al., Attention Mesh: High-fidelity Face Mesh Prediction in Real-time, CVPR Workshops 2020",
        licence="Apache-2.0",
    ),
    Backend(
        name="mediapipe", kind="detector", version=1, detector="", weights="face_landmarker",
        package="mediapipe", install=_MEDIAPIPE,
        target="lipsync_eval.faces.mediapipe:MeshDetector",
        on_device=False,
        summary="boxes round MediaPipe's meshes of the whole frame (BlazeFace, short range: faces of a fifth of the frame on)",
        citation="Bazarevsky et al., BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs, CVPR Workshops 2019",
        licence="Apache-2.0",
    ),
    Backend(
        name="fan", kind="landmarks", version=1, detector="s3fd", weights="fan2d",
        package="face_alignment", install=_FAN,
        target="lipsync_eval.faces.fan:Fan",
        on_device=True,
        summary="2DFAN-4 through the package face-alignment: the landmarks most papers name; 3 frames/s on a CPU",
        citation="Bulat and Tzimiropoulos, How far are we from solving the 2D & 3D Face Alignment problem?, ICCV 2017",
        licence="code BSD-3-Clause; model trained on 300-W-LP, for research",
    ),
    Backend(
        name="s3fd", kind="detector", version=1, detector="", weights="fan-s3fd",
        package="face_alignment", install=_FAN,
        target="lipsync_eval.faces.fan:S3fd",
        on_device=True,
        summary="S3FD as the package face-alignment runs it",
        citation="Zhang et al., S3FD: Single Shot Scale-invariant Face Detector, ICCV 2017",
        licence="code BSD-3-Clause; model trained on WIDER FACE, for research",
    ),
)  # fmt: skip


def backends() -> tuple[Backend, ...]:
    """All landmark finders and detectors, installed or not."""
    return _TABLE


def get(name: str, kind: Literal["landmarks", "detector"]) -> Backend:
    """The entry of that name.

    Raises:
        UsageError: there is none of that kind; the message lists those there are.
    """
    for backend in _TABLE:
        if backend.name == name and backend.kind == kind:
            return backend
    known = [b.name for b in _TABLE if b.kind == kind]
    raise UsageError(f"--{kind} {name!r} is not known.{hint(name, known)} Give one of: {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A landmark finder with its detector, and their weights on this machine."""

    landmarks: Backend
    detector: Backend
    paths: dict[str, Path]
    """Weights row -> file, of both."""
    signature: str
    """Of both, e.g. 'dlib68.1' or 'dlib68.1,yunet.1@49f000ec'."""

    def load(self, device: str = "cpu", cache: Cache = NO_CACHE) -> tuple[Detector, Landmarker]:
        """Build both; `cache` is where a backend keeps a model that it made ready.

        Raises:
            UsageError: weights are needed and were not sought.
            WeightsError: a file is not what it should be.
        """
        detector: Detector = _build(self.detector, self.paths, device, cache, {})
        landmarker: Landmarker = _build(self.landmarks, self.paths, device, cache, {"detector": self.detector.name})
        return detector, landmarker


def choose(landmarks: str, detector: str | None, weights: Locate | None) -> Chosen:
    """Look up names and weights; nothing is loaded yet. Without `weights`, files are neither sought nor signed.

    Raises:
        UsageError: an unknown name, or a package that is not installed; the message holds the pip line.
        MissingWeights: from `weights`.
    """
    points = get(landmarks, "landmarks")
    boxes = get(detector or points.detector, "detector")
    for backend in (points, boxes):
        if backend.package and find_spec(backend.package) is None:
            raise UsageError(
                f"{backend.name} needs the package {backend.package}, which is kept out of the dependencies because it "
                f"brings an OpenCV of its own; run: {backend.install}"
            )
    named = (points,) if boxes.name == points.detector else (points, boxes)
    rows = dict.fromkeys(b.weights for b in (points, boxes) if b.weights)
    paths = {row: weights(row) for row in rows} if weights else {}
    return Chosen(points, boxes, paths, ",".join(_sign(backend, boxes, paths) for backend in named))


def _sign(backend: Backend, boxes: Backend, paths: dict[str, Path]) -> str:
    """'name.version', then '@' and 8 hex digits for its weights and its own detector's, '@' and an optional package's version."""
    rows = [backend.weights]
    if backend.detector == boxes.name:
        rows.append(boxes.weights)
    parts = [sha256(paths[row])[:8] for row in dict.fromkeys(rows) if row in paths]
    if backend.package:
        parts.append(version(backend.package))
    return "@".join([f"{backend.name}.{backend.version}", *parts])


def _build(backend: Backend, paths: dict[str, Path], device: str, cache: Cache, extra: dict[str, Any]) -> Any:
    build: Callable[..., Any] = load_object(backend.target)
    if backend.cached:
        extra = {**extra, "cache": cache}
    if backend.on_device:
        extra = {**extra, "device": str(pick(device))}
    if backend.weights:
        if backend.weights not in paths:
            raise UsageError(
                f"{backend.name} needs the weights {backend.weights!r}; pass weights=, a function from a row's name to its file"
            )
        extra = {**extra, "path": paths[backend.weights]}
    return build(**extra)
