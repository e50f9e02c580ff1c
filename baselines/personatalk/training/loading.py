"""Trained stages ready for use, and stage 1 on audio of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.training.checkpoints import Checkpoint, open_checkpoint
from lipsync_eval.baselines.personatalk.config import GEOMETRY, RENDERER, PersonaTalkConfig
from lipsync_eval.baselines.personatalk.data.sound import SAMPLES, frames_of, heard
from lipsync_eval.baselines.personatalk.geometry.provider import Provider, open_provider
from lipsync_eval.baselines.personatalk.geometry.topology import Topology
from lipsync_eval.baselines.personatalk.network.stage1 import GeometryNetwork
from lipsync_eval.baselines.personatalk.network.stage2 import Renderer
from lipsync_eval.types import Float

Opened = tuple[GeometryNetwork, Checkpoint[PersonaTalkConfig], Topology, torch.device]


def load_geometry_network(path: Path, device: str = "auto", provider: Provider | None = None) -> Opened:
    """Stage 1 of a run or checkpoint of `personatalk train-geometry`; `provider`: one that is open already.

    Raises:
        RefusedCheckpoint: no such checkpoint, damaged, or of another topology.
    """
    from lipsync_eval.device import pick

    held = open_checkpoint(path, GEOMETRY)
    topology = (provider or open_provider(held.config.geometry, topology_only=True)).topology
    chosen = pick(device)
    return held.restored(GeometryNetwork(held.config.stage1, topology), chosen), held, topology, chosen


def load_renderer(path: Path, device: str = "auto") -> tuple[Renderer, Checkpoint[PersonaTalkConfig], torch.device]:
    """Stage 2 of a run or checkpoint of `personatalk train-renderer`.

    Raises:
        RefusedCheckpoint: no such checkpoint, or damaged.
    """
    from lipsync_eval.device import pick

    held = open_checkpoint(path, RENDERER)
    chosen = pick(device)
    return held.restored(Renderer(held.config.stage2), chosen), held, chosen


@torch.inference_mode()
def style_code(network: GeometryNetwork, expression: Float, valid: NDArray[np.bool_] | None = None) -> torch.Tensor:
    """(T, L, 3) of the mean face with a person's expression -> S (1, D)."""
    device = network.mean.device
    given = torch.tensor(expression[None], dtype=torch.float32, device=device)
    used = None if valid is None else torch.from_numpy(valid[None]).to(device)
    return network.style_of(given, used)


def predict(network: GeometryNetwork, samples: NDArray[np.float32], expression: Float, template: Float) -> Float:
    """Stage 1 with the style of `expression`; see `displacements`."""
    return displacements(network, samples, style_code(network, expression), template)


@torch.inference_mode()
def displacements(
    network: GeometryNetwork, samples: NDArray[np.float32], style: torch.Tensor, template: Float
) -> Float:
    """Lower-face displacements for audio of any length.

    Up to `longest` frames are one window; longer audio is cut into windows of it that share `overlap` frames, over which
    one fades linearly into the next.

    Args:
        network: stage 1.
        samples: (N,) 16 kHz.
        style: (1, D).
        template: (L, 3).

    Returns:
        (T, |low|, 3) at 25 fps, T = ceil(N / 640).
    """
    config, device = network.config, network.mean.device
    total = frames_of(samples)
    rest = torch.tensor(template[None], dtype=torch.float32, device=device)
    out = np.zeros((total, len(network.low), 3))
    weight = np.zeros((total, 1, 1))
    for start, stop in stretches(total, config.longest, config.overlap):
        part = heard(config.audio, samples[start * SAMPLES : stop * SAMPLES])
        found = network(torch.from_numpy(part[None]).to(device), style, rest, stop - start)[0].double().cpu().numpy()
        ramp = np.ones(stop - start)
        rise = (np.arange(config.overlap) + 1) / (config.overlap + 1)
        if start and config.overlap:
            ramp[: config.overlap] = rise
        if stop < total and config.overlap:
            ramp[-config.overlap :] = np.minimum(ramp[-config.overlap :], rise[::-1])
        out[start:stop] += ramp[:, None, None] * found
        weight[start:stop] += ramp[:, None, None]
    return out / weight


def stretches(total: int, longest: int, overlap: int) -> list[tuple[int, int]]:
    """start, stop of windows that cover `total` frames; the last one is moved back to be as long as the others."""
    if total <= longest:
        return [(0, total)]
    starts = [*range(0, total - longest, longest - overlap), total - longest]
    return [(start, start + longest) for start in starts]
