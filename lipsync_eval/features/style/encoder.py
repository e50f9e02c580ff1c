"""DiffPoseTalk's speaking style encoder: expression coefficients over time in, one 128-vector out.

Source: DiffPoseTalk/DiffPoseTalk@2c761f1 (models/style_encoder.py, models/common.py, extract_style.py). Its positional
encoding adds ONE vector, the sinusoidal table's row at the sequence length, to all frames; so the released encoder does
not see the order of frames. That is kept: a "mended" encoding would break the released weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipsync_eval.errors import InputError

DIM: Final = 128
WINDOW: Final = 100
"""Frames (4 s at 25 fps) that the released encoder was trained on."""
HOP: Final = 50


class StyleEncoder(nn.Module):
    """(N, T, M) normalised motion -> (N, 128), not normalised; weights are random until `fit`.

    Args:
        motion_dim: M; 51 (50 expression coefficients and the jaw's opening) or 54 (with head pose) in the released models.
        n_layers, n_heads: transformer size.
    """

    def __init__(self, motion_dim: int = 51, n_layers: int = 4, n_heads: int = 4) -> None:
        super().__init__()
        self.motion_proj = nn.Linear(motion_dim, DIM)
        layer = nn.TransformerEncoderLayer(DIM, n_heads, 4 * DIM, dropout=0.1, activation="gelu", batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.dropout = nn.Dropout(0.1)

    def forward(self, motion: Tensor) -> Tensor:
        """See the class.

        Raises:
            InputError: not (N, T, M) with this encoder's M.
        """
        if motion.ndim != 3 or motion.shape[2] != self.motion_proj.in_features or not motion.shape[1]:
            raise InputError(
                f"the style encoder takes (N, T, {self.motion_proj.in_features}) motion; got {tuple(motion.shape)}"
            )
        position = position_vector(motion.shape[1]).to(motion)
        x = self.dropout(self.motion_proj(motion) + position)
        out: Tensor = self.transformer(x).mean(1)
        return out


def position_vector(length: int) -> Tensor:
    """(128,) float32: the sinusoidal table's row at index `length`."""
    rates = torch.exp(torch.arange(0, DIM, 2, dtype=torch.float32) * (-math.log(10000.0) / DIM))
    row = torch.zeros(DIM)
    row[0::2] = torch.sin(length * rates)
    row[1::2] = torch.cos(length * rates)
    return row


def motion_of(
    exp: NDArray[np.floating],
    pose: NDArray[np.floating],
    stats: Mapping[str, NDArray[np.floating]] | None,
    *,
    head: bool,
) -> NDArray[np.float32]:
    """FLAME coefficients -> what the encoder sees.

    Args:
        exp: (T, 50) expression.
        pose: (T, 6) axis-angle in rad: global rotation, then jaw.
        stats: 'exp_mean', 'exp_std' (50), 'pose_mean', 'pose_std' (6): the z-score of the training set; None: leave as is.
        head: True: all but the jaw's last two (54); False: expression and the jaw's first (51).

    Returns:
        (T, 54 or 51) float32.

    Raises:
        InputError: shapes that do not agree, or values that are not finite.
    """
    t = len(exp)
    if exp.shape != (t, 50) or pose.shape != (t, 6):
        raise InputError(f"FLAME coefficients are exp (T, 50) and pose (T, 6); got {exp.shape} and {pose.shape}")
    if not (np.isfinite(exp).all() and np.isfinite(pose).all()):
        raise InputError("FLAME coefficients hold NaN or infinite values; cut those frames before scoring")
    e, p = exp.astype(np.float32), pose.astype(np.float32)
    if stats is not None:
        e = (e - stats["exp_mean"]) / stats["exp_std"]
        p = (p - stats["pose_mean"]) / stats["pose_std"]
    jaw = p[:, :4] if head else p[:, 3:4]
    return np.concatenate([e, jaw], 1).astype(np.float32)


def windows(length: int, window: int = WINDOW, hop: int = HOP) -> Sequence[int]:
    """First frames of the windows that cover 0..length-1: every `hop`, and one that ends with the last frame."""
    if length <= window:
        return [0]
    starts = list(range(0, length - window + 1, hop))
    return starts if starts[-1] + window == length else [*starts, length - window]


def embed(
    encoder: StyleEncoder, motion: NDArray[np.float32], window: int = WINDOW, hop: int = HOP
) -> NDArray[np.float64]:
    """(128,) unit style vector of a clip of any length: every window's vector scaled to length 1, averaged, scaled again.

    A clip shorter than a window is one window of its own length.
    """
    device = encoder.motion_proj.weight.device
    total = np.zeros(DIM)
    with torch.inference_mode():
        for start in windows(len(motion), window, hop):
            part = torch.from_numpy(np.ascontiguousarray(motion[start : start + window]))[None].to(device)
            vector = encoder(part)[0].double().cpu().numpy()
            total += vector / max(float(np.linalg.norm(vector)), 1e-12)
    return total / max(float(np.linalg.norm(total)), 1e-12)
