"""Which landmark finders and detectors there are. The table is the only place that names their modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

from lipsync_eval.errors import UsageError
from lipsync_eval.faces.base import Detector, Landmarker, Locate
from lipsync_eval.files import sha256


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
    install: str
    """What to type when a package is missing; '' where it is part of the base install."""
    target: str
    """module:class; called with `path` (only with weights), and for landmarks with `detector`."""
    summary: str
    citation: str
    licence: str


_TABLE: Final = (
    Backend(
        name="dlib68", kind="landmarks", version=1, detector="hog", weights="", install="",
        target="lipsync_eval.faces.dlib68:ShapePredictor",
        summary="dlib's 68-point regression trees, averaged over five slightly moved boxes",
        citation="Kazemi and Sullivan, One Millisecond Face Alignment with an Ensemble of Regression Trees, CVPR 2014",
        licence="code Boost; model trained on 300-W, for research",
    ),
    Backend(
        name="hog", kind="detector", version=1, detector="", weights="", install="",
        target="lipsync_eval.faces.dlib68:HogDetector",
        summary="dlib's frontal face detector: histograms of oriented gradients, five views",
        citation="Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005; King, dlib",
        licence="Boost",
    ),
    Backend(
        name="yunet", kind="detector", version=1, detector="", weights="yunet", install="",
        target="lipsync_eval.faces.yunet:YuNet",
        summary="YuNet through cv2.FaceDetectorYN: finds turned faces that hog loses",
        citation="Wu et al., YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 2023",
        licence="MIT",
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
    known = ", ".join(b.name for b in _TABLE if b.kind == kind)
    raise UsageError(f"--{kind} {name!r} is not known; give one of: {known}")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A landmark finder with its detector, and their weights on this machine."""

    landmarks: Backend
    detector: Backend
    paths: dict[str, Path]
    """Weights row -> file, of both."""
    signature: str
    """Of both, e.g. 'dlib68.1' or 'dlib68.1,yunet.1@49f000ec'."""

    def load(self) -> tuple[Detector, Landmarker]:
        """Build both.

        Raises:
            UsageError: a package is missing; the message holds the pip line.
        """
        detector: Detector = _build(self.detector, self.paths, {})
        landmarker: Landmarker = _build(self.landmarks, self.paths, {"detector": self.detector.name})
        return detector, landmarker


def choose(landmarks: str, detector: str | None, weights: Locate | None) -> Chosen:
    """Look up names and weights; nothing is loaded yet. Without `weights`, files are neither sought nor signed.

    Raises:
        UsageError: an unknown name.
        MissingWeights: from `weights`.
    """
    points = get(landmarks, "landmarks")
    boxes = get(detector or points.detector, "detector")
    named = (points,) if boxes.name == points.detector else (points, boxes)
    rows = dict.fromkeys(b.weights for b in (points, boxes) if b.weights)
    paths = {row: weights(row) for row in rows} if weights else {}
    return Chosen(points, boxes, paths, ",".join(_sign(backend, boxes, paths) for backend in named))


def _sign(backend: Backend, boxes: Backend, paths: dict[str, Path]) -> str:
    """'name.version', then '@' and 8 hex digits of its weights, and of its own detector's where those are others."""
    rows = [backend.weights]
    if backend.detector == boxes.name:
        rows.append(boxes.weights)
    hashes = [sha256(paths[row])[:8] for row in dict.fromkeys(rows) if row in paths]
    return "@".join([f"{backend.name}.{backend.version}", *hashes])


def _build(backend: Backend, paths: dict[str, Path], extra: dict[str, Any]) -> Any:
    module, _, name = backend.target.partition(":")
    build: Callable[..., Any] = getattr(import_module(module), name)
    if backend.weights:
        if backend.weights not in paths:
            raise UsageError(
                f"{backend.name} needs the weights {backend.weights!r}; pass weights=, a function from a row's name to its file"
            )
        extra = {**extra, "path": paths[backend.weights]}
    try:
        return build(**extra)
    except ImportError as error:
        line = backend.install or "pip install lipsync-eval"
        raise UsageError(f"{backend.name} needs a package that is not installed ({error}); {line}") from error
