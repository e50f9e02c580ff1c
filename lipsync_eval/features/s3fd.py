"""Faces in frames by S3FD, batched, on any device.

Source: joonson/syncnet_python@6efbb1c, detectors/s3fd (detect_faces with conf_th 0.9 and one scale).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_eval.device import as_images, laid_out, pick, to_device
from lipsync_eval.errors import InputError, WeightsError
from lipsync_eval.features.s3fd_net import S3FDNet, decode, numpy, priors, suppress
from lipsync_eval.networks import find, itemwise
from lipsync_eval.types import Frame, Settings
from lipsync_eval.weights import fit, load_tensors, locate

CONFIDENCE: Final = 0.9
_FIRST_OVERLAP: Final = 0.3
_FIRST_MOST: Final = 5000
_TOP: Final = 750
_SECOND_OVERLAP: Final = 0.1
_LOWEST: Final = 0.05
_SMALLEST: Final = 28
"""px; below this the trunk has no map left."""
_MEAN: Final = (123.0, 117.0, 104.0)

Boxes = NDArray[np.float64]


class S3FDMaps:
    """The detector's network with its weights on one device: frames in, numbers of every prior box out."""

    def __init__(self, net: S3FDNet, device: torch.device) -> None:
        self.device = device
        self.batch = 16 if device.type == "cuda" else 1
        """Frames per pass that suit the device (on a CPU batches gain nothing and cost memory)."""
        self._net = laid_out(net.eval().requires_grad_(False), device)
        self._cells: dict[tuple[int, int], list[tuple[int, int]]] = {}

    @itemwise
    def look(self, frames: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, h, w, 3) uint8 RGB, already scaled -> (N, P, 4) offsets and (N, P) face probability."""
        batch = as_images(to_device(frames, self.device).permute(0, 3, 1, 2).float())
        batch = batch - torch.tensor(_MEAN, device=self.device)[:, None, None]
        with torch.inference_mode():
            offsets, scores, maps = self._net(batch)
        self._cells[frames.shape[1], frames.shape[2]] = maps
        return numpy(offsets), np.ascontiguousarray(numpy(scores)[:, :, 1])

    def cells(self, height: int, width: int) -> list[tuple[int, int]]:
        """(height, width) of the six maps of frames of this size, once such frames were looked at."""
        return self._cells[height, width]


class S3FD:
    """The detector: frames in, faces out."""

    def __init__(self, maps: S3FDMaps) -> None:
        self._maps = maps
        self.batch = maps.batch
        """Frames that `detect` should be given at once."""

    def detect(self, frames: Sequence[Frame], *, scale: float = 0.25, confidence: float = CONFIDENCE) -> list[Boxes]:
        """Faces of each frame.

        Args:
            frames: (H, W, 3) uint8 RGB, all of one size.
            scale: frames are shrunk by this first (cv2 bilinear), as upstream's facedet_scale.
            confidence: a face needs a score above this.

        Returns:
            per frame (n, 5) x1, y1, x2, y2 in px of the frame, score; best first.

        Raises:
            InputError: the shrunk frame has a side below 28 px.
        """
        import cv2

        height, width = frames[0].shape[:2]
        small = [cv2.resize(p, (0, 0), fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR) for p in frames]
        if min(small[0].shape[:2]) < _SMALLEST:
            raise InputError(
                f"S3FD needs frames of at least {_SMALLEST} px after scaling by {scale}; these are {width}x{height}"
            )
        batch: NDArray[np.uint8] = np.stack(small).astype(np.uint8, copy=False)
        offsets, scores = self._maps.look(batch)
        high, wide = batch.shape[1:3]
        prior = priors(high, wide, self._maps.cells(high, wide))
        lowest = max(confidence, _LOWEST)  # a box never suppresses a better one, so lower ones need no look
        side = np.array([width, height, width, height], np.float32)
        found = []
        for loc, face in zip(offsets, scores, strict=True):
            rows = candidates(loc, face, prior, lowest)
            boxes = np.column_stack([rows[:, 1:] * side, rows[:, 0]]).astype(np.float64)
            found.append(boxes[suppress(boxes[:, :4], boxes[:, 4], _SECOND_OVERLAP)])
        return found


def candidates(
    offsets: NDArray[np.float32], scores: NDArray[np.float32], prior: NDArray[np.float32], lowest: float = _LOWEST
) -> NDArray[np.float32]:
    """Boxes of one frame after the first suppression.

    Args:
        offsets: (P, 4); scores: (P,) face probability; prior: (P, 4).
        lowest: a score must be above this.

    Returns:
        (n, 5) score, x1, y1, x2, y2 as fractions, best first, at most 750.
    """
    chosen = np.flatnonzero(scores > lowest)
    chosen = chosen[np.argsort(scores[chosen], kind="stable")[-_FIRST_MOST:]]
    boxes = decode(offsets[chosen], prior[chosen])
    kept = suppress(boxes, scores[chosen], _FIRST_OVERLAP)[:_TOP]
    return np.column_stack([scores[chosen][kept], boxes[kept]])


def load(path: Path, digest: str, device: str) -> S3FD:
    """The detector with the weights of a file, which are kept for the next clip.

    Args:
        path: sfd_face.pth or another file with its names.
        digest: sha256 of the file; a changed file is read again.
        device: where to run, as in Settings.

    Raises:
        RefusedCheckpoint: not a checkpoint of this network.
    """
    return S3FD(find(S3FDMaps, f"{__name__}:maps", path, digest, device))


def maps(path: Path, digest: str, device: str) -> S3FDMaps:
    """The network of `load`, read from the file."""
    net = S3FDNet()
    fit(net, load_tensors(path), source=f"{path.name} ({digest[:8]})")
    return S3FDMaps(net, pick(device))


def check(settings: Settings, name: str, clip: Path | None) -> list[str]:
    """`weights verify s3fd`: the file fits the network, and a grey frame has no face.

    Args:
        settings: weights, device.
        name: 's3fd'.
        clip: not used.

    Raises:
        RefusedCheckpoint: the file does not fit the network.
        WeightsError: a face was found in a grey frame.
    """
    file = locate(settings, name, role="s3fd")
    detector = load(file.path, file.sha256, settings.device)
    faces = detector.detect([np.full((256, 256, 3), 110, np.uint8)], scale=1.0)[0]
    if len(faces):
        raise WeightsError(
            f"{file.path} finds {len(faces)} faces in a plain grey frame: these are not S3FD's published weights"
        )
    return [f"{file.path.name}: fits the network, and finds no face in a plain grey frame"]
