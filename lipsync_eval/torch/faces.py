"""Metrics of faces: LMD of landmarks, CSIM of identities. Frames without a face are an error, or counted in `lost`."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipsync_eval.api.identity import csim
from lipsync_eval.errors import FaceError, InputError, UsageError
from lipsync_eval.faces.backends import choose
from lipsync_eval.faces.follow import follow
from lipsync_eval.faces.result import build
from lipsync_eval.features.arcface_align import align, five_points
from lipsync_eval.metrics.lmd import lmd
from lipsync_eval.torch.mean import MeanMetric, frames
from lipsync_eval.types import Float, Settings


class _Faces(MeanMetric):
    """A metric of pairs of frames that may lack a face."""

    lost: Tensor

    def __init__(
        self, on_lost: Literal["raise", "skip"] = "raise", settings: Settings | None = None, **how: Any
    ) -> None:
        """An empty mean; a frame without a face on one side is an error, or is left out and counted in `lost`."""
        super().__init__(settings, **how)
        if on_lost not in ("raise", "skip"):
            raise InputError(f"on_lost={on_lost!r}: expected 'raise' or 'skip'")
        self.on_lost = on_lost
        self.add_state("lost", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def both(self, gen: Float, gt: Float) -> NDArray[np.bool_]:
        """(N,) frames whose landmarks are there on both sides.

        Raises:
            InputError: unlike numbers of frames, or lost faces that are not to be skipped.
        """
        if gen.shape != gt.shape:
            raise InputError(f"gen and gt must have as many frames; got {len(gen)} and {len(gt)}")
        there = np.asarray(np.isfinite(gen).all((1, 2)) & np.isfinite(gt).all((1, 2)))
        lost = np.flatnonzero(~there)
        if len(lost) and self.on_lost == "raise":
            raise InputError(
                f"{len(lost)} of {len(there)} frames have no face on both sides (the first is {lost[0]}); "
                "on_lost='skip' leaves them out and counts them in `lost`"
            )
        self.lost += len(lost)
        return there

    def landmarks(self, name: str, tensor: Tensor) -> Float:
        """(N, 68, 2) landmarks as given, or those found in frames (N, 3, H, W) of one clip; NaN where there is no face."""
        if tensor.ndim == 3 and tuple(tensor.shape[1:]) == (68, 2):
            return tensor.detach().cpu().numpy().astype(np.float64)
        return _found(frames(name, tensor), self.settings)


class LMD(_Faces):
    """Mean distance of the lip points 48-67 in px (Chen et al. 2018): `lipsync_eval.lmd`.

    Give crops that are aligned and of one size, as a protocol cuts them (256 px is the field's): the unit is their px.
    """

    higher_is_better = False
    plot_lower_bound = 0.0

    def update(self, gen: Tensor, gt: Tensor) -> None:
        """Take landmarks (N, 68, 2) in px, or frames (N, 3, H, W) of one clip in order, in which they are found.

        Raises:
            InputError: wrong shape, dtype or range, or a frame without a face.
        """
        a, b = self.landmarks("gen", gen), self.landmarks("gt", gt)
        there = self.both(a, b)
        if there.any():
            self.add(lmd(a[there], b[there]))


class CSIM(_Faces):
    """Mean cosine of ArcFace identity vectors (Deng et al. 2019): `lipsync_eval.csim`; the weights must be here."""

    higher_is_better = True
    plot_lower_bound, plot_upper_bound = -1.0, 1.0

    def update(self, gen: Tensor, gt: Tensor) -> None:
        """Take faces (N, 3, 112, 112) aligned as insightface does, or frames (N, 3, H, W) of one clip, aligned here.

        Raises:
            InputError: wrong shape, dtype or range, or a frame without a face.
            MissingWeights: the network is not on this machine.
        """
        a, b = frames("gen", gen), frames("gt", gt)
        if a.shape[1:3] != (112, 112) or b.shape[1:3] != (112, 112):
            points = _found(a, self.settings), _found(b, self.settings)
            there = np.flatnonzero(self.both(*points))
            a, b = (
                np.array([align(f[i], five_points(p[i])) for i in there], np.uint8).reshape(-1, 112, 112, 3)
                for f, p in zip((a, b), points)
            )
        if len(a):
            self.add(csim(a, b, settings=self.on(gen)))


def _found(stack: NDArray[np.uint8], settings: Settings) -> Float:
    """Landmarks of the frames of one clip: (N, 68, 2) px, NaN where there is no face."""
    if settings.face == "speaking":
        raise UsageError("face='speaking' needs audio, and these frames come without; give largest or single")
    chosen = choose(settings.landmarks, settings.detector, None)
    boxes, points = chosen.load("cpu")
    with closing(boxes), closing(points):
        followed = follow(iter(stack), boxes, points)
    try:
        return build(followed, chosen.signature, settings.face).points
    except FaceError:
        return np.full((len(stack), 68, 2), np.nan)
