"""Front end features of a video in which a few frames were replaced, without reading the whole video again.

The video front end is one convolution over 5 frames, then layers of every frame by itself. So n replaced frames change
the features of n + 4 frames, which need n + 8 frames to compute.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lipsync_eval.errors import InputError
from lipsync_eval.features.avhubert.model import AVHuBERT
from lipsync_eval.features.avhubert.resnet import HALO


@torch.no_grad()
def front_end(model: AVHuBERT, real: Tensor) -> Tensor:
    """(T, 88, 88) network input -> (D, T) front end features, without gradient."""
    seen: Tensor = model.feature_extractor_video(real[None, None])[0]
    return seen


def spliced(model: AVHuBERT, real: Tensor, seen: Tensor, made: Tensor, start: int) -> Tensor:
    """Front end features of the real video with `made` in place of its frames start .. start + n - 1.

    Equal to `front_end` of that video (within rounding). Gradients flow into `made`.

    Args:
        model: from `load`.
        real: (T, 88, 88) network input of the real video.
        seen: (D, T), its `front_end`.
        made: (n, 88, 88) network input of the generated frames.
        start: number of the first replaced frame.

    Returns:
        (D, T).

    Raises:
        InputError: the frames do not lie in the video, or lengths differ.
    """
    count, n = len(real), len(made)
    if not 0 <= start <= count - n or seen.shape[1] != count:
        raise InputError(f"{n} frames at {start} do not lie in a video of {count} frames with {seen.shape[1]} features")
    low, high = max(start - HALO, 0), min(start + n + HALO, count)  # features that change
    first, last = max(low - HALO, 0), min(high + HALO, count)  # frames that they need; beyond a clip's ends: zeros
    frames = torch.cat([real[first:start], made, real[start + n : last]])
    changed = model.feature_extractor_video(frames[None, None], (low - first, last - high))[0]
    return torch.cat([seen[:, :low], changed, seen[:, high:]], dim=1)
