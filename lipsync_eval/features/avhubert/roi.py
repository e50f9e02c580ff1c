"""The mouth crops that AV-HuBERT was trained on: where they lie in a source frame, and their pixels.

Every frame is turned, scaled and shifted so that nose and eyes (5 points, averaged over this frame and the 11 after it) fall
on those of a mean face in a 256x256 canvas; the 96x96 square around the frame's own mouth is cut out of the canvas.
Facts: av_hubert/preparation/align_mouth.py (facebookresearch/av_hubert@258fb50). The official tool computes the whole canvas and
stores the squares as a lossy video; here only the wanted pixels are computed, and nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import FaceError, InputError
from lipsync_eval.features.avhubert.video import Gray, gray
from lipsync_eval.types import Float, Frame
from lipsync_eval.warp import apply, invert

if TYPE_CHECKING:
    import torch

STABLE: Final = (33, 36, 39, 42, 45)
"""iBUG points that the transform is fitted to: below the nose, corners of the eyes."""
MEAN_FACE: Final = np.array(
    [
        [128.87017960974802, 137.30253355584708],
        [92.52245552947952, 94.36876013925871],
        [112.7724172413806, 94.94360869870115],
        [145.52511509158018, 94.5349986248377],
        [166.67710071343456, 93.56562295717796],
    ]
)
"""Where they fall, px in the canvas: these five of the 68 mean positions measured over LRW by Ma et al.
(20words_mean_face.npy of mpc001/Lipreading_using_Temporal_Convolutional_Networks@0cc99fa)."""
CANVAS: Final = 256
SIDE: Final = 96
_WINDOW: Final = 12


@dataclass(frozen=True, slots=True)
class Mouths:
    """Where the mouth crops of one clip lie."""

    matrix: Float
    """(T, 2, 3) source pixel -> canvas pixel, a similarity."""
    corner: NDArray[np.intp]
    """(T, 2) x, y of the top-left pixel of the 96x96 square in the canvas."""
    interpolated: NDArray[np.intp]
    """Numbers of the frames without a face, whose points were interpolated (at the ends: repeated)."""


def locate_mouths(points: Float) -> Mouths:
    """The official alignment.

    Args:
        points: (T, 68, 2) landmarks in source px; frames without a face are NaN.

    Returns:
        the place of every frame's mouth.

    Raises:
        FaceError: no frame has a face (see `whole_picture` for what the official tool does).
        InputError: wrong shape.
    """
    if points.ndim != 3 or points.shape[1:] != (68, 2) or not len(points):
        raise InputError(f"points must be (T, 68, 2) with T at least 1, got {points.shape}")
    filled, missing = fill_missing(np.asarray(points, np.float64))
    stable = smoothed(filled[:, STABLE])
    matrix = similarity(stable, MEAN_FACE)
    matrix = np.concatenate([matrix, np.repeat(matrix[-1:], len(points) - len(matrix), axis=0)])
    centre = apply(matrix, filled)[:, 48:].mean(axis=1)
    half = SIDE // 2
    corner = np.rint(np.clip(centre, half, CANVAS - half)).astype(np.intp) - half
    return Mouths(matrix, corner, missing)


def fill_missing(points: Float) -> tuple[Float, NDArray[np.intp]]:
    """Frames that are NaN become linear between their neighbours, and copies of the nearest at the ends.

    Returns:
        (T, K, 2) points without gaps, and the numbers of the frames that were filled.

    Raises:
        FaceError: nothing to fill from.
    """
    good = np.isfinite(points).all(axis=(1, 2))
    if not good.any():
        raise FaceError("no frame has a face, so there is no mouth to look at")
    known, wanted = np.flatnonzero(good), np.arange(len(points))
    flat = points.reshape(len(points), -1)
    filled = np.stack([np.interp(wanted, known, column[known]) for column in flat.T], axis=1)
    return filled.reshape(points.shape), np.flatnonzero(~good)


def smoothed(points: Float) -> Float:
    """(T, K, 2) -> (T - w + 1, K, 2) mean over each frame and the w - 1 after it, w = min(T, 12)."""
    window = min(_WINDOW, len(points))
    views = np.lib.stride_tricks.sliding_window_view(points, window, axis=0)
    out: Float = views.mean(axis=-1)
    return out


def similarity(source: Float, target: Float) -> Float:
    """Least squares similarity (rotation, one scale, shift; no mirroring) in closed form.

    Args:
        source: (T, K, 2) px.
        target: (K, 2) px.

    Returns:
        (T, 2, 3) source -> target.
    """
    a, b = source[..., 0] + 1j * source[..., 1], target[:, 0] + 1j * target[:, 1]
    a_mean, b_mean = a.mean(axis=1, keepdims=True), b.mean()
    moved = a - a_mean
    turn = (moved.conj() * (b - b_mean)).sum(axis=1) / (np.abs(moved) ** 2).sum(axis=1)
    shift = b_mean - turn * a_mean[:, 0]
    return np.stack(
        [np.stack([turn.real, -turn.imag, shift.real], axis=-1), np.stack([turn.imag, turn.real, shift.imag], axis=-1)],
        axis=-2,
    )


def cut_mouth(frame: Frame, matrix: Float, corner: NDArray[np.intp], size: int = SIDE) -> Frame:
    """One mouth crop, bilinear from the source, black outside it, levels truncated as in the official tool.

    As in scikit-image==0.17.2, which the official tool pins, no level falls below the darkest one of the whole source
    frame, except black from outside it alone: a border pixel mixed with black is lifted to that level.

    Args:
        frame: (H, W, 3) uint8.
        matrix: (2, 3) source pixel -> canvas pixel.
        corner: (2,) x, y of the top-left pixel in the canvas; add 4 for the middle 88x88.
        size: side in px.

    Returns:
        (size, size, 3) uint8, channels as in the source.
    """
    back = invert(matrix)
    x, y = np.arange(corner[0], corner[0] + size), np.arange(corner[1], corner[1] + size)[:, None]
    u = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    v = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    left, top = np.floor(u), np.floor(v)
    du, dv = (u - left)[..., None], (v - top)[..., None]
    around = _around(frame, top.astype(np.intp), left.astype(np.intp))
    upper = (1 - du) * around[0] + du * around[1]
    lower = (1 - du) * around[2] + du * around[3]
    mixed = (1 - dv) * upper + dv * lower
    darkest = frame.min() / 255.0
    if darkest > 0:
        mixed = np.where(mixed == 0, 0.0, np.maximum(mixed, darkest))
    out: Frame = (mixed * 255).astype(np.uint8)
    return out


def whole_frame(frame: Frame) -> Frame:
    """The whole frame as one mouth crop: what the official tool silently does where it finds no face at all.

    Args:
        frame: (H, W, 3) uint8.

    Returns:
        (96, 96, 3) uint8, bilinear by OpenCV; a 96x96 frame comes back as it is.
    """
    import cv2

    return np.asarray(cv2.resize(frame, (SIDE, SIDE)), np.uint8)


_LEVELS: Final = np.arange(256) / 255.0


def _around(frame: Frame, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Float, Float, Float, Float]:
    """Values / 255 (h, w, 3) at whole pixels, and right of, below, and diagonally below them; 0 outside the frame."""
    height, width = frame.shape[:2]
    if rows.min() < 0 or columns.min() < 0 or rows.max() > height - 2 or columns.max() > width - 2:
        frame = np.pad(frame, ((2, 2), (2, 2), (0, 0)))  # black
        rows, columns = np.clip(rows + 2, 0, height + 2), np.clip(columns + 2, 0, width + 2)
        width += 4
    pixels, first = frame.reshape(-1, 3), rows * width + columns
    a, b, c, d = (_LEVELS.take(pixels.take(first + step, axis=0)) for step in (0, 1, width, width + 1))
    return a, b, c, d


def mouth_roi(frames: Iterable[Frame], points: Float) -> Gray:
    """(T, 96, 96) uint8 gray mouth crops of a clip.

    Args:
        frames: T source frames (H, W, 3) uint8 RGB.
        points: (T, 68, 2) their landmarks; NaN where a frame has no face.

    Raises:
        FaceError: no frame has a face.
    """
    mouths = locate_mouths(points)
    crops = [gray(cut_mouth(f, m, c)) for f, m, c in zip(frames, mouths.matrix, mouths.corner, strict=True)]
    return np.stack(crops)


def sample_mouths(frames: torch.Tensor, mouths: Mouths) -> torch.Tensor:
    """The differentiable counterpart of `cut_mouth`, for training: gradients flow into the source frames.

    Args:
        frames: (T, 3, H, W) float in 0..1.
        mouths: of T frames, from the landmarks of the real video.

    Returns:
        (3, T, 96, 96), for `video_tensor` after adding the batch axis. Not truncated to 256 levels.

    Raises:
        InputError: lengths differ.
    """
    import torch
    import torch.nn.functional as F

    if frames.dim() != 4 or len(frames) != len(mouths.matrix):
        raise InputError(f"frames must be ({len(mouths.matrix)}, 3, H, W), got {tuple(frames.shape)}")
    back = torch.as_tensor(invert(mouths.matrix), device=frames.device)
    offset = torch.arange(SIDE, device=frames.device, dtype=back.dtype)
    corner = torch.as_tensor(mouths.corner, device=frames.device, dtype=back.dtype)
    x = (corner[:, 0, None] + offset)[:, None, :].expand(-1, SIDE, -1)
    y = (corner[:, 1, None] + offset)[:, :, None].expand(-1, -1, SIDE)
    place = torch.einsum("tij,tjhw->tihw", back, torch.stack([x, y, torch.ones_like(x)], dim=1))
    extent = place.new_tensor([frames.shape[3] - 1, frames.shape[2] - 1])
    grid = (2 * place / extent[:, None, None] - 1).permute(0, 2, 3, 1).to(frames.dtype)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="zeros", align_corners=True).transpose(0, 1)
