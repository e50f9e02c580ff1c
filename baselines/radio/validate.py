"""Validation on held-out pictures with this project's own metrics, and the grid to look at.

Whole aligned pictures are compared, at the model's size: other than by the radio protocol, so the numbers follow
training and belong in no table. The reference is the first picture of the entry, as in the paper's tests.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lipsync_eval.baselines.radio.config import Config
from lipsync_eval.baselines.radio.dataset import Sample, Windows, to_frames
from lipsync_eval.baselines.radio.model import mask_lower
from lipsync_eval.baselines.radio.objective import Objective, sync_cosine
from lipsync_eval.baselines.radio.spans import Pool, Span, T, even_windows
from lipsync_eval.types import Float, Frame

BATCH = 4
"""Windows at once."""
FACE_BOX = (0.16, 0.30, 0.84, 0.98)
"""x1, y1, x2, y2 of dlib's HOG box in an aligned picture, shares of its side (measured on the shared clips)."""
LANDMARK_SIDE = 256
"""px at which landmarks are sought and LMD is measured."""


class Validation:
    """Scores a generator on the same held-out windows every time."""

    def __init__(self, config: Config, pool: Pool, objective: Objective) -> None:
        self.config, self.objective, self.stored = config, objective, pool.size
        self.windows = Windows(pool.folder, config.model.size)
        self.chosen = even_windows(pool.held_out, config.train.validation_windows)

    @torch.no_grad()
    def __call__(self, generator: nn.Module) -> tuple[dict[str, float], Frame]:
        """Scores (psnr, psnr_lower dB; ssim; l1; sync cosine where S is there; lmd px at 256 when asked) and a grid."""
        found: dict[str, list[float]] = {}
        rows: list[Frame] = []
        step = max(1, len(self.chosen) // self.config.train.grid_rows)
        for start in range(0, len(self.chosen), BATCH):
            chosen = self.chosen[start : start + BATCH]
            samples = [self.windows.window(span, first, [0] * T) for span, first in chosen]
            device = self.objective.device
            batch = Sample(*(torch.stack(parts).to(device) for parts in zip(*samples, strict=True)))
            flat = [x.flatten(0, 1) for x in batch]
            output = generator(*flat)
            made, real = to_frames(output), to_frames(flat[0])
            self._measure(found, made, real)
            if self.objective.sync is not None:
                found.setdefault("sync", []).extend(sync_cosine(self.objective.sync, output, batch).tolist())
            if self.config.train.validate_landmarks:
                found.setdefault("lmd", []).extend(self._lmd(made, chosen))
            for k in range(len(chosen)):
                if (start + k) % step == 0 and len(rows) < self.config.train.grid_rows:
                    i = k * T + T // 2
                    shown = torch.stack([mask_lower(flat[0][i]), flat[1][i], output[i], flat[0][i]])
                    rows.append(np.concatenate(list(to_frames(shown)), axis=1))
        return {name: float(np.mean(values)) for name, values in found.items()}, np.concatenate(rows, axis=0)

    @staticmethod
    def _measure(found: dict[str, list[float]], made: NDArray[np.uint8], real: NDArray[np.uint8]) -> None:
        from lipsync_eval.metrics.psnr import psnr
        from lipsync_eval.metrics.ssim import ssim

        half = made.shape[1] // 2
        found.setdefault("psnr", []).extend(np.atleast_1d(psnr(made, real)).tolist())
        found.setdefault("psnr_lower", []).extend(np.atleast_1d(psnr(made[:, half:], real[:, half:])).tolist())
        found.setdefault("ssim", []).extend(np.atleast_1d(ssim(made, real)).tolist())
        difference = np.abs(made.astype(np.float64) - real).mean(axis=(1, 2, 3)) / 127.5
        found.setdefault("l1", []).extend(difference.tolist())

    def _lmd(self, made: NDArray[np.uint8], chosen: list[tuple[Span, int]]) -> list[float]:
        """LMD (px at 256) of points found in generated pictures against those stored with the real ones."""
        from lipsync_eval.metrics.lmd import lmd

        scale = LANDMARK_SIDE / self.stored
        wanted = [self.windows.landmarks(span, first + i) for span, first in chosen for i in range(T)]
        found = np.stack([landmarks_of(picture) for picture in made])
        values: list[float] = np.atleast_1d(
            lmd(found, (np.stack(wanted).astype(np.float64) + 0.5) * scale - 0.5)
        ).tolist()
        return values


def landmarks_of(picture: Frame) -> Float:
    """(68, 2) px at 256 in an aligned picture, by the default backend's predictor with the face where FFHQ puts it."""
    import cv2

    from lipsync_eval.errors import FaceError
    from lipsync_eval.faces.backends import choose

    side = LANDMARK_SIDE
    large = np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    points = choose("dlib68", None, None).load()[1].points(large, np.array(FACE_BOX) * side)
    if points is None:
        raise FaceError("no landmarks in a generated picture")
    return points
