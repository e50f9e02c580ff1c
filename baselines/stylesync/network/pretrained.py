"""StyleGAN2's discriminator from a file in the format of rosinality/stylegan2-pytorch: a state dict under the key 'd'."""

from __future__ import annotations

from pathlib import Path

import torch

from lipsync_eval.baselines.kit.network.discriminator import Discriminator
from lipsync_eval.errors import RefusedCheckpoint


def load_discriminator(net: Discriminator, path: Path) -> None:
    """Put the file's D into `net`. The file is read by the safe loader; nothing in it is run.

    Raises:
        RefusedCheckpoint: no state dict under 'd', or one of another size or width, naming the first tensor that differs.
    """
    from lipsync_eval.weights import fit, load_checkpoint

    held = load_checkpoint(path)
    found = held.get("d") if isinstance(held, dict) else None
    if not isinstance(found, dict) or not found or not all(isinstance(x, torch.Tensor) for x in found.values()):
        there = ", ".join(str(key)[:40] for key in list(held)[:8]) if isinstance(held, dict) else type(held).__name__
        raise RefusedCheckpoint(
            f"{path.name} holds no discriminator: expected a state dict under 'd', as rosinality/stylegan2-pytorch writes "
            f"it, found {there}; give such a file as loss.d_weights, or leave it out"
        )
    fit(net, {str(name): x for name, x in found.items()}, source=f"{path.name} ('d')")
