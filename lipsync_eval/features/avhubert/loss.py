"""Lip-sync loss with AV-HuBERT as the expert (equation 1 of Yaman et al. 2024, arXiv:2405.04327), differentiable."""

from __future__ import annotations

import math
from typing import Final, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lipsync_eval.errors import InputError
from lipsync_eval.features.avhubert.model import AVHuBERT

Variant = Literal["unsupervised", "visual-visual", "multimodal"]
"""Which features are compared, as in table 4 of the paper (and AVS_u, AVS_v, AVS_m of its evaluation)."""
VARIANTS: Final[tuple[Variant, ...]] = get_args(Variant)
FLOOR: Final = 0.01
"""Below this similarity the logarithm goes on as its tangent."""


def avs_loss(
    model: AVHuBERT,
    video: Tensor,
    *,
    audio: Tensor | None = None,
    target: Tensor | None = None,
    variant: Variant = "unsupervised",
    frames: Tensor | None = None,
    padding_mask: Tensor | None = None,
) -> Tensor:
    """-log(CS), averaged over the clips of a batch; CS is the mean over `frames` of the cosine per frame, as in the metrics.

    With all frames, exp(-loss) of one clip is its AVS_u, AVS_v or AVS_m. The paper puts the generated frames into the real
    video, encodes all of it and counts the generated interval only: pass the whole clip, and the interval as `frames`.
    The paper leaves open what happens where CS <= 0; here -log goes on as its tangent below 0.01, so that gradients stay.

    Gradients flow into `video` (and into the weights, unless frozen as `load` leaves them); the side it is compared with
    (audio alone, or the real video) is computed without gradients.

    Args:
        model: from `load`, on the tensors' device.
        video: (B, 1, T, 88, 88) network input with the generated frames, e.g. of `video_tensor`.
        audio: (B, 104, T) from `audio_input`; needed by unsupervised and multimodal.
        target: (B, 1, T, 88, 88), the real video; needed by visual-visual and multimodal.
        variant: unsupervised compares (video, -) with (-, audio); visual-visual (video, -) with (target, -); multimodal
            (video, audio) with (target, audio).
        frames: (B, T) bool, which frames count (the t : t+k of the paper); None: all.
        padding_mask: (B, T) bool, True where a clip has ended; those never count.

    Returns:
        scalar, 0 is best.

    Raises:
        InputError: an input that the variant needs is missing, wrong shapes, or a clip without a frame that counts.
    """
    if variant not in VARIANTS:
        raise InputError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    if audio is None and variant != "visual-visual":
        raise InputError(f"the {variant} loss needs audio (B, 104, T)")
    if target is None and variant != "unsupervised":
        raise InputError(f"the {variant} loss needs the real video as target (B, 1, T, 88, 88)")
    shared = audio if variant == "multimodal" else None
    made = model(video, shared, padding_mask)
    with torch.no_grad():
        real = model(None, audio, padding_mask) if variant == "unsupervised" else model(target, shared, padding_mask)
    return similarity_loss(made, real, _counting(made, frames, padding_mask))


def similarity_loss(made: Tensor, real: Tensor, counts: Tensor) -> Tensor:
    """The same from features.

    Args:
        made: (B, T, D).
        real: (B, T, D).
        counts: (B, T) bool, at least one True in every row.

    Returns:
        scalar, mean over the batch of -log(mean over counted frames of cos).

    Raises:
        InputError: shapes differ, or a row of counts is empty.
    """
    similarity = clip_similarity(made, real, counts)
    tangent = -math.log(FLOOR) + (FLOOR - similarity) / FLOOR
    return torch.where(similarity > FLOOR, -similarity.clamp_min(FLOOR).log(), tangent).mean()


def clip_similarity(made: Tensor, real: Tensor, counts: Tensor) -> Tensor:
    """(B,) mean over counted frames of the cosine per frame; arguments and errors as `similarity_loss`."""
    if made.shape != real.shape or counts.shape != made.shape[:2]:
        raise InputError(
            f"features and mask must agree, got {tuple(made.shape)}, {tuple(real.shape)} and {tuple(counts.shape)}"
        )
    weights = counts.to(made.dtype)
    total = weights.sum(dim=1)
    if bool((total == 0).any()):
        raise InputError("a clip of the batch has no frame that counts; check frames and padding_mask")
    return (F.cosine_similarity(made, real, dim=2) * weights).sum(dim=1) / total


def _counting(features: Tensor, frames: Tensor | None, padding_mask: Tensor | None) -> Tensor:
    counts = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
    for mask in (frames, None if padding_mask is None else ~padding_mask):
        if mask is None:
            continue
        if mask.shape != counts.shape or mask.dtype != torch.bool:
            raise InputError(f"masks must be {tuple(counts.shape)} bool, got {tuple(mask.shape)} {mask.dtype}")
        counts = counts & mask
    return counts
