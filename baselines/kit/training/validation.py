"""Validation on held-out frames with this project's own metrics, and the grid to look at.

Whole crops are compared, at the model's size: other than by a protocol, so the numbers follow training and belong in
no table. The reference is the first frame of the entry.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import default_collate

from lipsync_eval.baselines.kit.data.alignment import Alignment
from lipsync_eval.baselines.kit.data.holdout import Pool, Span, even_windows
from lipsync_eval.baselines.kit.data.inputs import points_in
from lipsync_eval.baselines.kit.data.windows import Draw, Sample, Windows, read_more, to_frames
from lipsync_eval.baselines.kit.training.recipe import Recipe
from lipsync_eval.baselines.kit.training.terms import Made, Objective
from lipsync_eval.types import Float, Frame

BATCH = 4
"""Windows at once."""
LANDMARK_SIDE = 256
"""px at which landmarks are sought and LMD is measured."""


class Validation:
    """Scores a generator on the same held-out windows every time."""

    def __init__(self, recipe: Recipe, pool: Pool, objective: Objective, device: torch.device) -> None:
        self.recipe, self.objective, self.device = recipe, objective, device
        self.pool, self.windows = pool, Windows(pool)
        self.chosen = even_windows(pool.held_out, recipe.train.validation_windows)

    @torch.no_grad()
    def __call__(self, generator: nn.Module) -> tuple[dict[str, float], Frame]:
        """Scores (psnr, psnr_lower dB; ssim; l1; those of the objective; lmd px at 256 when asked) and a grid.

        Columns of the grid: what is shown of the target, reference, output, target.
        """
        found: dict[str, list[float]] = {}
        rows: list[Frame] = []
        train = self.recipe.train
        step = max(1, len(self.chosen) // train.grid_rows)
        for start in range(0, len(self.chosen), BATCH):
            chosen = self.chosen[start : start + BATCH]
            batch: Sample = default_collate([self._sample(span, first) for span, first in chosen])
            sample = batch.to(self.device)
            made = Made(self.recipe.generate(generator, sample), sample)
            target, reference = made.target, sample.reference.flatten(0, 1)
            frames = to_frames(made.output)
            self._measure(found, frames, to_frames(target))
            for name, score in self.objective.scores.items():
                found.setdefault(name, []).extend(score(made).tolist())
            if train.validate_landmarks:
                found.setdefault("lmd", []).extend(self._lmd(frames, chosen))
            for k, (span, _) in enumerate(chosen):
                if (start + k) % step == 0 and len(rows) < train.grid_rows:
                    i = k * span.window + span.window // 2
                    shown = torch.stack([self.recipe.shown(target[i]), reference[i], made.output[i], target[i]])
                    rows.append(np.concatenate(list(to_frames(shown)), axis=1))
        numbers = {name: float(np.mean(values)) for name, values in found.items()}
        if self.objective.whole is not None:
            numbers |= self.objective.whole(generator)
        return numbers, np.concatenate(rows, axis=0)

    def _sample(self, span: Span, first: int) -> Sample:
        draw = Draw(0, np.random.default_rng([0, first]))  # the same at every validation
        readers = (*self.recipe.readers, *self.objective.score_readers)
        more = read_more(readers, self.windows, span, first, draw)
        return self.windows.window(span, first, [0] * span.window)._replace(more=more)

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
        """LMD (px at 256) of points found in generated frames against those stored with the real ones."""
        from lipsync_eval.metrics.lmd import lmd

        wanted = np.concatenate([self.windows.landmarks(span, first, first + span.window) for span, first in chosen])
        found = np.stack([landmarks_of(crop, self.pool.model.alignment) for crop in made])
        values: list[float] = np.atleast_1d(lmd(found, points_in(LANDMARK_SIDE, self.pool.size, wanted))).tolist()
        return values


@lru_cache(maxsize=1)
def _predictor() -> Any:
    """The default backend's landmark predictor."""
    from lipsync_eval.faces.backends import choose

    return choose("dlib68", None, None).load()[1]


def landmarks_of(crop: Frame, alignment: Alignment) -> Float:
    """(68, 2) px at 256 in a crop, by the default backend's predictor with the face where the alignment puts it."""
    import cv2

    from lipsync_eval.errors import FaceError

    side = LANDMARK_SIDE
    large = np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    points: Float | None = _predictor().points(large, np.array(alignment.face_box) * side)
    if points is None:
        raise FaceError("no landmarks in a generated frame; train longer, or leave out train.validate_landmarks")
    return points
