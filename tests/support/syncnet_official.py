"""SyncNet's official steps, written down step by step: batches of 20 windows, the unfolded network, a loop over rows.

After joonson/syncnet_python@6efbb1c, SyncNetInstance.evaluate, without its ffmpeg and JPEG steps. Slow on purpose.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import python_speech_features
import torch
from golden import seeded_weights
from numpy.typing import NDArray

from lipsync_eval.features.s3fd_net import S3FDNet
from lipsync_eval.features.syncnet.net import SyncNet

SCALE = ((r"^netcnnlip\.0\.weight$", 1 / 64), (r"^netcnnaud\.0\.weight$", 1 / 8))
S3FD_SCALE = (
    (r"^vgg\.0\.weight$", 1 / 64),
    (r"^L2Norm3_3\.weight$", 10),
    (r"^L2Norm4_3\.weight$", 8),
    (r"^L2Norm5_3\.weight$", 5),
    (r"^conf\..\.weight$", 5),
)


def seeded_state(seed: int, shared_bias: float) -> dict[str, torch.Tensor]:
    """A state_dict as the golden cases make it (their README)."""
    state = seeded_weights.fill(SyncNet().state_dict(), seed, gain=math.sqrt(2), scale=SCALE)
    for key in ("netfclip.3.bias", "netfcaud.3.bias"):
        state[key] = state[key] + np.float32(shared_bias)
    return state


def s3fd_state(seed: int, background: float) -> dict[str, torch.Tensor]:
    """A state_dict of S3FD as the golden case makes it."""
    state = seeded_weights.fill(S3FDNet().state_dict(), seed, gain=math.sqrt(2), scale=S3FD_SCALE)
    state["conf.0.bias"][0:3] += np.float32(np.float32(background) - np.float32(1.5))
    for k in range(1, 6):
        state[f"conf.{k}.bias"][0] += np.float32(background)
    return state


@cache
def seeded_net(seed: int = 1, shared_bias: float = 0.3) -> SyncNet:
    """The network with seeded weights, in evaluation mode."""
    net = SyncNet()
    net.load_state_dict(seeded_state(seed, shared_bias))
    return net.eval()


def seeded_file(path: Path, seed: int = 1, shared_bias: float = 0.3) -> Path:
    """A checkpoint with seeded weights under SyncNet's names."""
    torch.save(seeded_state(seed, shared_bias), path)
    return path


def evaluate(
    net: SyncNet, crops: NDArray[np.uint8], sound: NDArray[np.int16]
) -> tuple[int, float, float, NDArray[np.float32]]:
    """Offset, confidence (LSE-C), minimum distance (LSE-D) and distance matrix.

    Args:
        net: in evaluation mode.
        crops: (T, 224, 224, 3) uint8 BGR.
        audio: (N,) int16 at 16 kHz.
    """
    pictures = torch.from_numpy(crops.astype(np.float32)).permute(3, 0, 1, 2)[None]
    columns = torch.from_numpy(python_speech_features.mfcc(sound, 16000).T.astype(np.float32))[None, None]
    last = min(len(crops), len(sound) // 640) - 5
    lips, sounds = [], []
    with torch.no_grad():
        for start in range(0, last, 20):
            rows = range(start, min(last, start + 20))
            lip = net.netcnnlip(torch.cat([pictures[:, :, i : i + 5] for i in rows]))
            lips.append(net.netfclip(lip.flatten(1)))
            aud = net.netcnnaud(torch.cat([columns[:, :, :, 4 * i : 4 * i + 20] for i in rows]))
            sounds.append(net.netfcaud(aud.flatten(1)))
    lip, padded = torch.cat(lips), torch.nn.functional.pad(torch.cat(sounds), (0, 0, 15, 15))
    distances = [
        torch.nn.functional.pairwise_distance(lip[[i]].repeat(31, 1), padded[i : i + 31]) for i in range(len(lip))
    ]
    mean = torch.stack(distances, 1).mean(1)
    least, at = mean.min(0)
    return 15 - int(at), float(mean.median() - least), float(least), np.stack([d.numpy() for d in distances])
