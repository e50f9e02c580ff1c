"""The running average of a network's weights, and mixed precision."""

from __future__ import annotations

import torch
from torch import nn

from lipsync_eval.baselines.kit.configuration.sections import Precision

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@torch.no_grad()
def blend(average: nn.Module, model: nn.Module, decay: float) -> None:
    """average = decay * average + (1 - decay) * model, weights and the statistics of batch norm alike."""
    for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


def decay_at(step: int, ema: float) -> float:
    """The decay of a step (from 0): shorter at the start, so that the average soon forgets the initial weights."""
    return min(ema, (1 + step) / (10 + step))


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Mixed precision, or nothing for fp32."""
    return torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32")
